/// Seal tokens: which key speaks for a stake. The chain holds a public key and no secret.
module k3s_daas::seal_token;

use k3s_daas::governance::{Self, AdminCap, Governance};
use k3s_daas::k8s_gateway::{Self, Cluster, Names};
use k3s_daas::staking::Stake;
use std::bcs;
use std::string::String;
use sui::clock::Clock;
use sui::ed25519;
use sui::event;
use sui::hash;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The token belongs to another stake or cluster.
const EWrongStake: u64 = 2;
/// The public key is not 32 bytes.
const EBadKey: u64 = 3;
/// The node name is not a DNS label.
const EBadName: u64 = 4;
/// A node's token needs a node name and only a node's has one.
const ENotANode: u64 = 5;
/// The stake has a live token already: renew, rotate or revoke it.
const ELiveToken: u64 = 6;
/// The token was revoked or replaced.
const ERevoked: u64 = 7;
/// The token has expired: issue a new one.
const EExpired: u64 = 8;
/// The new key did not sign for the change.
const EBadSignature: u64 = 9;
/// Governance revoked the token: this stake gets no other one.
const EBarred: u64 = 10;

/// Intent of the statement by which a key shows that it is held.
const INTENT_POSSESSION: u8 = 2;

/// A seal token. Shared, so that its owner and governance can both end it.
public struct SealToken has key {
    id: UID,
    version: u64,
    cluster: ID,
    stake: ID,
    owner: address,
    /// The holder's ed25519 key.
    public_key: vector<u8>,
    /// Empty unless the stake is for a node.
    node_name: String,
    /// blake2b256(transaction digest ‖ clock ms, little-endian ‖ stake id) at issue.
    seal: vector<u8>,
    issued_ms: u64,
    expires_ms: u64,
    /// Counts the tokens of the stake from one, and each rotation of the key.
    generation: u64,
    revoked: bool,
    /// Whether it was governance that revoked it: then it stays revoked.
    barred: bool,
}

/// What a new key signs, as BCS: intent 2, the generation it will have, token and key.
public struct Possession has copy, drop {
    intent: u8,
    generation: u64,
    token: ID,
    public_key: vector<u8>,
}

public struct TokenIssued has copy, drop {
    cluster: ID,
    stake: ID,
    token: ID,
    owner: address,
    tier: u8,
    public_key: vector<u8>,
    node_name: String,
    seal: vector<u8>,
    issued_ms: u64,
    expires_ms: u64,
    generation: u64,
}

public struct TokenRenewed has copy, drop {
    cluster: ID,
    stake: ID,
    token: ID,
    expires_ms: u64,
}

public struct KeyRotated has copy, drop {
    cluster: ID,
    stake: ID,
    token: ID,
    public_key: vector<u8>,
    generation: u64,
}

public struct TokenRevoked has copy, drop {
    cluster: ID,
    stake: ID,
    token: ID,
    by_governance: bool,
}

/// Issues the first token of a stake. `node_name` is for a node's stake and empty for the others.
public fun issue(
    stake: &mut Stake,
    cluster: &Cluster,
    names: &mut Names,
    public_key: vector<u8>,
    node_name: String,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    stake.check_owner(ctx);
    stake.check_covers(cluster);
    assert!(public_key.length() == 32, EBadKey);
    assert!(stake.token().is_none(), ELiveToken);
    names.check_cluster(stake.cluster());
    if (stake.is_node()) {
        assert!(k8s_gateway::is_label(&node_name), EBadName);
        stake.pin_name(names, node_name);
    } else {
        assert!(node_name.is_empty(), ENotANode);
    };
    let stake_id = object::id(stake);
    let now = clock.timestamp_ms();
    let id = object::new(ctx);
    let generation = stake.set_token(id.to_inner());
    stake.remember_key(public_key);
    let token = SealToken {
        id,
        version: governance::version(),
        cluster: stake.cluster(),
        stake: stake_id,
        owner: stake.owner(),
        public_key,
        node_name,
        seal: seal(stake_id, now, ctx),
        issued_ms: now,
        expires_ms: now + cluster.token_lifetime_ms(),
        generation,
        revoked: false,
        barred: false,
    };
    announce(&token, stake.tier());
    transfer::share_object(token);
}

/// Issues the token anew after its owner revoked it or it has expired: another seal, key and generation.
public fun reissue(
    token: &mut SealToken,
    stake: &mut Stake,
    cluster: &Cluster,
    public_key: vector<u8>,
    clock: &Clock,
    ctx: &TxContext,
) {
    check(token, stake, cluster, ctx);
    assert!(public_key.length() == 32, EBadKey);
    assert!(!token.barred, EBarred);
    let now = clock.timestamp_ms();
    assert!(token.revoked || now >= token.expires_ms, ELiveToken);
    token.public_key = public_key;
    token.seal = seal(token.stake, now, ctx);
    token.issued_ms = now;
    token.expires_ms = now + cluster.token_lifetime_ms();
    token.generation = stake.set_token(object::id(token));
    stake.remember_key(public_key);
    token.revoked = false;
    announce(token, stake.tier());
}

/// Extends a live token by the cluster's token lifetime from now.
public fun renew(token: &mut SealToken, stake: &Stake, cluster: &Cluster, clock: &Clock, ctx: &TxContext) {
    check(token, stake, cluster, ctx);
    check_live(token, clock);
    token.expires_ms = clock.timestamp_ms() + cluster.token_lifetime_ms();
    event::emit(TokenRenewed {
        cluster: token.cluster,
        stake: token.stake,
        token: object::id(token),
        expires_ms: token.expires_ms,
    });
}

/// Replaces the holder's key. The new key signs `Possession` with the next generation.
public fun rotate_key(
    token: &mut SealToken,
    stake: &mut Stake,
    cluster: &Cluster,
    public_key: vector<u8>,
    signature: vector<u8>,
    clock: &Clock,
    ctx: &TxContext,
) {
    check(token, stake, cluster, ctx);
    check_live(token, clock);
    assert!(public_key.length() == 32, EBadKey);
    let id = object::id(token);
    token.generation = stake.set_token(id);
    let statement =
        Possession { intent: INTENT_POSSESSION, generation: token.generation, token: id, public_key };
    assert!(ed25519::ed25519_verify(&signature, &public_key, &bcs::to_bytes(&statement)), EBadSignature);
    stake.remember_key(public_key);
    token.public_key = public_key;
    event::emit(KeyRotated {
        cluster: token.cluster,
        stake: token.stake,
        token: id,
        public_key,
        generation: token.generation,
    });
}

/// Ends a token; its owner may at any time.
public fun revoke(token: &mut SealToken, ctx: &TxContext) {
    assert!(token.version == governance::version(), EWrongVersion);
    assert!(token.owner == ctx.sender(), EWrongStake);
    assert!(!token.revoked, ERevoked);
    end(token, false);
}

/// Ends a token for good; governance of its cluster may at any time, also when its owner revoked it before.
public fun revoke_by_governance(token: &mut SealToken, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    assert!(token.version == governance::version(), EWrongVersion);
    assert!(token.cluster == governance.cluster(), EWrongStake);
    governance.check(cap, clock);
    assert!(!token.barred, EBarred);
    token.barred = true;
    end(token, true);
}

/// Brings a token to the package's version, after governance.
public fun migrate(token: &mut SealToken, governance: &Governance) {
    governance.check_version();
    assert!(token.cluster == governance.cluster(), EWrongStake);
    assert!(token.version < governance::version(), EWrongVersion);
    token.version = governance::version();
    governance::announce_migration(token.cluster, object::id(token));
}

fun end(token: &mut SealToken, by_governance: bool) {
    token.revoked = true;
    event::emit(TokenRevoked {
        cluster: token.cluster,
        stake: token.stake,
        token: object::id(token),
        by_governance,
    });
}

fun check(token: &SealToken, stake: &Stake, cluster: &Cluster, ctx: &TxContext) {
    assert!(token.version == governance::version(), EWrongVersion);
    assert!(token.stake == object::id(stake), EWrongStake);
    stake.check_owner(ctx);
    stake.check_covers(cluster);
}

fun check_live(token: &SealToken, clock: &Clock) {
    assert!(!token.revoked, ERevoked);
    assert!(clock.timestamp_ms() < token.expires_ms, EExpired);
}

fun seal(stake: ID, now: u64, ctx: &TxContext): vector<u8> {
    let mut bytes = *ctx.digest();
    bytes.append(bcs::to_bytes(&now));
    bytes.append(stake.to_bytes());
    hash::blake2b256(&bytes)
}

fun announce(token: &SealToken, tier: u8) {
    event::emit(TokenIssued {
        cluster: token.cluster,
        stake: token.stake,
        token: object::id(token),
        owner: token.owner,
        tier,
        public_key: token.public_key,
        node_name: token.node_name,
        seal: token.seal,
        issued_ms: token.issued_ms,
        expires_ms: token.expires_ms,
        generation: token.generation,
    });
}

#[test_only]
public(package) fun set_version_for_testing(token: &mut SealToken, version: u64) {
    token.version = version;
}
