#[test_only]
module k3s_daas::seal_policy_tests;

use k3s_daas::anchor::{Self, Anchor};
use k3s_daas::enclave;
use k3s_daas::intent_message;
use k3s_daas::scene;
use k3s_daas::seal_policy;
use k3s_daas::signed;
use k3s_daas::world::{Self, World};

/// BLAKE2b-256 of 0 and `signed::enclave()`.
const ENCLAVE: address = @0x7799ea80594c35644321148485238c7a7a1c6549809e1795e6747c6d4da2504c;

fun seal(mut world: World, object: vector<u8>, timestamp_ms: u64, signature: vector<u8>): World {
    let mut anchor = world.take<Anchor>();
    let mut enclave = world.take_enclave();
    let (_, _, registry, _, clock, _) = world.parts();
    anchor.seal(registry, &mut enclave, object, timestamp_ms, signature, clock);
    assert!(seal_policy::sealed_for_testing(&mut anchor) == object);
    world::share(anchor);
    world::share(enclave);
    world.next(world::stranger())
}

use fun seal_policy::seal as Anchor.seal;

fun sealed(world: World): World {
    seal(world, b"first", world::start_ms(), signed::sealing())
}

/// Tries as `sender` to have the key of what the cluster's id and `rest` make.
fun approve(world: World, sender: address, rest: vector<u8>): World {
    let mut world = world.next(sender);
    let enclave = world.take_enclave();
    let mut id = object::id(world.cluster()).to_bytes();
    id.append(rest);
    let (_, _, registry, _, clock, ctx) = world.parts();
    seal_policy::approve_for_testing(id, &enclave, registry, clock, ctx);
    world::share(enclave);
    world
}

#[test]
fun an_enclave_keeps_what_it_encrypted_and_replaces_it() {
    let mut world = sealed(scene::trusted());
    world = seal(world, b"second", world::start_ms() + 1, signed::next_sealing());
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadTimestamp)]
fun an_earlier_one_does_not_come_back() {
    let world = sealed(sealed(scene::trusted()));
    world.end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun what_is_kept_is_what_the_enclave_signed() {
    let world = seal(scene::trusted(), b"other", world::start_ms(), signed::sealing());
    world.end();
}

#[test, expected_failure(abort_code = seal_policy::EBadObject)]
fun nothing_is_not_kept() {
    let world = seal(scene::trusted(), b"", world::start_ms(), signed::sealing());
    world.end();
}

#[test, expected_failure(abort_code = seal_policy::EBadObject)]
fun it_has_4096_bytes_at_most() {
    let mut object = vector[];
    while (object.length() <= 4096) object.push_back(0);
    let world = seal(scene::trusted(), object, world::start_ms(), signed::sealing());
    world.end();
}

#[test, expected_failure(abort_code = seal_policy::EWrongCluster)]
fun an_enclave_keeps_the_secret_of_its_own_cluster() {
    // The last anchor that was shared is the other's.
    let world = sealed(scene::trusted().with_other(b"cluster"));
    world.end();
}

#[test, expected_failure(abort_code = anchor::EWrongVersion)]
fun an_anchor_of_another_version_keeps_nothing() {
    let world = scene::trusted();
    let mut anchor = world.take<Anchor>();
    anchor.set_version_for_testing(0);
    world::share(anchor);
    let world = sealed(world.next(world::stranger()));
    world.end();
}

#[test]
fun a_registered_enclave_has_the_keys_of_its_cluster() {
    let world = approve(scene::trusted(), ENCLAVE, b"");
    let world = approve(world, ENCLAVE, b"and more");
    world.end();
}

#[test, expected_failure(abort_code = seal_policy::ENotEnclave)]
fun nobody_else_has_them() {
    let world = approve(scene::trusted(), world::operator(), b"");
    world.end();
}

#[test, expected_failure(abort_code = seal_policy::EWrongIdentity)]
fun it_has_those_of_no_other_cluster() {
    let world = approve(scene::trusted().with_other(b"cluster"), ENCLAVE, b"");
    world.end();
}

#[test, expected_failure(abort_code = seal_policy::EWrongIdentity)]
fun half_of_the_clusters_id_is_not_enough() {
    let mut world = scene::trusted().next(ENCLAVE);
    let enclave = world.take_enclave();
    let mut id = object::id(world.cluster()).to_bytes();
    id.pop_back();
    let (_, _, registry, _, clock, ctx) = world.parts();
    seal_policy::approve_for_testing(id, &enclave, registry, clock, ctx);
    abort 0
}

#[test, expected_failure(abort_code = enclave::EWrongCluster)]
fun another_clusters_registry_decides_nothing() {
    let world = approve(scene::trusted().with_other(b"registry"), ENCLAVE, b"");
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun retired_code_has_no_keys() {
    let mut world = scene::trusted();
    world.retire(b"simulated", vector[b"code"], vector[b"1"]);
    let world = approve(world, ENCLAVE, b"");
    world.end();
}

#[test, expected_failure(abort_code = enclave::EExpired)]
fun a_registration_that_is_over_has_no_keys() {
    let mut world = scene::trusted();
    world.advance(30 * 86_400_000);
    let world = approve(world, ENCLAVE, b"");
    world.end();
}
