/// What users pay for their use, by the second. Each escrow is a shared object of its own. It is always ahead by
/// the grace time: one that runs low is in grace and says so, and one that is used up is suspended, so nobody ever
/// owes anything. What was used goes to the reward pool.
module k3s_daas::usage;

use k3s_daas::governance::{Self, Governance};
use k3s_daas::k8s_gateway::Cluster;
use k3s_daas::rewards::Pool;
use sui::balance::{Self, Balance};
use sui::clock::Clock;
use sui::coin::{Self, Coin};
use sui::event;
use sui::sui::SUI;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The object belongs to another cluster.
const EWrongCluster: u64 = 2;
/// The sender does not own the escrow.
const ENotOwner: u64 = 3;
/// The number of units is zero or above its bound.
const EBadUnits: u64 = 4;
/// What would be left does not cover the grace time and a second.
const ETooLow: u64 = 5;
/// The amount is zero.
const EBadAmount: u64 = 6;
/// The escrow has the present price.
const ESamePrice: u64 = 7;
/// Nothing was earned since it was collected last.
const ENothingEarned: u64 = 8;

const MAX_UNITS: u64 = 1_000_000;
const SECOND_MS: u64 = 1_000;
const ACTIVE: u8 = 0;
const GRACE: u8 = 1;
const SUSPENDED: u8 = 2;

/// A user's money for use to come. Shared.
public struct Escrow has key {
    id: UID,
    version: u64,
    cluster: ID,
    owner: address,
    /// How much is used at a time.
    units: u64,
    /// MIST for one unit and second.
    price: u64,
    /// What is not used yet.
    balance: Balance<SUI>,
    /// What was used and not collected yet.
    earned: Balance<SUI>,
    /// Use is paid up to this time.
    settled_ms: u64,
    /// When it was last settled: 0 active, 1 in grace, 2 suspended.
    status: u8,
}

public struct EscrowOpened has copy, drop {
    cluster: ID,
    escrow: ID,
    owner: address,
    units: u64,
    price: u64,
    balance: u64,
    settled_ms: u64,
}

/// Use was paid up to `settled_ms`, or money or terms have changed. Says all that changes in an escrow.
public struct EscrowChanged has copy, drop {
    cluster: ID,
    escrow: ID,
    units: u64,
    price: u64,
    balance: u64,
    earned: u64,
    settled_ms: u64,
    status: u8,
}

/// What was used went to the reward pool.
public struct UsageCollected has copy, drop {
    cluster: ID,
    escrow: ID,
    amount: u64,
}

public struct EscrowClosed has copy, drop {
    cluster: ID,
    escrow: ID,
    owner: address,
    refunded: u64,
}

/// Opens an escrow for so many units at the cluster's price.
public fun open(
    cluster: &Cluster,
    governance: &Governance,
    units: u64,
    coin: Coin<SUI>,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    cluster.check_running(clock);
    governance.check_version();
    assert!(object::id(cluster) == governance.cluster(), EWrongCluster);
    assert!(units >= 1 && units <= MAX_UNITS, EBadUnits);
    let escrow = Escrow {
        id: object::new(ctx),
        version: governance::version(),
        cluster: object::id(cluster),
        owner: ctx.sender(),
        units,
        price: governance.economics().price(),
        balance: coin.into_balance(),
        earned: balance::zero(),
        settled_ms: clock.timestamp_ms(),
        status: ACTIVE,
    };
    assert!(!is_low(&escrow, governance), ETooLow);
    event::emit(EscrowOpened {
        cluster: escrow.cluster,
        escrow: object::id(&escrow),
        owner: escrow.owner,
        units,
        price: escrow.price,
        balance: escrow.balance.value(),
        settled_ms: escrow.settled_ms,
    });
    transfer::share_object(escrow);
}

/// Adds to an escrow; anybody may. A suspended one that is ahead again resumes now.
public fun top_up(escrow: &mut Escrow, governance: &Governance, coin: Coin<SUI>, clock: &Clock) {
    assert!(coin.value() > 0, EBadAmount);
    accrue(escrow, governance, clock);
    escrow.balance.join(coin.into_balance());
    resume(escrow, governance, clock);
    announce(escrow);
}

/// Pays for the use so far; anybody may.
public fun settle(escrow: &mut Escrow, governance: &Governance, clock: &Clock) {
    accrue(escrow, governance, clock);
    announce(escrow);
}

/// Takes money out again that is not needed to stay ahead.
public fun withdraw(
    escrow: &mut Escrow,
    governance: &Governance,
    amount: u64,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_owner(escrow, ctx);
    assert!(amount > 0, EBadAmount);
    accrue(escrow, governance, clock);
    assert!(amount <= escrow.balance.value(), ETooLow);
    let coin = coin::take(&mut escrow.balance, amount, ctx);
    assert!(!is_low(escrow, governance), ETooLow);
    announce(escrow);
    transfer::public_transfer(coin, escrow.owner);
}

/// Changes the number of units, at the cluster's present price.
public fun resize(escrow: &mut Escrow, governance: &Governance, units: u64, clock: &Clock, ctx: &TxContext) {
    check_owner(escrow, ctx);
    assert!(units >= 1 && units <= MAX_UNITS, EBadUnits);
    accrue(escrow, governance, clock);
    escrow.units = units;
    escrow.price = governance.economics().price();
    assert!(!is_low(escrow, governance), ETooLow);
    resume(escrow, governance, clock);
    announce(escrow);
}

/// Brings an escrow to the cluster's present price, from now on; anybody may. The timelock has announced it.
public fun reprice(escrow: &mut Escrow, governance: &Governance, clock: &Clock) {
    accrue(escrow, governance, clock);
    let price = governance.economics().price();
    assert!(price != escrow.price, ESamePrice);
    escrow.price = price;
    mark(escrow, governance);
    announce(escrow);
}

/// Brings what was used to the reward pool; anybody may.
public fun collect(escrow: &mut Escrow, pool: &mut Pool) {
    check_version(escrow);
    pool.check_version();
    assert!(escrow.cluster == pool.cluster(), EWrongCluster);
    assert!(escrow.earned.value() > 0, ENothingEarned);
    let earned = escrow.earned.withdraw_all();
    event::emit(UsageCollected { cluster: escrow.cluster, escrow: object::id(escrow), amount: earned.value() });
    pool.take_in(earned);
}

/// Ends an escrow: what was used goes to the pool, the rest back to its owner.
public fun close(
    mut escrow: Escrow,
    pool: &mut Pool,
    governance: &Governance,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_owner(&escrow, ctx);
    accrue(&mut escrow, governance, clock);
    assert!(escrow.cluster == pool.cluster(), EWrongCluster);
    if (escrow.earned.value() > 0) {
        collect(&mut escrow, pool);
    };
    let Escrow { id, cluster, owner, balance, earned, .. } = escrow;
    earned.destroy_zero();
    event::emit(EscrowClosed { cluster, escrow: id.to_inner(), owner, refunded: balance.value() });
    transfer::public_transfer(coin::from_balance(balance, ctx), owner);
    id.delete();
}

/// Brings an escrow to the package's version, after governance.
public fun migrate(escrow: &mut Escrow, governance: &Governance) {
    governance.check_version();
    assert!(escrow.cluster == governance.cluster(), EWrongCluster);
    assert!(escrow.version < governance::version(), EWrongVersion);
    escrow.version = governance::version();
    governance::announce_migration(escrow.cluster, object::id(escrow));
}

/// Moves the price of the whole seconds since it was settled from what is there to what was earned. When that
/// does not pay for all of them, the escrow is suspended at the time up to which it did.
fun accrue(escrow: &mut Escrow, governance: &Governance, clock: &Clock) {
    check_version(escrow);
    governance.check_version();
    assert!(escrow.cluster == governance.cluster(), EWrongCluster);
    if (escrow.status == SUSPENDED) return;
    let rate = escrow.units * escrow.price;
    let passed = (clock.timestamp_ms() - escrow.settled_ms) / SECOND_MS;
    let affordable = escrow.balance.value() / rate;
    let paid = if (passed < affordable) passed else affordable;
    escrow.earned.join(escrow.balance.split(paid * rate));
    escrow.settled_ms = escrow.settled_ms + paid * SECOND_MS;
    if (passed > affordable) {
        escrow.status = SUSPENDED;
    } else {
        mark(escrow, governance);
    };
}

/// Active or in grace, unless it is suspended.
fun mark(escrow: &mut Escrow, governance: &Governance) {
    if (escrow.status == SUSPENDED) return;
    escrow.status = if (is_low(escrow, governance)) GRACE else ACTIVE;
}

/// Active again from now on when it is ahead.
fun resume(escrow: &mut Escrow, governance: &Governance, clock: &Clock) {
    if (is_low(escrow, governance)) return;
    if (escrow.status == SUSPENDED) {
        escrow.settled_ms = clock.timestamp_ms();
    };
    escrow.status = ACTIVE;
}

/// Whether it does not cover the grace time and a second more.
fun is_low(escrow: &Escrow, governance: &Governance): bool {
    let ahead_s = governance.economics().grace_ms() / SECOND_MS + 1;
    (escrow.balance.value() as u128) < ((escrow.units * escrow.price) as u128) * (ahead_s as u128)
}

fun check_owner(escrow: &Escrow, ctx: &TxContext) {
    assert!(escrow.owner == ctx.sender(), ENotOwner);
}

fun check_version(escrow: &Escrow) {
    assert!(escrow.version == governance::version(), EWrongVersion);
}

fun announce(escrow: &Escrow) {
    event::emit(EscrowChanged {
        cluster: escrow.cluster,
        escrow: object::id(escrow),
        units: escrow.units,
        price: escrow.price,
        balance: escrow.balance.value(),
        earned: escrow.earned.value(),
        settled_ms: escrow.settled_ms,
        status: escrow.status,
    });
}

#[test_only]
public(package) fun set_version_for_testing(escrow: &mut Escrow, version: u64) {
    escrow.version = version;
}

#[test_only]
public(package) fun status_for_testing(escrow: &Escrow): u8 {
    escrow.status
}
