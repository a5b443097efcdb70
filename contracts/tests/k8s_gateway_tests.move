#[test_only]
module k3s_daas::k8s_gateway_tests;

use k3s_daas::k8s_gateway;
use k3s_daas::world::{Self, World};

const DAY_MS: u64 = 86_400_000;
const YEAR_MS: u64 = 31_536_000_000;

#[test]
fun a_cluster_has_the_missions_defaults() {
    let world = world::begin(true);
    let cluster = world.cluster();
    assert!(cluster.minimum(0) == 100 && cluster.minimum(1) == 1_000 && cluster.minimum(2) == 10_000);
    assert!(cluster.lock_ms(0) == 7 * DAY_MS && cluster.lock_ms(1) == DAY_MS);
    assert!(cluster.unbonding_ms() == 7 * DAY_MS && cluster.token_lifetime_ms() == 30 * DAY_MS);
    world.end();
}

#[test]
fun the_configuration_changes() {
    let mut world = world::begin(true);
    world.set_config(vector[1, 2, 3], vector[4, 5, YEAR_MS], 0, 60_000);
    let cluster = world.cluster();
    assert!(cluster.minimum(2) == 3 && cluster.lock_ms(2) == YEAR_MS);
    assert!(cluster.unbonding_ms() == 0 && cluster.token_lifetime_ms() == 60_000);
    assert!(world.events_of() == 1);
}

#[test]
fun a_role_is_granted_and_taken_back() {
    let mut world = world::begin(true);
    world.grant(b"team-a", b"edit");
    world = world.next(world::operator());
    let grant = world.take_grant();
    world.revoke_grant(grant);
    world.grant(b"", b"cluster-admin");
    assert!(world.events_of() == 2);
}

#[test]
fun labels_are_those_of_dns() {
    assert!(k8s_gateway::is_label(&b"a".to_string()));
    assert!(k8s_gateway::is_label(&b"0-z9".to_string()));
    let mut long = b"";
    while (long.length() < 63) long.push_back(97);
    assert!(k8s_gateway::is_label(&long.to_string()));
    long.push_back(97);
    assert!(!k8s_gateway::is_label(&long.to_string()));
    assert!(!k8s_gateway::is_label(&b"".to_string()));
    assert!(!k8s_gateway::is_label(&b"-a".to_string()));
    assert!(!k8s_gateway::is_label(&b"a-".to_string()));
    assert!(!k8s_gateway::is_label(&b"A".to_string()));
    assert!(!k8s_gateway::is_label(&b"a.b".to_string()));
}

#[test, expected_failure(abort_code = k8s_gateway::EBadString)]
fun a_cluster_has_a_name() {
    let mut scenario = sui::test_scenario::begin(world::operator());
    k8s_gateway::create_cluster(b"".to_string(), true, scenario.ctx());
    scenario.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EBadTier)]
fun every_tier_is_configured() {
    let mut world = world::begin(true);
    world.set_config(vector[1, 2], vector[0, 0], 0, 60_000);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EOutOfBounds)]
fun a_stake_is_worth_something() {
    let mut world = world::begin(true);
    world.set_config(vector[1, 0, 1], vector[0, 0, 0], 0, 60_000);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EOutOfBounds)]
fun a_lock_up_ends_within_a_year() {
    let mut world = world::begin(true);
    world.set_config(vector[1, 1, 1], vector[0, 0, YEAR_MS + 1], 0, 60_000);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EOutOfBounds)]
fun unbonding_ends_within_a_year() {
    let mut world = world::begin(true);
    world.set_config(vector[1, 1, 1], vector[0, 0, 0], YEAR_MS + 1, 60_000);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EOutOfBounds)]
fun a_token_lives_a_minute() {
    let mut world = world::begin(true);
    world.set_config(vector[1, 1, 1], vector[0, 0, 0], 0, 59_999);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongCluster)]
fun governance_is_of_one_cluster() {
    let mut world = world::begin(true).with_other(b"cluster");
    world.grant(b"", b"view");
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongCluster)]
fun names_are_of_one_cluster() {
    let mut world = world::begin(true).next(world::staker());
    world.stake(0, 100);
    world = world.next(world::staker()).with_other(b"names");
    let mut stake = world.take_stake();
    world.issue(&mut stake, x"0101010101010101010101010101010101010101010101010101010101010101", b"node-1");
    world::share(stake);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EBadRole)]
fun there_are_four_roles() {
    let mut world = world::begin(true);
    world.grant(b"team-a", b"root");
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EBadRole)]
fun cluster_admin_is_for_the_whole_cluster() {
    let mut world = world::begin(true);
    world.grant(b"team-a", b"cluster-admin");
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EBadNamespace)]
fun a_namespace_is_a_label() {
    let mut world = world::begin(true);
    world.grant(b"Team", b"view");
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongVersion)]
fun a_cluster_of_another_version_is_left_alone() {
    let mut world = world::begin(true);
    world.cluster_mut().set_version_for_testing(2);
    world.grant(b"", b"view");
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongVersion)]
fun names_of_another_version_are_left_alone() {
    let mut world = world::begin(true).next(world::staker());
    world.stake(0, 100);
    world = world.next(world::staker());
    world.names_mut().set_names_version_for_testing(2);
    let mut stake = world.take_stake();
    world.issue(&mut stake, x"0101010101010101010101010101010101010101010101010101010101010101", b"node-1");
    world::share(stake);
    world.end();
}

fun pause(world: &mut World, ms: u64) {
    let (cluster, governance, cap, clock) = world.cluster_parts();
    let until_ms = clock.timestamp_ms() + ms;
    cluster.pause(governance, cap, until_ms, clock);
}

fun unpause(world: &mut World) {
    let (cluster, governance, cap, clock) = world.cluster_parts();
    cluster.unpause(governance, cap, clock);
}

#[test]
fun a_pause_ends() {
    let mut world = world::begin(true);
    pause(&mut world, DAY_MS);
    unpause(&mut world);
    world.stake(0, 100);
    pause(&mut world, DAY_MS);
    world.advance(DAY_MS);
    world.stake(0, 100);
    assert!(world.events_of() == 5);
}

#[test, expected_failure(abort_code = k8s_gateway::EPaused)]
fun a_pause_stops_new_stakes() {
    let mut world = world::begin(true);
    pause(&mut world, DAY_MS);
    world.advance(DAY_MS - 1);
    world.stake(0, 100);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::ENotPaused)]
fun what_runs_is_not_unpaused() {
    let mut world = world::begin(true);
    unpause(&mut world);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EOutOfBounds)]
fun a_pause_has_an_end() {
    let mut world = world::begin(true);
    pause(&mut world, 14 * DAY_MS + 1);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EOutOfBounds)]
fun a_pause_begins_now() {
    let mut world = world::begin(true);
    pause(&mut world, 0);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongVersion)]
fun a_grant_of_another_version_is_left_alone() {
    let mut world = world::begin(true);
    world.grant(b"", b"view");
    world = world.next(world::operator());
    let mut grant = world.take_grant();
    grant.set_grant_version_for_testing(0);
    world.revoke_grant(grant);
    world.end();
}

#[test]
fun cluster_names_and_grants_are_migrated() {
    let mut world = world::begin(true);
    world.grant(b"", b"view");
    world = world.next(world::operator());
    let mut grant = world.take_grant();
    grant.set_grant_version_for_testing(0);
    world.names_mut().set_names_version_for_testing(0);
    let (cluster, governance, _, _) = world.cluster_parts();
    cluster.set_version_for_testing(0);
    cluster.migrate_cluster(governance);
    grant.migrate_grant(governance);
    world.migrate_names();
    world.revoke_grant(grant);
    assert!(world.events_of() == 4);
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongVersion)]
fun a_cluster_of_this_version_is_not_migrated() {
    let mut world = world::begin(true);
    let (cluster, governance, _, _) = world.cluster_parts();
    cluster.migrate_cluster(governance);
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::EWrongCluster)]
fun another_clusters_governance_migrates_nothing() {
    let mut world = world::begin(true).with_other(b"governance");
    let (cluster, governance, _, _) = world.cluster_parts();
    cluster.set_version_for_testing(0);
    cluster.migrate_cluster(governance);
    world.end();
}
