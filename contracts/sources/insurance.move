/// What penalties brought in, for those whom faults have harmed. Governance pays out of it, behind the timelock.
module k3s_daas::insurance;

use k3s_daas::governance::{Self, AdminCap, Governance};
use sui::balance::{Self, Balance};
use sui::clock::Clock;
use sui::coin::{Self, Coin};
use sui::event;
use sui::sui::SUI;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The object belongs to another cluster.
const EWrongCluster: u64 = 2;
/// The amount is zero, or more than there is.
const EBadAmount: u64 = 3;
/// There are as many payouts waiting as there may be.
const ETooMany: u64 = 4;
/// No payout with this number waits.
const EUnknownPayout: u64 = 5;
/// The timelock is not over: try again from the time that was announced.
const ETooEarly: u64 = 6;

const MAX_PAYOUTS: u64 = 16;

/// The insurance pool of a cluster. Shared.
public struct Insurance has key {
    id: UID,
    version: u64,
    cluster: ID,
    balance: Balance<SUI>,
    /// Payouts that wait for the timelock.
    payouts: vector<Payout>,
    /// Number of the next payout.
    next: u64,
}

/// A payout that was proposed.
public struct Payout has copy, drop, store {
    number: u64,
    amount: u64,
    recipient: address,
    /// Not before this time.
    ripe_ms: u64,
}

public struct InsuranceCreated has copy, drop {
    cluster: ID,
    insurance: ID,
}

public struct InsuranceFunded has copy, drop {
    cluster: ID,
    added: u64,
    balance: u64,
}

public struct PayoutProposed has copy, drop {
    cluster: ID,
    number: u64,
    amount: u64,
    recipient: address,
    ripe_ms: u64,
}

public struct PayoutCancelled has copy, drop {
    cluster: ID,
    number: u64,
}

public struct PaidOut has copy, drop {
    cluster: ID,
    number: u64,
    amount: u64,
    recipient: address,
    balance: u64,
}

/// Adds to the pool; anybody may.
public fun donate(insurance: &mut Insurance, coin: Coin<SUI>) {
    check_version(insurance);
    assert!(coin.value() > 0, EBadAmount);
    take_in(insurance, coin.into_balance());
}

/// Proposes to pay `amount` MIST to `recipient` when the timelock is over.
public fun propose_payout(
    insurance: &mut Insurance,
    governance: &Governance,
    cap: &AdminCap,
    amount: u64,
    recipient: address,
    clock: &Clock,
) {
    check_admin(insurance, governance, cap, clock);
    assert!(amount > 0, EBadAmount);
    assert!(insurance.payouts.length() < MAX_PAYOUTS, ETooMany);
    let number = insurance.next;
    let ripe_ms = governance.ripe_ms(clock);
    insurance.next = number + 1;
    insurance.payouts.push_back(Payout { number, amount, recipient, ripe_ms });
    event::emit(PayoutProposed { cluster: insurance.cluster, number, amount, recipient, ripe_ms });
}

/// Withdraws a proposed payout.
public fun cancel_payout(
    insurance: &mut Insurance,
    governance: &Governance,
    cap: &AdminCap,
    number: u64,
    clock: &Clock,
) {
    check_admin(insurance, governance, cap, clock);
    let at = find(insurance, number);
    insurance.payouts.remove(at);
    event::emit(PayoutCancelled { cluster: insurance.cluster, number });
}

/// Pays a proposed payout, once the timelock is over.
public fun pay(
    insurance: &mut Insurance,
    governance: &Governance,
    cap: &AdminCap,
    number: u64,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check_admin(insurance, governance, cap, clock);
    let at = find(insurance, number);
    let Payout { amount, recipient, ripe_ms, .. } = insurance.payouts[at];
    assert!(clock.timestamp_ms() >= ripe_ms, ETooEarly);
    assert!(amount <= insurance.balance.value(), EBadAmount);
    insurance.payouts.remove(at);
    let coin = coin::take(&mut insurance.balance, amount, ctx);
    let balance = insurance.balance.value();
    event::emit(PaidOut { cluster: insurance.cluster, number, amount, recipient, balance });
    transfer::public_transfer(coin, recipient);
}

/// Brings the pool to the package's version, after governance.
public fun migrate(insurance: &mut Insurance, governance: &Governance) {
    governance.check_version();
    assert!(insurance.cluster == governance.cluster(), EWrongCluster);
    assert!(insurance.version < governance::version(), EWrongVersion);
    insurance.version = governance::version();
    governance::announce_migration(insurance.cluster, object::id(insurance));
}

/// The cluster that it is for.
public fun cluster(insurance: &Insurance): ID {
    insurance.cluster
}

/// What is in it, in MIST.
public fun amount(insurance: &Insurance): u64 {
    insurance.balance.value()
}

/// Aborts unless the object is of the version that this package works on.
public(package) fun check_version(insurance: &Insurance) {
    assert!(insurance.version == governance::version(), EWrongVersion);
}

/// Adds to the pool.
public(package) fun take_in(insurance: &mut Insurance, money: Balance<SUI>) {
    let added = money.value();
    let balance = insurance.balance.join(money);
    event::emit(InsuranceFunded { cluster: insurance.cluster, added, balance });
}

/// The insurance pool of a new cluster, without money.
public(package) fun create(cluster: ID, ctx: &mut TxContext): ID {
    let insurance = Insurance {
        id: object::new(ctx),
        version: governance::version(),
        cluster,
        balance: balance::zero(),
        payouts: vector[],
        next: 0,
    };
    let id = object::id(&insurance);
    event::emit(InsuranceCreated { cluster, insurance: id });
    transfer::share_object(insurance);
    id
}

fun check_admin(insurance: &Insurance, governance: &Governance, cap: &AdminCap, clock: &Clock) {
    check_version(insurance);
    assert!(insurance.cluster == governance.cluster(), EWrongCluster);
    governance.check(cap, clock);
}

/// Where a payout is in the list.
fun find(insurance: &Insurance, number: u64): u64 {
    let mut i = 0;
    while (i < insurance.payouts.length()) {
        if (insurance.payouts[i].number == number) return i;
        i = i + 1;
    };
    abort EUnknownPayout
}

#[test_only]
public(package) fun set_version_for_testing(insurance: &mut Insurance, version: u64) {
    insurance.version = version;
}
