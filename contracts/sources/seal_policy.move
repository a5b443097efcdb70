/// The cluster's secret as key servers of Seal can bring it back, and who may have their keys. What is encrypted to them is
/// public; their keys decide, and they give those to whoever `seal_approve` lets through.
module k3s_daas::seal_policy;

use k3s_daas::anchor::Anchor;
use k3s_daas::enclave::{Enclave, Registry};
use std::bcs;
use sui::clock::Clock;
use sui::dynamic_field;
use sui::event;

/// The object belongs to another cluster.
const EWrongCluster: u64 = 1;
/// The encrypted secret is empty or too long.
const EBadObject: u64 = 2;
/// The identity does not begin with the id of the enclave's cluster.
const EWrongIdentity: u64 = 3;
/// The sender is not the address of the enclave's key.
const ENotEnclave: u64 = 4;

const MAX_OBJECT_BYTES: u64 = 4096;
/// Intent of the enclave's statement.
const INTENT_SEALING: u8 = 8;

/// Where it lies on the anchor.
public struct Slot has copy, drop, store {}

/// The latest one.
public struct Sealed has drop, store {
    /// Seal's `EncryptedObject`, in BCS.
    object: vector<u8>,
    /// The enclave that encrypted it.
    enclave: ID,
    sealed_ms: u64,
}

/// What the enclave signs.
public struct Sealing has copy, drop {
    cluster: ID,
    object: vector<u8>,
}

/// An enclave has encrypted the cluster's secret to key servers.
public struct SecretSealed has copy, drop {
    cluster: ID,
    anchor: ID,
    enclave: ID,
    object: vector<u8>,
    sealed_ms: u64,
}

/// Keeps what an enclave in good standing encrypted, in place of what was there.
public fun seal(
    anchor: &mut Anchor,
    registry: &Registry,
    enclave: &mut Enclave,
    object: vector<u8>,
    timestamp_ms: u64,
    signature: vector<u8>,
    clock: &Clock,
) {
    anchor.check_version();
    let cluster = anchor.cluster();
    assert!(enclave.cluster() == cluster, EWrongCluster);
    assert!(object.length() >= 1 && object.length() <= MAX_OBJECT_BYTES, EBadObject);
    enclave.verify(registry, INTENT_SEALING, timestamp_ms, Sealing { cluster, object }, &signature, clock);
    let sealed_ms = clock.timestamp_ms();
    let by = object::id(enclave);
    let id = object::id(anchor);
    let place = anchor.place();
    if (dynamic_field::exists_(place, Slot {})) {
        let _: Sealed = dynamic_field::remove(place, Slot {});
    };
    dynamic_field::add(place, Slot {}, Sealed { object, enclave: by, sealed_ms });
    event::emit(SecretSealed { cluster, anchor: id, enclave: by, object, sealed_ms });
}

/// Lets through who asks key servers for the key of `id`, if that is a registered enclave of the cluster with which `id` begins, whose code
/// the cluster trusts now. The sender proves to the key servers that it has the enclave's key. Changes nothing: they only try it.
entry fun seal_approve(id: vector<u8>, enclave: &Enclave, registry: &Registry, clock: &Clock, ctx: &TxContext) {
    let cluster = enclave.cluster().to_bytes();
    assert!(id.length() >= cluster.length(), EWrongIdentity);
    let mut i = 0;
    while (i < cluster.length()) {
        assert!(id[i] == cluster[i], EWrongIdentity);
        i = i + 1;
    };
    assert!(bcs::to_bytes(&ctx.sender()) == enclave.address_bytes(), ENotEnclave);
    enclave.check_standing(registry, clock);
}

#[test_only]
public(package) fun sealed_for_testing(anchor: &mut Anchor): vector<u8> {
    let sealed: &Sealed = dynamic_field::borrow(anchor.place(), Slot {});
    sealed.object
}

#[test_only]
public(package) fun approve_for_testing(
    id: vector<u8>,
    enclave: &Enclave,
    registry: &Registry,
    clock: &Clock,
    ctx: &TxContext,
) {
    seal_approve(id, enclave, registry, clock, ctx)
}
