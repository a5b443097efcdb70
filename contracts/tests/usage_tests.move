/// The price is one MIST for a unit and second, the grace time an hour: 3600 MIST for a unit.
#[test_only]
module k3s_daas::usage_tests;

use k3s_daas::k8s_gateway;
use k3s_daas::rewards::Pool;
use k3s_daas::usage::{Self, Escrow};
use k3s_daas::world::{Self, World};

const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;

/// The staker opens an escrow.
fun open(world: World, units: u64, mist: u64): World {
    let mut world = world.next(world::staker());
    let coin = world.coin(mist);
    let (cluster, governance, _, _, clock, ctx) = world.parts();
    usage::open(cluster, governance, units, coin, clock, ctx);
    world.next(world::staker())
}

/// Two units, for which the grace time is 7200 MIST, and as much again to use.
fun opened(): World {
    open(world::begin(true), 2, 14_400)
}

fun top_up(mut world: World, mist: u64): World {
    let mut escrow = world.take<Escrow>();
    let coin = world.coin(mist);
    let (_, governance, _, _, clock, _) = world.parts();
    escrow.top_up(governance, coin, clock);
    world::share(escrow);
    world.next(world::staker())
}

fun settle(mut world: World): World {
    let mut escrow = world.take<Escrow>();
    let (_, governance, _, _, clock, _) = world.parts();
    escrow.settle(governance, clock);
    world::share(escrow);
    world.next(world::staker())
}

fun withdraw(mut world: World, mist: u64): World {
    let mut escrow = world.take<Escrow>();
    let (_, governance, _, _, clock, ctx) = world.parts();
    escrow.withdraw(governance, mist, clock, ctx);
    world::share(escrow);
    world.next(world::staker())
}

fun resize(mut world: World, units: u64): World {
    let mut escrow = world.take<Escrow>();
    let (_, governance, _, _, clock, ctx) = world.parts();
    escrow.resize(governance, units, clock, ctx);
    world::share(escrow);
    world.next(world::staker())
}

fun reprice(mut world: World): World {
    let mut escrow = world.take<Escrow>();
    let (_, governance, _, _, clock, _) = world.parts();
    escrow.reprice(governance, clock);
    world::share(escrow);
    world.next(world::staker())
}

fun collect(world: World): World {
    let mut escrow = world.take<Escrow>();
    let mut pool = world.take<Pool>();
    escrow.collect(&mut pool);
    world::share(escrow);
    world::share(pool);
    world.next(world::staker())
}

/// Closes it: what the owner gets back and what the pool has then.
fun close(mut world: World, refund: u64, used: u64): World {
    let escrow = world.take<Escrow>();
    let mut pool = world.take<Pool>();
    let (_, governance, _, _, clock, ctx) = world.parts();
    escrow.close(&mut pool, governance, clock, ctx);
    assert!(pool.amount() == used);
    world::share(pool);
    world = world.next(world::staker());
    assert!(world.received(world::staker()) == refund);
    world
}

/// Governance doubles the price, which takes the timelock of a day.
fun double_price(world: World): World {
    let mut world = world.next(world::operator());
    let (governance, cap, clock, _) = world.governance_parts();
    governance.propose_economics(
        cap,
        vector[0, 0, 0, 0],
        10_000,
        DAY_MS,
        HOUR_MS,
        0,
        HOUR_MS,
        HOUR_MS,
        0,
        0,
        HOUR_MS,
        0,
        DAY_MS,
        2,
        HOUR_MS,
        HOUR_MS,
        clock,
    );
    world.advance(DAY_MS);
    let (governance, cap, clock, _) = world.governance_parts();
    governance.apply_economics(cap, clock);
    world.next(world::staker())
}

fun status(world: &World): u8 {
    let escrow = world.take<Escrow>();
    let status = escrow.status_for_testing();
    world::share(escrow);
    status
}

#[test]
fun use_is_paid_by_the_whole_second() {
    let mut world = opened();
    world.advance(10 * SECOND_MS + 999);
    world = settle(world);
    // The part of a second is not lost: a millisecond later it is the eleventh.
    world.advance(1);
    world = settle(world);
    world = collect(world);
    world = close(world, 14_400 - 22, 22);
    world.end();
}

#[test]
fun it_runs_low_and_out_and_comes_back() {
    let mut world = opened();
    assert!(status(&world) == 0);
    world = world.next(world::staker());
    world.advance(HOUR_MS);
    world = settle(world);
    assert!(status(&world) == 1);
    world = world.next(world::staker());
    world.advance(HOUR_MS);
    world = settle(world);
    assert!(status(&world) == 1);
    world = world.next(world::staker());
    // Nothing is left, so the next second cannot be paid.
    world.advance(SECOND_MS);
    world = settle(world);
    assert!(status(&world) == 2);
    world = world.next(world::staker());
    world.advance(DAY_MS);
    world = top_up(world, 7_201);
    assert!(status(&world) == 2);
    world = world.next(world::staker());
    world = top_up(world, 1);
    assert!(status(&world) == 0);
    world = world.next(world::staker());
    // Nobody pays for the day in which it was suspended.
    world = close(world, 7_202, 14_400);
    world.end();
}

#[test]
fun fewer_units_resume_it() {
    let mut world = opened();
    world.advance(3 * HOUR_MS);
    world = settle(world);
    assert!(status(&world) == 2);
    world = world.next(world::staker());
    world = top_up(world, 3_601);
    world = resize(world, 1);
    assert!(status(&world) == 0);
    world = world.next(world::staker());
    world = close(world, 3_601, 14_400);
    world.end();
}

#[test]
fun what_is_not_needed_is_withdrawn() {
    let mut world = opened();
    world = withdraw(world, 7_198);
    assert!(world.received(world::staker()) == 7_198);
    world = close(world, 7_202, 0);
    world.end();
}

#[test]
fun a_price_is_changed_from_now_on() {
    let mut world = open(world::begin(true), 1, 1_000_000);
    world = double_price(world);
    // A day at the old price, ten seconds at the new one.
    world = reprice(world);
    world.advance(10 * SECOND_MS);
    world = close(world, 1_000_000 - 86_400 - 20, 86_420);
    world.end();
}

#[test]
fun a_pause_traps_no_money() {
    let mut world = opened();
    let (cluster, governance, cap, clock) = world.cluster_parts();
    let until_ms = clock.timestamp_ms() + DAY_MS;
    cluster.pause(governance, cap, until_ms, clock);
    world = withdraw(world, 1);
    world = close(world, 14_399, 0);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EPaused)]
fun a_pause_stops_new_escrows() {
    let mut world = world::begin(true);
    let (cluster, governance, cap, clock) = world.cluster_parts();
    let until_ms = clock.timestamp_ms() + DAY_MS;
    cluster.pause(governance, cap, until_ms, clock);
    open(world, 1, 10_000).end();
}

#[test, expected_failure(abort_code = usage::ETooLow)]
fun an_escrow_begins_ahead() {
    open(world::begin(true), 2, 7_201).end();
}

#[test, expected_failure(abort_code = usage::ETooLow)]
fun an_escrow_stays_ahead() {
    withdraw(opened(), 7_199).end();
}

#[test, expected_failure(abort_code = usage::ETooLow)]
fun no_more_is_withdrawn_than_there_is() {
    withdraw(opened(), 14_401).end();
}

#[test, expected_failure(abort_code = usage::ETooLow)]
fun more_units_need_more() {
    resize(opened(), 4).end();
}

#[test, expected_failure(abort_code = usage::EBadUnits)]
fun no_units_are_no_escrow() {
    open(world::begin(true), 0, 10_000).end();
}

#[test, expected_failure(abort_code = usage::EBadUnits)]
fun units_have_a_bound() {
    resize(opened(), 1_000_001).end();
}

#[test, expected_failure(abort_code = usage::EBadAmount)]
fun nothing_is_no_top_up() {
    top_up(opened(), 0).end();
}

#[test, expected_failure(abort_code = usage::EBadAmount)]
fun nothing_is_not_withdrawn() {
    withdraw(opened(), 0).end();
}

#[test, expected_failure(abort_code = usage::ENotOwner)]
fun only_the_owner_withdraws() {
    let world = opened().next(world::stranger());
    withdraw(world, 1).end();
}

#[test, expected_failure(abort_code = usage::ENotOwner)]
fun only_the_owner_closes() {
    let world = opened().next(world::stranger());
    close(world, 0, 0).end();
}

#[test, expected_failure(abort_code = usage::ENotOwner)]
fun only_the_owner_resizes() {
    let world = opened().next(world::stranger());
    resize(world, 1).end();
}

#[test, expected_failure(abort_code = usage::ESamePrice)]
fun the_present_price_is_no_other() {
    reprice(opened()).end();
}

#[test, expected_failure(abort_code = usage::ENothingEarned)]
fun what_was_used_is_collected_once() {
    let mut world = opened();
    world.advance(SECOND_MS);
    world = settle(world);
    world = collect(world);
    collect(world).end();
}

#[test, expected_failure(abort_code = usage::EWrongCluster)]
fun another_cluster_collects_nothing() {
    let mut world = opened();
    world.advance(SECOND_MS);
    world = settle(world).with_other(b"cluster");
    // The last pool that was shared is the other's.
    collect(world).end();
}

/// Also when there is nothing to bring to a pool.
#[test, expected_failure(abort_code = usage::EWrongCluster)]
fun an_escrow_does_not_end_at_another_clusters_pool() {
    let world = opened().with_other(b"pool");
    close(world, 0, 0).end();
}

#[test, expected_failure(abort_code = usage::EWrongCluster)]
fun another_clusters_governance_sets_no_price() {
    let world = opened().with_other(b"governance");
    settle(world).end();
}

#[test, expected_failure(abort_code = usage::EWrongVersion)]
fun an_escrow_of_another_version_is_left_alone() {
    let world = opened();
    let mut escrow = world.take<Escrow>();
    escrow.set_version_for_testing(0);
    world::share(escrow);
    settle(world.next(world::staker())).end();
}

#[test]
fun an_escrow_is_migrated() {
    let mut world = opened();
    let mut escrow = world.take<Escrow>();
    escrow.set_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    escrow.migrate(governance);
    world::share(escrow);
    settle(world.next(world::staker())).end();
}
