#[test_only]
module k3s_daas::staking_tests;

use k3s_daas::staking;
use k3s_daas::world::{Self, World};

const DAY_MS: u64 = 86_400_000;
const NODE: u8 = 0;
const USER: u8 = 1;

/// A world with one stake of the staker, who is the sender.
fun staked(tier: u8, mist: u64): World {
    let mut world = world::begin(true).next(world::staker());
    world.stake(tier, mist);
    world.next(world::staker())
}

#[test]
fun a_stake_is_topped_up_asked_back_and_withdrawn() {
    let mut world = staked(USER, 1_000);
    let mut stake = world.take_stake();
    assert!(stake.amount() == 1_000 && stake.tier() == USER && !stake.is_node());
    assert!(stake.owner() == world::staker() && stake.cluster() == object::id(world.cluster()));
    world.top_up(&mut stake, 23);
    stake.check_covers(world.cluster());
    world.advance(DAY_MS);
    world.request_unstake(&mut stake);
    assert!(stake.is_unbonding());
    world.advance(7 * DAY_MS);
    world.withdraw(stake);
    world = world.next(world::staker());
    assert!(world.received(world::staker()) == 1_023);
    world.end();
}

#[test]
fun each_change_is_announced_once() {
    let mut world = staked(NODE, 100);
    let mut stake = world.take_stake();
    world.top_up(&mut stake, 1);
    world.request_unstake(&mut stake);
    world::share(stake);
    assert!(world.events_of() == 2);
}

#[test, expected_failure(abort_code = staking::ETooSmall)]
fun a_stake_covers_its_tier() {
    staked(USER, 999).end();
}

#[test, expected_failure(abort_code = k3s_daas::k8s_gateway::EBadTier)]
fun there_are_three_tiers() {
    staked(3, 1_000_000).end();
}

#[test, expected_failure(abort_code = staking::ENotOwner)]
fun only_the_owner_tops_up() {
    let mut world = staked(NODE, 100).next(world::stranger());
    let mut stake = world.take_stake();
    world.top_up(&mut stake, 1);
    world::share(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::ENotOwner)]
fun only_the_owner_asks_back() {
    let mut world = staked(NODE, 100).next(world::stranger());
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world::share(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::EUnbonding)]
fun a_stake_is_asked_back_once() {
    let mut world = staked(NODE, 100);
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world.request_unstake(&mut stake);
    world::share(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::EUnbonding)]
fun a_stake_in_unbonding_covers_nothing() {
    let mut world = staked(NODE, 100);
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    stake.check_covers(world.cluster());
    world::share(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::EWrongCluster)]
fun a_stake_is_for_one_cluster() {
    let mut world = staked(NODE, 100).with_other(b"cluster");
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world::share(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::ENotUnbonding)]
fun a_stake_is_asked_back_before_it_is_withdrawn() {
    let mut world = staked(NODE, 100);
    let stake = world.take_stake();
    world.advance(365 * DAY_MS);
    world.withdraw(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::ELocked)]
fun lock_up_outlasts_unbonding() {
    let mut world = staked(NODE, 100);
    world.set_config(vector[1, 1, 1], vector[0, 0, 0], 1, 60_000);
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world.advance(7 * DAY_MS - 1);
    world.withdraw(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::ELocked)]
fun unbonding_outlasts_lock_up() {
    let mut world = staked(NODE, 100);
    let mut stake = world.take_stake();
    world.advance(7 * DAY_MS);
    world.request_unstake(&mut stake);
    world.advance(7 * DAY_MS - 1);
    world.withdraw(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::EWrongVersion)]
fun a_stake_of_another_version_is_left_alone() {
    let mut world = staked(NODE, 100);
    let mut stake = world.take_stake();
    stake.set_version_for_testing(2);
    world.top_up(&mut stake, 1);
    world::share(stake);
    world.end();
}

#[test]
fun terms_are_those_of_the_day_it_was_made() {
    let mut world = world::begin(true);
    world.stake(1, 1_000);
    // From seven days of unbonding to a year.
    world.set_config(vector[1, 1, 1], vector[0, 0, 0], 365 * DAY_MS, 60_000);
    world = world.next(world::operator());
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world.advance(7 * DAY_MS);
    world.withdraw(stake);
    world = world.next(world::operator());
    assert!(world.received(world::operator()) == 1_000);
    world.end();
}

#[test]
fun a_pause_traps_no_stake() {
    let mut world = world::begin(true);
    world.stake(1, 1_000);
    world = world.next(world::operator());
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world.advance(7 * DAY_MS);
    let (cluster, governance, cap, clock) = world.cluster_parts();
    let until_ms = clock.timestamp_ms() + DAY_MS;
    cluster.pause(governance, cap, until_ms, clock);
    world.withdraw(stake);
    world = world.next(world::operator());
    assert!(world.received(world::operator()) == 1_000);
    world.end();
}

#[test]
fun a_stake_is_migrated() {
    let mut world = world::begin(true);
    world.stake(1, 1_000);
    world = world.next(world::operator());
    let mut stake = world.take_stake();
    stake.set_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    stake.migrate(governance);
    world.top_up(&mut stake, 1);
    world::share(stake);
    assert!(world.events_of() == 2);
}

#[test, expected_failure(abort_code = staking::EWrongCluster)]
fun another_clusters_governance_migrates_nothing() {
    let mut world = world::begin(true);
    world.stake(1, 1_000);
    world = world.next(world::operator()).with_other(b"governance");
    let mut stake = world.take_stake();
    stake.set_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    stake.migrate(governance);
    world::share(stake);
    world.end();
}

fun maintain(sender: address, from_ms: u64, to_ms: u64): World {
    let mut world = staked(NODE, 100).next(sender);
    let stake = world.take_stake();
    let now = world.now();
    let (_, _, _, _, clock, ctx) = world.parts();
    stake.announce_maintenance(now + from_ms, now + to_ms, clock, ctx);
    world::share(stake);
    world
}

#[test]
fun maintenance_is_announced() {
    assert!(maintain(world::staker(), 0, DAY_MS).events_of() == 1);
}

#[test, expected_failure(abort_code = staking::EBadMaintenance)]
fun maintenance_ends() {
    maintain(world::staker(), 5, 5).end();
}

#[test, expected_failure(abort_code = staking::EBadMaintenance)]
fun maintenance_lasts_a_day_at_most() {
    maintain(world::staker(), 0, DAY_MS + 1).end();
}

#[test, expected_failure(abort_code = staking::ENotOwner)]
fun only_the_owner_announces_maintenance() {
    maintain(world::stranger(), 0, DAY_MS).end();
}
