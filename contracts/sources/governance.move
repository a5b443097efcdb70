/// Who may change a cluster: capabilities with an expiry that can be revoked. Every cluster has one shared
/// `Governance` that lists its live capabilities; a capability that is not in the list does nothing. A
/// capability stays with the address it was issued to: to hand it on, issue another and revoke it.
module k3s_daas::governance;

use sui::clock::Clock;
use sui::event;

/// The version of the shared object is not the one that this package works on.
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
    governance.caps.swap_remove(at);
    event::emit(CapRevoked { cluster: governance.cluster, cap: revoked });
}

/// Aborts unless `cap` may change the cluster of `governance` now.
public fun check(governance: &Governance, cap: &AdminCap, clock: &Clock) {
    assert!(governance.version == VERSION, EWrongVersion);
    assert!(cap.cluster == governance.cluster, EWrongCluster);
    let (live, _) = find(governance, object::id(cap));
    assert!(live, ERevoked);
    assert!(clock.timestamp_ms() < cap.expires_ms, EExpired);
}

/// The cluster that is governed.
public fun cluster(governance: &Governance): ID {
    governance.cluster
}

/// Governance of a new cluster; its first capability, which never expires, goes to `recipient`.
public(package) fun create(cluster: ID, recipient: address, ctx: &mut TxContext): ID {
    let mut governance = Governance { id: object::new(ctx), version: VERSION, cluster, caps: vector[] };
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
