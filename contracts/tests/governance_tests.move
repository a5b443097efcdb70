#[test_only]
module k3s_daas::governance_tests;

use k3s_daas::governance;
use k3s_daas::world::{Self, World};

const HOUR_MS: u64 = 3_600_000;
const NEVER: u64 = 18_446_744_073_709_551_615;

/// A world in which the staker has a capability for an hour.
fun deputised(): World {
    let mut world = world::begin(true);
    world.issue_cap(world::staker(), world::start_ms() + HOUR_MS);
    world.next(world::staker())
}

#[test]
fun a_deputy_may_do_what_the_operator_may() {
    let mut world = deputised();
    let cap = world.take_cap(world::staker());
    world.check_cap(&cap);
    world.issue_cap_with(&cap, world::stranger(), world::start_ms() + HOUR_MS);
    sui::test_scenario::return_to_address(world::staker(), cap);
    let mut world = world.next(world::staker());
    let theirs = world.take_cap(world::stranger());
    world.check_cap(&theirs);
    world.revoke_cap(object::id(&theirs));
    sui::test_scenario::return_to_address(world::stranger(), theirs);
    world.end();
}

#[test]
fun governance_is_handed_over() {
    let mut world = world::begin(true);
    let first = world.cap_id();
    world.issue_cap(world::staker(), NEVER);
    let mut world = world.next(world::staker());
    let cap = world.take_cap(world::staker());
    world.revoke_cap_with(&cap, first);
    world.check_cap(&cap);
    sui::test_scenario::return_to_address(world::staker(), cap);
    assert!(world.events_of() == 1);
}

#[test, expected_failure(abort_code = governance::EWrongCluster)]
fun a_capability_is_for_one_cluster() {
    let mut world = world::begin(true).with_other(b"cap");
    world.issue_cap(world::staker(), NEVER);
    world.end();
}

#[test, expected_failure(abort_code = governance::EExpired)]
fun a_capability_expires() {
    let mut world = deputised();
    world.advance(HOUR_MS);
    let cap = world.take_cap(world::staker());
    world.check_cap(&cap);
    sui::test_scenario::return_to_address(world::staker(), cap);
    world.end();
}

#[test, expected_failure(abort_code = governance::EExpired)]
fun a_capability_begins_before_it_ends() {
    let mut world = world::begin(true);
    world.issue_cap(world::staker(), world::start_ms());
    world.end();
}

#[test, expected_failure(abort_code = governance::ERevoked)]
fun a_revoked_capability_does_nothing() {
    let mut world = deputised();
    let cap = world.take_cap(world::staker());
    world.revoke_cap(object::id(&cap));
    world.issue_cap_with(&cap, world::stranger(), world::start_ms() + HOUR_MS);
    sui::test_scenario::return_to_address(world::staker(), cap);
    world.end();
}

#[test, expected_failure(abort_code = governance::EUnknownCap)]
fun only_what_is_live_is_revoked() {
    let mut world = world::begin(true);
    let nothing = object::id(world.cluster());
    world.revoke_cap(nothing);
    world.end();
}

#[test, expected_failure(abort_code = governance::EOutlives)]
fun a_deputy_cannot_extend_the_term() {
    let mut world = deputised();
    let cap = world.take_cap(world::staker());
    world.issue_cap_with(&cap, world::staker(), world::start_ms() + HOUR_MS + 1);
    sui::test_scenario::return_to_address(world::staker(), cap);
    world.end();
}

#[test, expected_failure(abort_code = governance::EOutlives)]
fun a_deputy_cannot_revoke_the_operator() {
    let mut world = deputised();
    let cap = world.take_cap(world::staker());
    let operators = world.cap_id();
    world.revoke_cap_with(&cap, operators);
    sui::test_scenario::return_to_address(world::staker(), cap);
    world.end();
}

#[test, expected_failure(abort_code = governance::ELastCap)]
fun a_cluster_keeps_a_capability_without_end() {
    let mut world = deputised();
    let operators = world.cap_id();
    world.revoke_cap(operators);
    world.end();
}

#[test, expected_failure(abort_code = governance::ETooManyCaps)]
fun there_is_a_limit_to_capabilities() {
    let mut world = world::begin(true);
    let mut i = 0;
    while (i < 32) {
        world.issue_cap(world::staker(), NEVER);
        i = i + 1;
    };
    world.end();
}

#[test, expected_failure(abort_code = governance::EWrongVersion)]
fun governance_of_another_version_is_left_alone() {
    let mut world = world::begin(true);
    world.governance_mut().set_version_for_testing(2);
    world.issue_cap(world::staker(), NEVER);
    world.end();
}
