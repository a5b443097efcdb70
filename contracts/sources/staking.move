/// Locked SUI. Each stake is a shared object of its own, so stakes never wait for each other. A stake that
/// was asked back counts for nothing at once, and stays here, slashable, until lock-up and unbonding are over.
/// Lock-up and unbonding are those of the day it was made: nobody lengthens them afterwards.
module k3s_daas::staking;

use k3s_daas::economics::{Self, Economics};
use k3s_daas::governance::{Self, Governance};
use k3s_daas::k8s_gateway::{Self, Cluster, Names};
use std::string::String;
use sui::balance::Balance;
use sui::clock::Clock;
use sui::coin::{Self, Coin};
use sui::dynamic_field;
use sui::event;
use sui::sui::SUI;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
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
/// Lock-up or unbonding is not over: the stake's locked_until_ms says when it is.
const ELocked: u64 = 7;
/// A penalty of the stake is not decided: it cannot leave.
const EFrozen: u64 = 8;
/// The fault was judged before.
const EJudged: u64 = 9;
/// Nothing of the stake may be taken: the cap of the period is reached, or the penalty rounds to nothing.
const ENothingToTake: u64 = 10;
/// Maintenance is announced before it begins, and lasts at most a day.
const EBadMaintenance: u64 = 11;

const NODE: u8 = 0;
/// Announced maintenance lasts at most this long: a day.
const MAX_MAINTENANCE_MS: u64 = 86_400_000;

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
    /// From asking it back to having it, as it was when the stake was made, in milliseconds.
    notice_ms: u64,
    penalties: Penalties,
}

/// What is being taken and was taken of a stake.
public struct Penalties has drop, store {
    /// What proposed penalties hold, in MIST.
    frozen: u64,
    /// How many penalties are proposed.
    cases: u64,
    /// When the period of the cap began.
    period_ms: u64,
    /// What was locked then, in MIST.
    base: u64,
    /// What is frozen and was taken in the period, in MIST.
    taken: u64,
    /// Up to when time was judged, by reason.
    judged_ms: vector<u64>,
}

/// Name of the field of a stake that remembers a fault, by which it is judged once.
public struct FaultKey has copy, drop, store {
    fault: vector<u8>,
}

/// Name of the field of a stake that remembers a key that spoke for it.
public struct HolderKey has copy, drop, store {
    public_key: vector<u8>,
}

public struct Staked has copy, drop {
    cluster: ID,
    stake: ID,
    owner: address,
    tier: u8,
    amount: u64,
    staked_ms: u64,
    locked_until_ms: u64,
    notice_ms: u64,
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

/// The owner takes the node down on purpose.
public struct MaintenanceAnnounced has copy, drop {
    cluster: ID,
    stake: ID,
    from_ms: u64,
    to_ms: u64,
}

/// Locks `coin` for a tier: 0 node, 1 user, 2 admin.
public fun stake(cluster: &Cluster, tier: u8, coin: Coin<SUI>, clock: &Clock, ctx: &mut TxContext) {
    cluster.check_running(clock);
    let amount = coin.value();
    assert!(amount >= cluster.minimum(tier), ETooSmall);
    let now = clock.timestamp_ms();
    let made = Stake {
        id: object::new(ctx),
        version: governance::version(),
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
        notice_ms: cluster.unbonding_ms(),
        penalties: Penalties {
            frozen: 0,
            cases: 0,
            period_ms: now,
            base: amount,
            taken: 0,
            judged_ms: vector[0, 0, 0, 0],
        },
    };
    event::emit(Staked {
        cluster: made.cluster,
        stake: object::id(&made),
        owner: made.owner,
        tier,
        amount,
        staked_ms: now,
        locked_until_ms: made.locked_until_ms,
        notice_ms: made.notice_ms,
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

/// Announces that the node is taken down on purpose, so that masters drain it first and do not count the time.
public fun announce_maintenance(stake: &Stake, from_ms: u64, to_ms: u64, clock: &Clock, ctx: &TxContext) {
    check_owner(stake, ctx);
    assert!(clock.timestamp_ms() <= from_ms && from_ms < to_ms, EBadMaintenance);
    assert!(to_ms - from_ms <= MAX_MAINTENANCE_MS, EBadMaintenance);
    event::emit(MaintenanceAnnounced { cluster: stake.cluster, stake: object::id(stake), from_ms, to_ms });
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
    let unbonded = now + stake.notice_ms;
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
    assert!(stake.penalties.cases == 0, EFrozen);
    assert!(clock.timestamp_ms() >= stake.locked_until_ms, ELocked);
    let stake_id = object::id(&stake);
    let Stake { id, cluster, owner, balance, node_name, .. } = stake;
    names.check_cluster(cluster);
    if (node_name.is_some()) {
        k8s_gateway::free_name(names, cluster, *node_name.borrow(), stake_id);
    };
    let amount = balance.value();
    event::emit(Withdrawn { cluster, stake: stake_id, owner, amount });
    transfer::public_transfer(coin::from_balance(balance, ctx), owner);
    id.delete();
}

/// Brings a stake to the package's version, after governance.
public fun migrate(stake: &mut Stake, governance: &Governance) {
    governance.check_version();
    assert!(stake.cluster == governance.cluster(), EWrongCluster);
    assert!(stake.version < governance::version(), EWrongVersion);
    stake.version = governance::version();
    governance::announce_migration(stake.cluster, object::id(stake));
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

/// When it was made, in milliseconds.
public(package) fun staked_ms(stake: &Stake): u64 {
    stake.staked_ms
}

/// What proposed penalties hold, in MIST.
public fun frozen(stake: &Stake): u64 {
    stake.penalties.frozen
}

/// Whether this key spoke for the stake at any time.
public fun held(stake: &Stake, public_key: vector<u8>): bool {
    dynamic_field::exists_(&stake.id, HolderKey { public_key })
}

/// The live seal token.
public fun token(stake: &Stake): Option<ID> {
    stake.token
}

/// Aborts unless the sender owns the stake.
public(package) fun check_owner(stake: &Stake, ctx: &TxContext) {
    check_version(stake);
    assert!(stake.owner == ctx.sender(), ENotOwner);
}

/// Aborts unless the stake still covers its tier in this cluster.
public fun check_covers(stake: &Stake, cluster: &Cluster) {
    cluster.check_version();
    check_version(stake);
    assert!(stake.cluster == object::id(cluster), EWrongCluster);
    assert!(stake.unbonding_ms.is_none(), EUnbonding);
    assert!(stake.balance.value() >= cluster.minimum(stake.tier), ETooSmall);
}

/// Aborts unless the object is of the version that this package works on.
public(package) fun check_version(stake: &Stake) {
    assert!(stake.version == governance::version(), EWrongVersion);
}

/// Freezes the penalty of a reason and gives its amount and the period of the cap that it counts in. The penalty
/// is a share of what was locked when the period began, rounded down, and with all others of the period never
/// above the cap.
public(package) fun freeze_penalty(stake: &mut Stake, economics: &Economics, reason: u8, now: u64): (u64, u64) {
    let locked = stake.balance.value();
    let penalties = &mut stake.penalties;
    if (now >= penalties.period_ms + economics.cap_period_ms()) {
        penalties.period_ms = now;
        penalties.base = locked;
        penalties.taken = 0;
    };
    let cap = economics::share(penalties.base, economics.cap_bps());
    let left = if (cap > penalties.taken) cap - penalties.taken else 0;
    let penalty = economics::share(penalties.base, economics.penalty_bps(reason));
    let amount = least(least(penalty, left), locked - penalties.frozen);
    assert!(amount > 0, ENothingToTake);
    penalties.frozen = penalties.frozen + amount;
    penalties.cases = penalties.cases + 1;
    penalties.taken = penalties.taken + amount;
    (amount, penalties.period_ms)
}

/// Takes what was frozen.
public(package) fun take_penalty(stake: &mut Stake, amount: u64): Balance<SUI> {
    stake.penalties.frozen = stake.penalties.frozen - amount;
    stake.penalties.cases = stake.penalties.cases - 1;
    stake.balance.split(amount)
}

/// Frees what was frozen in the period that began at `period_ms`.
public(package) fun release_penalty(stake: &mut Stake, amount: u64, period_ms: u64) {
    let penalties = &mut stake.penalties;
    penalties.frozen = penalties.frozen - amount;
    penalties.cases = penalties.cases - 1;
    if (penalties.period_ms == period_ms) {
        penalties.taken = penalties.taken - amount;
    };
}

/// Remembers a fault; the same is not judged again, whatever comes of it.
public(package) fun judge(stake: &mut Stake, fault: vector<u8>) {
    let key = FaultKey { fault };
    assert!(!dynamic_field::exists_(&stake.id, key), EJudged);
    dynamic_field::add(&mut stake.id, key, true);
}

/// Remembers that the time from `from_ms` to `to_ms` was judged for a reason, and none of it before.
public(package) fun judge_time(stake: &mut Stake, reason: u8, from_ms: u64, to_ms: u64) {
    let judged_ms = stake.penalties.judged_ms.borrow_mut(reason as u64);
    assert!(from_ms >= *judged_ms, EJudged);
    *judged_ms = to_ms;
}

/// Remembers that this key speaks for the stake.
public(package) fun remember_key(stake: &mut Stake, public_key: vector<u8>) {
    let key = HolderKey { public_key };
    if (!dynamic_field::exists_(&stake.id, key)) {
        dynamic_field::add(&mut stake.id, key, true);
    };
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

fun least(a: u64, b: u64): u64 {
    if (a < b) a else b
}

#[test_only]
public(package) fun set_version_for_testing(stake: &mut Stake, version: u64) {
    stake.version = version;
}
