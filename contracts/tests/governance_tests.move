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

/// Economics whose timelock is an hour and price `price`.
fun propose_economics(world: &mut World, price: u64) {
    let (governance, cap, clock, _) = world.governance_parts();
    governance.propose_economics(
        cap,
        vector[1, 2, 3, 4],
        5,
        HOUR_MS,
        HOUR_MS,
        0,
        HOUR_MS,
        HOUR_MS,
        6,
        7,
        HOUR_MS,
        8,
        24 * HOUR_MS,
        price,
        0,
        HOUR_MS,
        clock,
    );
}

fun apply_economics(world: &mut World) {
    let (governance, cap, clock, _) = world.governance_parts();
    governance.apply_economics(cap, clock);
}

fun cancel_economics(world: &mut World) {
    let (governance, cap, clock, _) = world.governance_parts();
    governance.cancel_economics(cap, clock);
}

fun offer(world: &mut World, recipient: address) {
    let (governance, cap, clock, _) = world.governance_parts();
    governance.offer_cap(cap, recipient, clock);
}

fun accept(world: &mut World, offered: ID) {
    let (governance, _, clock, ctx) = world.governance_parts();
    governance.accept_cap(offered, clock, ctx);
}

#[test]
fun economics_wait_for_the_timelock() {
    let mut world = world::begin(true);
    propose_economics(&mut world, 9);
    world.advance(24 * HOUR_MS);
    apply_economics(&mut world);
    let (_, governance, _, _, _, _) = world.parts();
    assert!(governance.economics().price() == 9);
    // The timelock is shorter now.
    propose_economics(&mut world, 10);
    world.advance(HOUR_MS);
    apply_economics(&mut world);
    assert!(world.events_of() == 4);
}

#[test, expected_failure(abort_code = governance::ETooEarly)]
fun economics_are_not_early() {
    let mut world = world::begin(true);
    propose_economics(&mut world, 9);
    world.advance(24 * HOUR_MS - 1);
    apply_economics(&mut world);
    world.end();
}

#[test, expected_failure(abort_code = governance::ENotPending)]
fun cancelled_economics_are_gone() {
    let mut world = world::begin(true);
    propose_economics(&mut world, 9);
    cancel_economics(&mut world);
    world.advance(24 * HOUR_MS);
    apply_economics(&mut world);
    world.end();
}

#[test, expected_failure(abort_code = governance::ENotPending)]
fun there_is_nothing_to_cancel() {
    let mut world = world::begin(true);
    cancel_economics(&mut world);
    world.end();
}

#[test]
fun a_capability_is_handed_on_in_two_steps() {
    let mut world = world::begin(true);
    offer(&mut world, world::staker());
    offer(&mut world, world::stranger());
    let offered = world.cap_id();
    world = world.next(world::stranger());
    accept(&mut world, offered);
    world = world.next(world::stranger());
    let cap = world.take_cap(world::stranger());
    world.check_cap(&cap);
    world::give_back(world::stranger(), cap);
    world.end();
}

#[test, expected_failure(abort_code = governance::ERevoked)]
fun who_handed_it_on_has_it_no_more() {
    let mut world = world::begin(true);
    offer(&mut world, world::stranger());
    let offered = world.cap_id();
    world = world.next(world::stranger());
    accept(&mut world, offered);
    propose_economics(&mut world, 9);
    world.end();
}

#[test, expected_failure(abort_code = governance::ENotOffered)]
fun only_who_it_is_offered_to_accepts() {
    let mut world = world::begin(true);
    offer(&mut world, world::stranger());
    let offered = world.cap_id();
    world = world.next(world::staker());
    accept(&mut world, offered);
    world.end();
}

#[test, expected_failure(abort_code = governance::ENotOffered)]
fun a_withdrawn_offer_is_gone() {
    let mut world = world::begin(true);
    offer(&mut world, world::stranger());
    let (governance, cap, clock, _) = world.governance_parts();
    governance.withdraw_offer(cap, clock);
    let offered = world.cap_id();
    world = world.next(world::stranger());
    accept(&mut world, offered);
    world.end();
}

#[test, expected_failure(abort_code = governance::EWrongVersion)]
fun what_has_the_version_is_not_migrated() {
    let mut world = world::begin(true);
    let (governance, cap, clock, _) = world.governance_parts();
    governance.migrate(cap, clock);
    world.end();
}

#[test]
fun governance_is_migrated_first() {
    let mut world = world::begin(true);
    let (governance, cap, clock, _) = world.governance_parts();
    governance.set_version_for_testing(0);
    governance.migrate(cap, clock);
    propose_economics(&mut world, 9);
    assert!(world.events_of() == 2);
}

#[test, expected_failure(abort_code = governance::EWrongVersion)]
fun nothing_is_migrated_before_governance() {
    let mut world = world::begin(true);
    world.governance_mut().set_version_for_testing(0);
    let (cluster, governance, _, _) = world.cluster_parts();
    cluster.set_version_for_testing(0);
    cluster.migrate_cluster(governance);
    world.end();
}
