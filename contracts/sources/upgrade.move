/// Upgrades of this package behind a timelock. Who publishes it gives its `UpgradeCap` in here; from then on every
/// upgrade is announced by its digest before it can be made. Clusters move to it when their governance migrates.
module k3s_daas::upgrade;

use k3s_daas::governance;
use sui::clock::Clock;
use sui::event;
use sui::package::{UpgradeCap, UpgradeReceipt, UpgradeTicket};

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The sender does not own it.
const ENotOwner: u64 = 2;
/// The delay is outside of its bounds.
const EBadDelay: u64 = 3;
/// The digest is not 32 bytes.
const EBadHash: u64 = 4;
/// No upgrade waits for the timelock.
const ENotPending: u64 = 5;
/// The timelock is not over: try again from the time that was announced.
const ETooEarly: u64 = 6;
/// It is not offered to the sender.
const ENotOffered: u64 = 7;

const HOUR_MS: u64 = 3_600_000;
const YEAR_MS: u64 = 31_536_000_000;

/// The right to upgrade the package, behind a timelock. Shared.
public struct Upgrader has key {
    id: UID,
    version: u64,
    cap: UpgradeCap,
    owner: address,
    /// To whom it is offered.
    offered: Option<address>,
    delay_ms: u64,
    pending: Option<Proposal>,
}

/// An upgrade that was announced.
public struct Proposal has copy, drop, store {
    /// 0 compatible, 128 additive, 192 dependencies only.
    policy: u8,
    /// Of the modules and dependencies, as the chain takes it.
    digest: vector<u8>,
    /// Not before this time.
    ripe_ms: u64,
}

public struct UpgraderCreated has copy, drop {
    upgrader: ID,
    package: ID,
    owner: address,
    delay_ms: u64,
}

public struct UpgradeProposed has copy, drop {
    upgrader: ID,
    policy: u8,
    digest: vector<u8>,
    ripe_ms: u64,
}

public struct UpgradeCancelled has copy, drop {
    upgrader: ID,
}

public struct UpgradeAuthorized has copy, drop {
    upgrader: ID,
    digest: vector<u8>,
}

public struct Upgraded has copy, drop {
    upgrader: ID,
    package: ID,
}

public struct UpgraderOffered has copy, drop {
    upgrader: ID,
    recipient: address,
}

public struct UpgraderAccepted has copy, drop {
    upgrader: ID,
    owner: address,
}

public struct UpgraderMigrated has copy, drop {
    upgrader: ID,
    version: u64,
}

/// Puts the right to upgrade behind a timelock of `delay_ms`, for good.
public fun guard(cap: UpgradeCap, delay_ms: u64, ctx: &mut TxContext) {
    assert!(delay_ms >= HOUR_MS && delay_ms <= YEAR_MS, EBadDelay);
    let package = cap.package();
    let upgrader = Upgrader {
        id: object::new(ctx),
        version: governance::version(),
        cap,
        owner: ctx.sender(),
        offered: option::none(),
        delay_ms,
        pending: option::none(),
    };
    event::emit(UpgraderCreated { upgrader: object::id(&upgrader), package, owner: upgrader.owner, delay_ms });
    transfer::share_object(upgrader);
}

/// Announces an upgrade by its digest. Replaces what waits.
public fun propose(upgrader: &mut Upgrader, policy: u8, digest: vector<u8>, clock: &Clock, ctx: &TxContext) {
    check_owner(upgrader, ctx);
    assert!(digest.length() == 32, EBadHash);
    let ripe_ms = clock.timestamp_ms() + upgrader.delay_ms;
    upgrader.pending = option::some(Proposal { policy, digest, ripe_ms });
    event::emit(UpgradeProposed { upgrader: object::id(upgrader), policy, digest, ripe_ms });
}

/// Withdraws what was announced.
public fun cancel(upgrader: &mut Upgrader, ctx: &TxContext) {
    check_owner(upgrader, ctx);
    assert!(upgrader.pending.is_some(), ENotPending);
    upgrader.pending = option::none();
    event::emit(UpgradeCancelled { upgrader: object::id(upgrader) });
}

/// Gives the ticket for the announced upgrade, once the timelock is over.
public fun authorize(upgrader: &mut Upgrader, clock: &Clock, ctx: &TxContext): UpgradeTicket {
    check_owner(upgrader, ctx);
    assert!(upgrader.pending.is_some(), ENotPending);
    let Proposal { policy, digest, ripe_ms } = upgrader.pending.extract();
    assert!(clock.timestamp_ms() >= ripe_ms, ETooEarly);
    event::emit(UpgradeAuthorized { upgrader: object::id(upgrader), digest });
    upgrader.cap.authorize(policy, digest)
}

/// Takes the receipt of the upgrade, in the same transaction.
public fun commit(upgrader: &mut Upgrader, receipt: UpgradeReceipt) {
    assert!(upgrader.version == governance::version(), EWrongVersion);
    let package = receipt.package();
    upgrader.cap.commit(receipt);
    event::emit(Upgraded { upgrader: object::id(upgrader), package });
}

/// Offers it to another address; a second offer replaces the first.
public fun offer(upgrader: &mut Upgrader, recipient: address, ctx: &TxContext) {
    check_owner(upgrader, ctx);
    upgrader.offered = option::some(recipient);
    event::emit(UpgraderOffered { upgrader: object::id(upgrader), recipient });
}

/// Accepts what is offered to the sender.
public fun accept(upgrader: &mut Upgrader, ctx: &TxContext) {
    assert!(upgrader.version == governance::version(), EWrongVersion);
    let owner = ctx.sender();
    assert!(upgrader.offered == option::some(owner), ENotOffered);
    upgrader.owner = owner;
    upgrader.offered = option::none();
    event::emit(UpgraderAccepted { upgrader: object::id(upgrader), owner });
}

/// Brings it to the package's version, after an upgrade.
public fun migrate(upgrader: &mut Upgrader, ctx: &TxContext) {
    assert!(upgrader.owner == ctx.sender(), ENotOwner);
    assert!(upgrader.version < governance::version(), EWrongVersion);
    upgrader.version = governance::version();
    event::emit(UpgraderMigrated { upgrader: object::id(upgrader), version: upgrader.version });
}

fun check_owner(upgrader: &Upgrader, ctx: &TxContext) {
    assert!(upgrader.version == governance::version(), EWrongVersion);
    assert!(upgrader.owner == ctx.sender(), ENotOwner);
}

#[test_only]
public(package) fun set_version_for_testing(upgrader: &mut Upgrader, version: u64) {
    upgrader.version = version;
}
