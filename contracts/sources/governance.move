/// Who may change a cluster: capabilities with an expiry that can be revoked. Every cluster has one shared
/// `Governance` that lists its live capabilities; a capability that is not in the list does nothing. A
/// capability object stays with its address: it is handed on in two steps, an offer and its acceptance, which
/// makes a new one and ends the old. What moves money takes effect only after the timelock.
module k3s_daas::governance;

use k3s_daas::economics::{Self, Economics};
use sui::clock::Clock;
use sui::event;

/// The object has another version than this package: migrate it after an upgrade, or use the package that fits it.
const EWrongVersion: u64 = 1;
/// The capability belongs to another cluster.
const EWrongCluster: u64 = 2;
/// The capability was revoked.
const ERevoked: u64 = 3;
/// The capability has expired.
const EExpired: u64 = 4;
/// The last capability that never expires cannot be revoked.
const ELastCap: u64 = 5;
/// There are as many live capabilities as a cluster may have.
const ETooManyCaps: u64 = 6;
/// There is no live capability with this id.
const EUnknownCap: u64 = 7;
/// A capability cannot issue or revoke one that outlives it.
const EOutlives: u64 = 8;
/// The capability is not offered to the sender.
const ENotOffered: u64 = 9;
/// Nothing of this kind waits for the timelock.
const ENotPending: u64 = 10;
/// The timelock is not over: try again from the time that was announced.
const ETooEarly: u64 = 11;

const VERSION: u64 = 1;
const MAX_CAPS: u64 = 32;
/// Expiry of a capability that never expires.
const NEVER: u64 = 18_446_744_073_709_551_615;

/// The live capabilities of one cluster. Shared.
public struct Governance has key {
    id: UID,
    version: u64,
    cluster: ID,
    caps: vector<LiveCap>,
    /// Capabilities that are offered to another address.
    offers: vector<Offer>,
    economics: Economics,
    /// What follows them when the timelock is over.
    pending: Option<Pending>,
}

/// A capability that was not revoked.
public struct LiveCap has copy, drop, store {
    cap: ID,
    expires_ms: u64,
}

/// The right to change a cluster, until `expires_ms`.
public struct AdminCap has key {
    id: UID,
    cluster: ID,
    expires_ms: u64,
}

/// A capability that its holder would hand on.
public struct Offer has copy, drop, store {
    cap: ID,
    recipient: address,
}

/// Economics that wait for the timelock.
public struct Pending has copy, drop, store {
    economics: Economics,
    /// Not before this time.
    ripe_ms: u64,
}

public struct CapIssued has copy, drop {
    cluster: ID,
    governance: ID,
    cap: ID,
    recipient: address,
    expires_ms: u64,
}

public struct CapRevoked has copy, drop {
    cluster: ID,
    cap: ID,
}

public struct CapOffered has copy, drop {
    cluster: ID,
    cap: ID,
    recipient: address,
}

public struct CapOfferWithdrawn has copy, drop {
    cluster: ID,
    cap: ID,
}

public struct EconomicsProposed has copy, drop {
    cluster: ID,
    economics: Economics,
    ripe_ms: u64,
}

public struct EconomicsCancelled has copy, drop {
    cluster: ID,
}

public struct EconomicsChanged has copy, drop {
    cluster: ID,
    economics: Economics,
}

/// An object was brought to the version of the package.
public struct Migrated has copy, drop {
    cluster: ID,
    object: ID,
    version: u64,
}

/// Gives another address the same right, until `expires_ms` and no longer than the capability used.
public fun issue_cap(
    governance: &mut Governance,
    cap: &AdminCap,
    recipient: address,
    expires_ms: u64,
    clock: &Clock,
    ctx: &mut TxContext,
) {
    check(governance, cap, clock);
    assert!(expires_ms > clock.timestamp_ms(), EExpired);
    assert!(expires_ms <= cap.expires_ms, EOutlives);
    assert!(governance.caps.length() < MAX_CAPS, ETooManyCaps);
    mint(governance, recipient, expires_ms, ctx);
}

/// Makes a capability worthless: any of the cluster that does not outlive the one used, also that one itself.
/// One that never expires is always left, so a cluster cannot lose its governance.
public fun revoke_cap(governance: &mut Governance, cap: &AdminCap, revoked: ID, clock: &Clock) {
    check(governance, cap, clock);
    let (found, at) = find(governance, revoked);
    assert!(found, EUnknownCap);
    let expires_ms = governance.caps[at].expires_ms;
    assert!(expires_ms <= cap.expires_ms, EOutlives);
    assert!(expires_ms != NEVER || count_never(governance) > 1, ELastCap);
    end(governance, at);
}

/// Offers to hand the capability to another address; a second offer replaces the first.
public fun offer_cap(governance: &mut Governance, cap: &AdminCap, recipient: address, clock: &Clock) {
    check(governance, cap, clock);
    let id = object::id(cap);
    drop_offer(governance, id);
    governance.offers.push_back(Offer { cap: id, recipient });
    event::emit(CapOffered { cluster: governance.cluster, cap: id, recipient });
}

/// Takes the offer of a capability back.
public fun withdraw_offer(governance: &mut Governance, cap: &AdminCap, clock: &Clock) {
    check(governance, cap, clock);
    let id = object::id(cap);
    assert!(drop_offer(governance, id), ENotOffered);
    event::emit(CapOfferWithdrawn { cluster: governance.cluster, cap: id });
}

/// Accepts a capability that is offered to the sender: they are issued one with the same expiry, and the offered
/// one is revoked.
public fun accept_cap(governance: &mut Governance, cap: ID, clock: &Clock, ctx: &mut TxContext) {
    check_version(governance);
    let offer = Offer { cap, recipient: ctx.sender() };
    assert!(governance.offers.contains(&offer), ENotOffered);
    // An offer goes with its capability, so this one is live.
    let (_, at) = find(governance, cap);
    let expires_ms = governance.caps[at].expires_ms;
    assert!(clock.timestamp_ms() < expires_ms, EExpired);
    end(governance, at);
    mint(governance, ctx.sender(), expires_ms, ctx);
}

/// Proposes other economics; they can be applied when the present timelock is over. Replaces what waits.
public fun propose_economics(
    governance: &mut Governance,
    cap: &AdminCap,
    penalty_bps: vector<u64>,
    cap_bps: u64,
    cap_period_ms: u64,
    contest_ms: u64,
    extension_ms: u64,
    execute_ms: u64,
    evidence_age_ms: u64,
    reporter_bps: u64,
    uptime_bps: u64,
    epoch_ms: u64,
    payout_bps: u64,
    claim_ms: u64,
    price: u64,
    grace_ms: u64,
    timelock_ms: u64,
    clock: &Clock,
) {
    check(governance, cap, clock);
    let economics = economics::new(
        penalty_bps,
        cap_bps,
        cap_period_ms,
        contest_ms,
        extension_ms,
        execute_ms,
        evidence_age_ms,
        reporter_bps,
        uptime_bps,
        epoch_ms,
        payout_bps,
        claim_ms,
        price,
        grace_ms,
        timelock_ms,
    );
    let ripe_ms = ripe_ms(governance, clock);
    governance.pending = option::some(Pending { economics, ripe_ms });
    event::emit(EconomicsProposed { cluster: governance.cluster, economics, ripe_ms });
}

/// Withdraws the economics that wait for the timelock.
public fun cancel_economics(governance: &mut Governance, cap: &AdminCap, clock: &Clock) {
    check(governance, cap, clock);
    assert!(governance.pending.is_some(), ENotPending);
    governance.pending = option::none();
    event::emit(EconomicsCancelled { cluster: governance.cluster });
}

/// Puts the proposed economics in force, once the timelock is over.
public fun apply_economics(governance: &mut Governance, cap: &AdminCap, clock: &Clock) {
    check(governance, cap, clock);
    assert!(governance.pending.is_some(), ENotPending);
    let Pending { economics, ripe_ms } = *governance.pending.borrow();
    assert!(clock.timestamp_ms() >= ripe_ms, ETooEarly);
    governance.pending = option::none();
    governance.economics = economics;
    event::emit(EconomicsChanged { cluster: governance.cluster, economics });
}

/// Moves the cluster to the package's version: governance decides when. From then on anybody may migrate its
/// other objects, and those that were not answer nobody.
public fun migrate(governance: &mut Governance, cap: &AdminCap, clock: &Clock) {
    assert!(governance.version < VERSION, EWrongVersion);
    check_cap(governance, cap, clock);
    governance.version = VERSION;
    announce_migration(governance.cluster, object::id(governance));
}

/// Aborts unless `cap` may change the cluster of `governance` now.
public fun check(governance: &Governance, cap: &AdminCap, clock: &Clock) {
    check_version(governance);
    check_cap(governance, cap, clock);
}

/// Aborts unless the object is of the version that this package works on.
public(package) fun check_version(governance: &Governance) {
    assert!(governance.version == VERSION, EWrongVersion);
}

fun check_cap(governance: &Governance, cap: &AdminCap, clock: &Clock) {
    assert!(cap.cluster == governance.cluster, EWrongCluster);
    let (live, _) = find(governance, object::id(cap));
    assert!(live, ERevoked);
    assert!(clock.timestamp_ms() < cap.expires_ms, EExpired);
}

/// The cluster that is governed.
public fun cluster(governance: &Governance): ID {
    governance.cluster
}

/// What the cluster's money is held to.
public fun economics(governance: &Governance): &Economics {
    &governance.economics
}

/// The version of the objects that this package works on.
public(package) fun version(): u64 {
    VERSION
}

/// When something that is proposed now may take effect.
public(package) fun ripe_ms(governance: &Governance, clock: &Clock): u64 {
    clock.timestamp_ms() + governance.economics.timelock_ms()
}

/// Says that an object of the cluster has the package's version from now on.
public(package) fun announce_migration(cluster: ID, object: ID) {
    event::emit(Migrated { cluster, object, version: VERSION });
}

/// Governance of a new cluster; its first capability, which never expires, goes to `recipient`.
public(package) fun create(cluster: ID, recipient: address, ctx: &mut TxContext): ID {
    let economics = economics::default();
    let mut governance = Governance {
        id: object::new(ctx),
        version: VERSION,
        cluster,
        caps: vector[],
        offers: vector[],
        economics,
        pending: option::none(),
    };
    event::emit(EconomicsChanged { cluster, economics });
    mint(&mut governance, recipient, NEVER, ctx);
    let id = object::id(&governance);
    transfer::share_object(governance);
    id
}

fun mint(governance: &mut Governance, recipient: address, expires_ms: u64, ctx: &mut TxContext) {
    let cap = AdminCap { id: object::new(ctx), cluster: governance.cluster, expires_ms };
    let id = object::id(&cap);
    governance.caps.push_back(LiveCap { cap: id, expires_ms });
    event::emit(CapIssued {
        cluster: governance.cluster,
        governance: object::id(governance),
        cap: id,
        recipient,
        expires_ms,
    });
    transfer::transfer(cap, recipient);
}

/// Ends the capability at this place of the list, and its offer.
fun end(governance: &mut Governance, at: u64) {
    let LiveCap { cap, .. } = governance.caps.swap_remove(at);
    drop_offer(governance, cap);
    event::emit(CapRevoked { cluster: governance.cluster, cap });
}

/// Whether there was an offer of the capability; it is gone.
fun drop_offer(governance: &mut Governance, cap: ID): bool {
    let mut i = 0;
    while (i < governance.offers.length()) {
        if (governance.offers[i].cap == cap) {
            governance.offers.swap_remove(i);
            return true
        };
        i = i + 1;
    };
    false
}

/// Where a live capability is in the list.
fun find(governance: &Governance, cap: ID): (bool, u64) {
    let mut i = 0;
    while (i < governance.caps.length()) {
        if (governance.caps[i].cap == cap) return (true, i);
        i = i + 1;
    };
    (false, 0)
}

fun count_never(governance: &Governance): u64 {
    let mut count = 0;
    let mut i = 0;
    while (i < governance.caps.length()) {
        if (governance.caps[i].expires_ms == NEVER) count = count + 1;
        i = i + 1;
    };
    count
}

#[test_only]
public(package) fun set_version_for_testing(governance: &mut Governance, version: u64) {
    governance.version = version;
}
