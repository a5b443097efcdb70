/// What platforms are held to, and which code workers may prove.
#[test_only]
module k3s_daas::tcb_tests;

use k3s_daas::enclave;
use k3s_daas::measurement;
use k3s_daas::tcb;
use k3s_daas::world::{Self, World};

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

fun set(world: &mut World, components: vector<vector<u8>>, minimums: vector<u64>) {
    world.set_bounds(b"sev-snp", components, minimums, vector[], vector[], HOUR_MS);
}

fun many(count: u64): vector<vector<u8>> {
    let mut names = vector[];
    let mut i = 0;
    while (i < count) {
        names.push_back(vector[(i / 16) as u8 + 65, (i % 16) as u8 + 65]);
        i = i + 1;
    };
    names
}

fun ones(count: u64): vector<u64> {
    let mut numbers = vector[];
    let mut i = 0;
    while (i < count) {
        numbers.push_back(1);
        i = i + 1;
    };
    numbers
}

#[test]
fun bounds_are_set_replaced_and_cleared() {
    let mut world = world::begin(true);
    set(&mut world, vector[b"microcode", b"snp"], vector[72, 8]);
    set(&mut world, vector[b"snp"], vector[9]);
    world.set_bounds(b"tdx", vector[], vector[], many(8), many(64), 30 * DAY_MS);
    world.clear_bounds(b"sev-snp");
    world.set_bounds(b"sev-snp", many(32), ones(32), vector[], vector[], 1_000);
    assert!(world.events_of() == 5);
}

#[test]
fun code_of_workers_comes_and_goes() {
    let mut world = world::begin(true);
    world.allow_worker(b"simulated", vector[b"code"], vector[b"1"]);
    // The same code may be a master too, and is retired there alone.
    world.allow(b"simulated", vector[b"code"], vector[b"1"]);
    world.retire(b"simulated", vector[b"code"], vector[b"1"]);
    world.retire_worker(b"simulated", vector[b"code"], vector[b"1"]);
    world.allow_worker(b"simulated", vector[b"code"], vector[b"1"]);
    assert!(world.events_of() == 5);
}

#[test, expected_failure(abort_code = enclave::ENoBounds)]
fun bounds_are_cleared_once() {
    let mut world = world::begin(true);
    set(&mut world, vector[], vector[]);
    world.clear_bounds(b"sev-snp");
    world.clear_bounds(b"sev-snp");
    world.end();
}

#[test, expected_failure(abort_code = measurement::EUnknownPlatform)]
fun bounds_are_of_a_platform() {
    let mut world = world::begin(true);
    world.set_bounds(b"abacus", vector[], vector[], vector[], vector[], HOUR_MS);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadBounds)]
fun every_component_has_a_minimum() {
    let mut world = world::begin(true);
    set(&mut world, vector[b"snp"], vector[]);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadBounds)]
fun components_ascend() {
    let mut world = world::begin(true);
    set(&mut world, vector[b"snp", b"microcode"], vector[8, 72]);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadBounds)]
fun a_component_is_named_once() {
    let mut world = world::begin(true);
    set(&mut world, vector[b"snp", b"snp"], vector[8, 8]);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadBounds)]
fun a_component_has_a_name() {
    let mut world = world::begin(true);
    set(&mut world, vector[b""], vector[8]);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadBounds)]
fun there_are_32_components() {
    let mut world = world::begin(true);
    set(&mut world, many(33), ones(33));
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadBounds)]
fun there_are_8_statuses() {
    let mut world = world::begin(true);
    world.set_bounds(b"tdx", vector[], vector[], many(9), vector[], HOUR_MS);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadBounds)]
fun there_are_64_advisories() {
    let mut world = world::begin(true);
    world.set_bounds(b"tdx", vector[], vector[], vector[], many(65), HOUR_MS);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadAge)]
fun evidence_may_be_a_second_old() {
    let mut world = world::begin(true);
    world.set_bounds(b"tdx", vector[], vector[], vector[], vector[], 999);
    world.end();
}

#[test, expected_failure(abort_code = tcb::EBadAge)]
fun evidence_is_not_older_than_30_days() {
    let mut world = world::begin(true);
    world.set_bounds(b"tdx", vector[], vector[], vector[], vector[], 30 * DAY_MS + 1);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EWrongCluster)]
fun bounds_are_of_ones_own_cluster() {
    let mut world = world::begin(true).with_other(b"registry");
    set(&mut world, vector[], vector[]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::ESimulated)]
fun workers_are_simulated_only_where_that_is_allowed() {
    let mut world = world::begin(false);
    world.allow_worker(b"simulated", vector[b"code"], vector[b"1"]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EAlreadyAllowed)]
fun code_of_workers_is_allowed_once() {
    let mut world = world::begin(true);
    world.allow_worker(b"simulated", vector[b"code"], vector[b"1"]);
    world.allow_worker(b"simulated", vector[b"code"], vector[b"1"]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::EMeasurementNotAllowed)]
fun code_of_masters_is_not_code_of_workers() {
    let mut world = world::begin(true);
    world.allow(b"simulated", vector[b"code"], vector[b"1"]);
    world.retire_worker(b"simulated", vector[b"code"], vector[b"1"]);
    world.end();
}

#[test, expected_failure(abort_code = enclave::ETooMany)]
fun there_are_64_measurements_of_workers() {
    let mut world = world::begin(true);
    let mut i = 0u64;
    while (i < 65) {
        world.allow_worker(b"simulated", vector[b"code"], vector[vector[i as u8]]);
        i = i + 1;
    };
    world.end();
}
