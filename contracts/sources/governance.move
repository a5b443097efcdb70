/// Who may change a cluster: capabilities with an expiry that can be revoked. Every cluster has one shared
/// `Governance` that lists its live capabilities; a capability that is not in the list does nothing.
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
/// The last capability of a cluster cannot be revoked.
const ELastCap: u64 = 5;
/// There are as many live capabilities as a cluster may have.
const ETooManyCaps: u64 = 6;
/// There is no live capability with this id.
const EUnknownCap: u64 = 7;

const VERSION: u64 = 1;
const MAX_CAPS: u64 = 32;

/// The live capabilities of one cluster. Shared.
public struct Governance has key {
    id: UID,
    version: u64,
    cluster: ID,
    caps: vector<ID>,
}

/// The right to change a cluster, until `expires_ms`.
public struct AdminCap has key, store {
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

/// Gives another address the same right, until `expires_ms`.
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
    assert!(governance.caps.length() < MAX_CAPS, ETooManyCaps);
    let issued = mint(governance, recipient, expires_ms, ctx);
    transfer::public_transfer(issued, recipient);
}

/// Makes a capability worthless. A holder may revoke any of the cluster, also the one used, but not the last.
public fun revoke_cap(governance: &mut Governance, cap: &AdminCap, revoked: ID, clock: &Clock) {
    check(governance, cap, clock);
    assert!(governance.caps.length() > 1, ELastCap);
    let (found, at) = governance.caps.index_of(&revoked);
    assert!(found, EUnknownCap);
    governance.caps.swap_remove(at);
    event::emit(CapRevoked { cluster: governance.cluster, cap: revoked });
}

/// Aborts unless `cap` may change the cluster of `governance` now.
public fun check(governance: &Governance, cap: &AdminCap, clock: &Clock) {
    assert!(governance.version == VERSION, EWrongVersion);
    assert!(cap.cluster == governance.cluster, EWrongCluster);
    assert!(governance.caps.contains(&object::id(cap)), ERevoked);
    assert!(clock.timestamp_ms() < cap.expires_ms, EExpired);
}

/// The cluster that is governed.
public fun cluster(governance: &Governance): ID {
    governance.cluster
}

/// Governance of a new cluster and its first capability, which never expires.
public(package) fun create(cluster: ID, recipient: address, ctx: &mut TxContext): (ID, AdminCap) {
    let mut governance = Governance { id: object::new(ctx), version: VERSION, cluster, caps: vector[] };
    let cap = mint(&mut governance, recipient, 18446744073709551615, ctx);
    let id = object::id(&governance);
    transfer::share_object(governance);
    (id, cap)
}

fun mint(governance: &mut Governance, recipient: address, expires_ms: u64, ctx: &mut TxContext): AdminCap {
    let cap = AdminCap { id: object::new(ctx), cluster: governance.cluster, expires_ms };
    let id = object::id(&cap);
    governance.caps.push_back(id);
    event::emit(CapIssued {
        cluster: governance.cluster,
        governance: object::id(governance),
        cap: id,
        recipient,
        expires_ms,
    });
    cap
}
