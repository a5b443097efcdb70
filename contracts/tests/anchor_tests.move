#[test_only]
module k3s_daas::anchor_tests;

use k3s_daas::anchor::{Self, Anchor};
use k3s_daas::enclave;
use k3s_daas::intent_message;
use k3s_daas::scene;
use k3s_daas::signed;
use k3s_daas::world::{Self, World};

const ROOT: vector<u8> = x"1111111111111111111111111111111111111111111111111111111111111111";
const LOG: vector<u8> = x"2222222222222222222222222222222222222222222222222222222222222222";

fun record(
    mut world: World,
    revision: u64,
    root: vector<u8>,
    blob: vector<u8>,
    key_epoch: u64,
    signature: vector<u8>,
): World {
    let mut anchor = world.take<Anchor>();
    let mut enclave = world.take_enclave();
    let (_, _, registry, _, clock, _) = world.parts();
    // The next point is signed a millisecond later.
    let timestamp_ms = world::start_ms() + revision - 5;
    anchor.record(registry, &mut enclave, revision, root, LOG, blob, key_epoch, timestamp_ms, signature, clock);
    world::share(anchor);
    world::share(enclave);
    world.next(world::stranger())
}

#[test]
fun an_enclave_anchors_points_in_order() {
    let mut world = scene::trusted();
    world = record(world, 5, ROOT, b"blob", 1, signed::point());
    world = record(world, 6, ROOT, b"blob", 2, signed::next_point());
    world.end();
}

#[test, expected_failure(abort_code = anchor::ENotNewer)]
fun a_revision_is_anchored_once() {
    let mut world = scene::trusted();
    world = record(world, 5, ROOT, b"blob", 1, signed::point());
    world = record(world, 5, ROOT, b"blob", 1, signed::point());
    world.end();
}

#[test, expected_failure(abort_code = anchor::EOldKey)]
fun an_old_key_does_not_come_back() {
    let mut world = scene::trusted();
    world = record(world, 5, ROOT, b"blob", 1, signed::point());
    world = record(world, 6, ROOT, b"blob", 0, signed::next_point());
    world.end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun a_point_is_what_the_enclave_signed() {
    let mut world = scene::trusted();
    world = record(world, 5, LOG, b"blob", 1, signed::point());
    world.end();
}

#[test, expected_failure(abort_code = anchor::EBadHash)]
fun a_root_has_32_bytes() {
    let mut world = scene::trusted();
    world = record(world, 5, b"short", b"blob", 1, signed::point());
    world.end();
}

#[test, expected_failure(abort_code = anchor::EBadBlob)]
fun a_blob_id_has_64_bytes_at_most() {
    let mut world = scene::trusted();
    let mut blob = ROOT;
    blob.append(ROOT);
    blob.push_back(0);
    world = record(world, 5, ROOT, blob, 1, signed::point());
    world.end();
}

#[test, expected_failure(abort_code = anchor::EWrongCluster)]
fun an_enclave_anchors_its_own_cluster() {
    let mut world = scene::trusted().with_other(b"cluster");
    // The last anchor that was shared is the other's.
    world = record(world, 5, ROOT, b"blob", 1, signed::point());
    world.end();
}

#[test, expected_failure(abort_code = anchor::EWrongVersion)]
fun an_anchor_of_another_version_is_left_alone() {
    let mut world = scene::trusted();
    let mut anchor = world.take<Anchor>();
    anchor.set_version_for_testing(0);
    world::share(anchor);
    world = world.next(world::stranger());
    world = record(world, 5, ROOT, b"blob", 1, signed::point());
    world.end();
}

#[test]
fun an_anchor_is_migrated() {
    let mut world = scene::trusted();
    let mut anchor = world.take<Anchor>();
    anchor.set_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    anchor.migrate(governance);
    world::share(anchor);
    assert!(world.events_of() == 1);
}

fun declare(mut world: World, root: vector<u8>): World {
    let anchor = world.take<Anchor>();
    let mut enclave = world.take_enclave();
    let (_, _, registry, _, clock, _) = world.parts();
    let now = world::start_ms();
    anchor.declare_unanchored(registry, &mut enclave, 5, root, now - 3_600_000, now, signed::unanchored(), clock);
    world::share(anchor);
    world::share(enclave);
    world.next(world::stranger())
}

#[test]
fun an_enclave_declares_that_it_went_without_the_anchor() {
    let mut world = scene::trusted();
    world = declare(world, ROOT);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EBadTimestamp)]
fun it_is_declared_once() {
    let mut world = scene::trusted();
    world = declare(world, ROOT);
    world = declare(world, ROOT);
    world.end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun what_is_declared_is_signed() {
    let mut world = scene::trusted();
    world = declare(world, LOG);
    world.end();
}

#[test, expected_failure(abort_code = anchor::EWrongCluster)]
fun it_is_declared_for_its_own_cluster() {
    let mut world = scene::trusted().with_other(b"cluster");
    // The last anchor that was shared is the other's.
    world = declare(world, ROOT);
    world.end();
}
