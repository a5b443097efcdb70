/// Rewards for uptime. What users pay and others give fills a pool. For each epoch an enclave posts the root of a
/// Merkle tree of shares, which is all that happens on chain however many stakers there are. Its leaves are trees
/// again, of at most 256 claims each: anybody opens such a shard once, and stakers claim from their own shard, so
/// that a claim waits for the few of its shard and never for all.
///
/// Amounts are made here from weights: budget × weight ÷ weight of all, rounded down. So whatever an enclave
/// signs, an epoch pays no more than its budget, and what rounding leaves goes back to the pool.
module k3s_daas::rewards;

use k3s_daas::economics;
use k3s_daas::enclave::{Enclave, Registry};
use k3s_daas::governance::{Self, Governance};
use std::bcs;
use sui::balance::{Self, Balance};
use sui::clock::Clock;
use sui::coin::{Self, Coin};
use sui::event;
use sui::hash;
use sui::sui::SUI;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The object belongs to another cluster.
const EWrongCluster: u64 = 2;
/// It is not the number of the next epoch.
const EWrongEpoch: u64 = 3;
/// The epoch begins before the last one ended, has not ended, or is too short.
const EBadPeriod: u64 = 4;
/// A weight is zero, or the weights of the shards are more than that of the epoch.
const EBadWeight: u64 = 5;
/// The root is not 32 bytes.
const EBadHash: u64 = 6;
/// There is nothing to pay: the pool is empty or the share rounds to nothing.
const ENothingToPay: u64 = 7;
/// The proof does not lead to the root.
const EBadProof: u64 = 8;
/// It was opened or claimed before.
const EClaimed: u64 = 9;
/// The time for claims is over.
const ETooLate: u64 = 10;
/// The time for claims is not over.
const ETooEarly: u64 = 11;
/// The claims of the shard are more than its share: its weights do not add up.
const EOverdrawn: u64 = 12;
/// The amount is zero.
const EBadAmount: u64 = 13;

/// Intent of the enclave's statement.
const INTENT_EPOCH: u8 = 4;
/// First byte of what is hashed, so that nothing is taken for something else.
const DOMAIN_SHARD: u8 = 0;
const DOMAIN_CLAIM: u8 = 1;
const DOMAIN_INNER: u8 = 2;
/// A tree has at most 2^8 leaves.
const MAX_DEPTH: u64 = 8;

/// The reward pool of a cluster. Shared; touched by who pays in and once an epoch, by no claim.
public struct Pool has key {
    id: UID,
    version: u64,
    cluster: ID,
    balance: Balance<SUI>,
    /// Number of the last epoch; the first is one.
    epoch: u64,
    /// When it ended.
    until_ms: u64,
}

/// An epoch whose rewards can be claimed. Shared; touched once for each shard.
public struct Epoch has key {
    id: UID,
    version: u64,
    cluster: ID,
    number: u64,
    /// Root of the tree of shards.
    root: vector<u8>,
    /// Sum of all weights.
    weight: u64,
    /// What all weights share, in MIST.
    budget: u64,
    /// What no shard has taken yet.
    balance: Balance<SUI>,
    /// Sum of the weights of opened shards.
    opened_weight: u64,
    /// Bit by index of the shard.
    opened: u256,
    /// Until then rewards can be claimed.
    deadline_ms: u64,
}

/// The claims of up to 256 stakers of an epoch. Shared.
public struct Shard has key {
    id: UID,
    version: u64,
    cluster: ID,
    epoch: ID,
    number: u64,
    /// Root of the tree of claims.
    root: vector<u8>,
    /// Weight and budget of the epoch, which make an amount of a weight.
    weight: u64,
    budget: u64,
    /// What was not claimed yet.
    balance: Balance<SUI>,
    /// Bit by index of the claim.
    claimed: u256,
    deadline_ms: u64,
}

/// What the enclave signs.
public struct Shares has copy, drop {
    cluster: ID,
    number: u64,
    from_ms: u64,
    to_ms: u64,
    weight: u64,
    root: vector<u8>,
}

/// A leaf of the tree of shards, as BCS: hashed with blake2b256.
public struct ShardLeaf has copy, drop {
    domain: u8,
    cluster: ID,
    number: u64,
    weight: u64,
    root: vector<u8>,
}

/// A leaf of the tree of claims, as BCS: hashed with blake2b256.
public struct ClaimLeaf has copy, drop {
    domain: u8,
    cluster: ID,
    number: u64,
    stake: ID,
    owner: address,
    weight: u64,
}

public struct PoolCreated has copy, drop {
    cluster: ID,
    pool: ID,
}

public struct PoolFunded has copy, drop {
    cluster: ID,
    added: u64,
    balance: u64,
}

public struct EpochPosted has copy, drop {
    cluster: ID,
    epoch: ID,
    enclave: ID,
    number: u64,
    from_ms: u64,
    to_ms: u64,
    weight: u64,
    root: vector<u8>,
    budget: u64,
    deadline_ms: u64,
}

public struct ShardOpened has copy, drop {
    cluster: ID,
    epoch: ID,
    shard: ID,
    index: u8,
    weight: u64,
    root: vector<u8>,
    amount: u64,
}

public struct Claimed has copy, drop {
    cluster: ID,
    shard: ID,
    index: u8,
    stake: ID,
    owner: address,
    weight: u64,
    amount: u64,
}

/// A shard is gone; what was not claimed went back to the pool.
public struct ShardSwept has copy, drop {
    cluster: ID,
    shard: ID,
    amount: u64,
}

/// An epoch is gone; what no shard took went back to the pool.
public struct EpochSwept has copy, drop {
    cluster: ID,
    epoch: ID,
    amount: u64,
}

/// Adds to the pool; anybody may.
public fun fund(pool: &mut Pool, coin: Coin<SUI>) {
    check_version(pool);
    assert!(coin.value() > 0, EBadAmount);
    take_in(pool, coin.into_balance());
}

/// Posts the shares of an epoch, with a statement of an enclave in good standing. The epoch takes its budget out
/// of the pool.
public fun post_epoch(
    pool: &mut Pool,
    governance: &Governance,
    registry: &Registry,
    enclave: &mut Enclave,
    number: u64,
    from_ms: u64,
    to_ms: u64,
    weight: u64,
    root: vector<u8>,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_version(pool);
    governance.check_version();
    let cluster = pool.cluster;
    assert!(cluster == governance.cluster() && cluster == enclave.cluster(), EWrongCluster);
    let economics = governance.economics();
    let now = clock.timestamp_ms();
    assert!(number == pool.epoch + 1, EWrongEpoch);
    assert!(from_ms >= pool.until_ms && from_ms < to_ms && to_ms <= now, EBadPeriod);
    assert!(to_ms - from_ms >= economics.epoch_ms(), EBadPeriod);
    assert!(weight > 0, EBadWeight);
    assert!(root.length() == 32, EBadHash);
    enclave.check_mature(governance, clock);
    let shares = Shares { cluster, number, from_ms, to_ms, weight, root };
    enclave.verify(registry, INTENT_EPOCH, timestamp_ms, shares, &signature, clock);
    let budget = economics::share(pool.balance.value(), economics.payout_bps());
    assert!(budget > 0, ENothingToPay);
    pool.epoch = number;
    pool.until_ms = to_ms;
    let epoch = Epoch {
        id: object::new(ctx),
        version: governance::version(),
        cluster,
        number,
        root,
        weight,
        budget,
        balance: pool.balance.split(budget),
        opened_weight: 0,
        opened: 0,
        deadline_ms: now + economics.claim_ms(),
    };
    event::emit(EpochPosted {
        cluster,
        epoch: object::id(&epoch),
        enclave: object::id(enclave),
        number,
        from_ms,
        to_ms,
        weight,
        root,
        budget,
        deadline_ms: epoch.deadline_ms,
    });
    transfer::share_object(epoch);
}

/// Opens a shard of an epoch for claims; anybody may. `proof` holds the siblings from leaf to root.
public fun open_shard(
    epoch: &mut Epoch,
    index: u8,
    weight: u64,
    root: vector<u8>,
    proof: vector<vector<u8>>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    assert!(epoch.version == governance::version(), EWrongVersion);
    assert!(clock.timestamp_ms() < epoch.deadline_ms, ETooLate);
    assert!(!has_bit(epoch.opened, index), EClaimed);
    assert!(root.length() == 32, EBadHash);
    let leaf =
        ShardLeaf { domain: DOMAIN_SHARD, cluster: epoch.cluster, number: epoch.number, weight, root };
    check_proof(bcs::to_bytes(&leaf), index, &proof, &epoch.root);
    assert!(weight > 0 && weight <= epoch.weight - epoch.opened_weight, EBadWeight);
    let amount = part(epoch.budget, weight, epoch.weight);
    epoch.opened = with_bit(epoch.opened, index);
    epoch.opened_weight = epoch.opened_weight + weight;
    let shard = Shard {
        id: object::new(ctx),
        version: governance::version(),
        cluster: epoch.cluster,
        epoch: object::id(epoch),
        number: epoch.number,
        root,
        weight: epoch.weight,
        budget: epoch.budget,
        balance: epoch.balance.split(amount),
        claimed: 0,
        deadline_ms: epoch.deadline_ms,
    };
    event::emit(ShardOpened {
        cluster: shard.cluster,
        epoch: shard.epoch,
        shard: object::id(&shard),
        index,
        weight,
        root,
        amount,
    });
    transfer::share_object(shard);
}

/// Pays what a stake has earned to its owner; anybody may ask for it. `proof` holds the siblings from leaf to
/// root.
public fun claim(
    shard: &mut Shard,
    index: u8,
    stake: ID,
    owner: address,
    weight: u64,
    proof: vector<vector<u8>>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    assert!(shard.version == governance::version(), EWrongVersion);
    assert!(clock.timestamp_ms() < shard.deadline_ms, ETooLate);
    assert!(!has_bit(shard.claimed, index), EClaimed);
    let cluster = shard.cluster;
    let leaf = ClaimLeaf { domain: DOMAIN_CLAIM, cluster, number: shard.number, stake, owner, weight };
    check_proof(bcs::to_bytes(&leaf), index, &proof, &shard.root);
    let amount = part(shard.budget, weight, shard.weight);
    assert!(amount > 0, ENothingToPay);
    assert!(amount <= shard.balance.value(), EOverdrawn);
    shard.claimed = with_bit(shard.claimed, index);
    let coin = coin::take(&mut shard.balance, amount, ctx);
    event::emit(Claimed { cluster, shard: object::id(shard), index, stake, owner, weight, amount });
    transfer::public_transfer(coin, owner);
}

/// Gives what was not claimed back to the pool, after the deadline; anybody may.
public fun sweep_shard(shard: Shard, pool: &mut Pool, clock: &Clock) {
    check_version(pool);
    assert!(shard.version == governance::version(), EWrongVersion);
    assert!(shard.cluster == pool.cluster, EWrongCluster);
    assert!(clock.timestamp_ms() >= shard.deadline_ms, ETooEarly);
    let Shard { id, cluster, balance, .. } = shard;
    event::emit(ShardSwept { cluster, shard: id.to_inner(), amount: balance.value() });
    take_in(pool, balance);
    id.delete();
}

/// Gives what no shard took back to the pool, after the deadline; anybody may.
public fun sweep_epoch(epoch: Epoch, pool: &mut Pool, clock: &Clock) {
    check_version(pool);
    assert!(epoch.version == governance::version(), EWrongVersion);
    assert!(epoch.cluster == pool.cluster, EWrongCluster);
    assert!(clock.timestamp_ms() >= epoch.deadline_ms, ETooEarly);
    let Epoch { id, cluster, balance, .. } = epoch;
    event::emit(EpochSwept { cluster, epoch: id.to_inner(), amount: balance.value() });
    take_in(pool, balance);
    id.delete();
}

/// Brings the pool to the package's version, after governance.
public fun migrate_pool(pool: &mut Pool, governance: &Governance) {
    pool.version = migrated(pool.cluster, object::id(pool), pool.version, governance);
}

/// Brings an epoch to the package's version, after governance.
public fun migrate_epoch(epoch: &mut Epoch, governance: &Governance) {
    epoch.version = migrated(epoch.cluster, object::id(epoch), epoch.version, governance);
}

/// Brings a shard to the package's version, after governance.
public fun migrate_shard(shard: &mut Shard, governance: &Governance) {
    shard.version = migrated(shard.cluster, object::id(shard), shard.version, governance);
}

/// The cluster that the pool is for.
public fun cluster(pool: &Pool): ID {
    pool.cluster
}

/// What is in the pool, in MIST.
public fun amount(pool: &Pool): u64 {
    pool.balance.value()
}

/// Aborts unless the object is of the version that this package works on.
public(package) fun check_version(pool: &Pool) {
    assert!(pool.version == governance::version(), EWrongVersion);
}

/// Adds to the pool.
public(package) fun take_in(pool: &mut Pool, money: Balance<SUI>) {
    let added = money.value();
    let balance = pool.balance.join(money);
    event::emit(PoolFunded { cluster: pool.cluster, added, balance });
}

/// The reward pool of a new cluster, without money.
public(package) fun create(cluster: ID, ctx: &mut TxContext): ID {
    let pool = Pool {
        id: object::new(ctx),
        version: governance::version(),
        cluster,
        balance: balance::zero(),
        epoch: 0,
        until_ms: 0,
    };
    let id = object::id(&pool);
    event::emit(PoolCreated { cluster, pool: id });
    transfer::share_object(pool);
    id
}

/// The part of `amount` that `weight` of `whole` has, rounded down.
fun part(amount: u64, weight: u64, whole: u64): u64 {
    (((amount as u128) * (weight as u128)) / (whole as u128)) as u64
}

/// Aborts unless the leaf is at `index` of the tree with this root. Bit `i` of the index says whether the node at
/// height `i` is the right one of its pair, so every place has one path.
fun check_proof(leaf: vector<u8>, index: u8, proof: &vector<vector<u8>>, root: &vector<u8>) {
    let depth = proof.length();
    assert!(depth <= MAX_DEPTH, EBadProof);
    let mut node = hash::blake2b256(&leaf);
    let mut place = index;
    let mut i = 0;
    while (i < depth) {
        let sibling = proof[i];
        assert!(sibling.length() == 32, EBadProof);
        let mut pair = vector[DOMAIN_INNER];
        if (place % 2 == 0) {
            pair.append(node);
            pair.append(sibling);
        } else {
            pair.append(sibling);
            pair.append(node);
        };
        node = hash::blake2b256(&pair);
        place = place / 2;
        i = i + 1;
    };
    assert!(place == 0 && node == *root, EBadProof);
}

fun has_bit(bits: u256, index: u8): bool {
    (bits >> index) & 1 == 1
}

fun with_bit(bits: u256, index: u8): u256 {
    bits | (1u256 << index)
}

/// Checks and announces that an object of an older version gets that of the package, which it gives.
fun migrated(cluster: ID, object: ID, version: u64, governance: &Governance): u64 {
    governance.check_version();
    assert!(cluster == governance.cluster(), EWrongCluster);
    assert!(version < governance::version(), EWrongVersion);
    governance::announce_migration(cluster, object);
    governance::version()
}

#[test_only]
public(package) fun set_version_for_testing(pool: &mut Pool, version: u64) {
    pool.version = version;
}

#[test_only]
public(package) fun set_epoch_version_for_testing(epoch: &mut Epoch, version: u64) {
    epoch.version = version;
}

#[test_only]
public(package) fun set_shard_version_for_testing(shard: &mut Shard, version: u64) {
    shard.version = version;
}
