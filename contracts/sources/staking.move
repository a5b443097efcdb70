/// Locked SUI. Each stake is a shared object of its own, so stakes never wait for each other. A stake that
/// was asked back counts for nothing at once, and stays here, slashable, until lock-up and unbonding are over.
module k3s_daas::staking;

use k3s_daas::k8s_gateway::{Self, Cluster, Names};
use std::string::String;
use sui::balance::Balance;
use sui::clock::Clock;
use sui::coin::{Self, Coin};
use sui::event;
use sui::sui::SUI;

/// The version of the shared object is not the one that this package works on.
const EWrongVersion: u64 = 1;
/// The stake belongs to another cluster.
const EWrongCluster: u64 = 2;
/// The sender does not own the stake.
const ENotOwner: u64 = 3;
/// The amount is below the tier's minimum.
const ETooSmall: u64 = 4;
/// The stake was asked back already.
const EUnbonding: u64 = 5;
/// The stake was not asked back yet: request_unstake first.
const ENotUnbonding: u64 = 6;
/// Lock-up or unbonding is not over.
const ELocked: u64 = 7;

const VERSION: u64 = 1;
const NODE: u8 = 0;

/// One stake. Shared.
public struct Stake has key {
    id: UID,
    version: u64,
    cluster: ID,
    owner: address,
    /// 0 node, 1 user, 2 admin.
    tier: u8,
    balance: Balance<SUI>,
    staked_ms: u64,
    /// Not withdrawn before this time.
    locked_until_ms: u64,
    /// When it was asked back, if it was.
    unbonding_ms: Option<u64>,
    /// The node's name, once pinned.
    node_name: Option<String>,
    /// The live seal token, if there is one.
    token: Option<ID>,
    /// How many tokens it has had.
    generation: u64,
}

public struct Staked has copy, drop {
    cluster: ID,
    stake: ID,
    owner: address,
    tier: u8,
    amount: u64,
    staked_ms: u64,
    locked_until_ms: u64,
}

public struct ToppedUp has copy, drop {
    cluster: ID,
    stake: ID,
    added: u64,
    amount: u64,
}

public struct UnstakeRequested has copy, drop {
    cluster: ID,
    stake: ID,
    unbonding_ms: u64,
    locked_until_ms: u64,
}

public struct Withdrawn has copy, drop {
    cluster: ID,
    stake: ID,
    owner: address,
    amount: u64,
}

/// Locks `coin` for a tier: 0 node, 1 user, 2 admin.
public fun stake(cluster: &Cluster, tier: u8, coin: Coin<SUI>, clock: &Clock, ctx: &mut TxContext) {
    cluster.check_version();
    let amount = coin.value();
    assert!(amount >= cluster.minimum(tier), ETooSmall);
    let now = clock.timestamp_ms();
    let made = Stake {
        id: object::new(ctx),
        version: VERSION,
        cluster: object::id(cluster),
        owner: ctx.sender(),
        tier,
        balance: coin.into_balance(),
        staked_ms: now,
        locked_until_ms: now + cluster.lock_ms(tier),
        unbonding_ms: option::none(),
        node_name: option::none(),
        token: option::none(),
        generation: 0,
    };
    event::emit(Staked {
        cluster: made.cluster,
        stake: object::id(&made),
        owner: made.owner,
        tier,
        amount,
        staked_ms: now,
        locked_until_ms: made.locked_until_ms,
    });
    transfer::share_object(made);
}

/// Adds to a stake.
public fun top_up(stake: &mut Stake, coin: Coin<SUI>, ctx: &TxContext) {
    check_owner(stake, ctx);
    assert!(stake.unbonding_ms.is_none(), EUnbonding);
    let added = coin.value();
    stake.balance.join(coin.into_balance());
    let amount = stake.balance.value();
    event::emit(ToppedUp { cluster: stake.cluster, stake: object::id(stake), added, amount });
}

/// Asks a stake back. Its token is worth nothing from now on; the money follows when lock-up and unbonding
/// are over.
public fun request_unstake(stake: &mut Stake, cluster: &Cluster, clock: &Clock, ctx: &TxContext) {
    cluster.check_version();
    check_owner(stake, ctx);
    assert!(stake.cluster == object::id(cluster), EWrongCluster);
    assert!(stake.unbonding_ms.is_none(), EUnbonding);
    let now = clock.timestamp_ms();
    stake.unbonding_ms = option::some(now);
    let unbonded = now + cluster.unbonding_ms();
    if (unbonded > stake.locked_until_ms) {
        stake.locked_until_ms = unbonded;
    };
    event::emit(UnstakeRequested {
        cluster: stake.cluster,
        stake: object::id(stake),
        unbonding_ms: now,
        locked_until_ms: stake.locked_until_ms,
    });
}

/// Takes the money of a stake whose time is over; it frees the node's name and ends the stake.
public fun withdraw(stake: Stake, names: &mut Names, clock: &Clock, ctx: &mut TxContext) {
    check_owner(&stake, ctx);
    assert!(stake.unbonding_ms.is_some(), ENotUnbonding);
    assert!(clock.timestamp_ms() >= stake.locked_until_ms, ELocked);
    let stake_id = object::id(&stake);
    let Stake { id, cluster, owner, balance, node_name, .. } = stake;
    if (node_name.is_some()) {
        k8s_gateway::free_name(names, cluster, *node_name.borrow(), stake_id);
    };
    let amount = balance.value();
    event::emit(Withdrawn { cluster, stake: stake_id, owner, amount });
    transfer::public_transfer(coin::from_balance(balance, ctx), owner);
    id.delete();
}

/// What is locked, in MIST.
public fun amount(stake: &Stake): u64 {
    stake.balance.value()
}

/// The cluster it is for.
public fun cluster(stake: &Stake): ID {
    stake.cluster
}

/// Whose it is.
public fun owner(stake: &Stake): address {
    stake.owner
}

/// 0 node, 1 user, 2 admin.
public fun tier(stake: &Stake): u8 {
    stake.tier
}

/// Whether it is for a node.
public fun is_node(stake: &Stake): bool {
    stake.tier == NODE
}

/// Whether it was asked back.
public fun is_unbonding(stake: &Stake): bool {
    stake.unbonding_ms.is_some()
}

/// The live seal token.
public fun token(stake: &Stake): Option<ID> {
    stake.token
}

/// Aborts unless the sender owns the stake.
public fun check_owner(stake: &Stake, ctx: &TxContext) {
    assert!(stake.version == VERSION, EWrongVersion);
    assert!(stake.owner == ctx.sender(), ENotOwner);
}

/// Aborts unless the stake still covers its tier in this cluster.
public fun check_covers(stake: &Stake, cluster: &Cluster) {
    cluster.check_version();
    assert!(stake.version == VERSION, EWrongVersion);
    assert!(stake.cluster == object::id(cluster), EWrongCluster);
    assert!(stake.unbonding_ms.is_none(), EUnbonding);
    assert!(stake.balance.value() >= cluster.minimum(stake.tier), ETooSmall);
}

/// Pins a node name to the stake, with its first token; from then on it stays.
public(package) fun pin_name(stake: &mut Stake, names: &mut Names, name: String) {
    k8s_gateway::pin_name(names, stake.cluster, name, object::id(stake));
    stake.node_name = option::some(name);
}

/// Remembers the live token and counts it.
public(package) fun set_token(stake: &mut Stake, token: ID): u64 {
    stake.token = option::some(token);
    stake.generation = stake.generation + 1;
    stake.generation
}

#[test_only]
public(package) fun set_version_for_testing(stake: &mut Stake, version: u64) {
    stake.version = version;
}
