/// A stake of 10 000 MIST, of which downtime costs 100, a failed attestation 1000, a contradiction 3000 and
/// tampering 5000, and all together at most 5000 in 30 days.
#[test_only]
module k3s_daas::slashing_tests;

use k3s_daas::enclave;
use k3s_daas::insurance::Insurance;
use k3s_daas::intent_message;
use k3s_daas::k8s_gateway;
use k3s_daas::scene;
use k3s_daas::signed;
use k3s_daas::slashing::{Self, Case};
use k3s_daas::staking::{Self, Stake};
use k3s_daas::world::{Self, World};

const DOWNTIME: u8 = 0;
const ATTESTATION: u8 = 1;
const CONTRADICTION: u8 = 2;
const TAMPERING: u8 = 3;
const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 86_400_000;
const HASH: vector<u8> = x"0101010101010101010101010101010101010101010101010101010101010101";

fun hash(byte: u8): vector<u8> {
    let mut bytes = vector[];
    while (bytes.length() < 32) bytes.push_back(byte);
    bytes
}

/// Proposes with everything that an enclave says; `from` and `to` count from the start.
fun propose_all(
    mut world: World,
    reason: u8,
    from: u64,
    to: u64,
    up_ms: u64,
    digest: vector<u8>,
    locator: vector<u8>,
    signature: vector<u8>,
): World {
    let mut stake = world.take_stake();
    let enclave = world.take_enclave();
    let start = world::start_ms();
    let (cluster, governance, registry, _, clock, ctx) = world.parts();
    slashing::propose(
        &mut stake,
        cluster,
        governance,
        registry,
        &enclave,
        reason,
        start + from,
        start + to,
        up_ms,
        digest,
        locator.to_string(),
        world::stranger(),
        start + 2 * DAY_MS,
        signature,
        clock,
        ctx,
    );
    world::share(stake);
    world::share(enclave);
    world.next(world::stranger())
}

fun propose(world: World, reason: u8, from: u64, to: u64, up_ms: u64, digest: u8, signature: vector<u8>): World {
    propose_all(world, reason, from, to, up_ms, hash(digest), b"walrus:records", signature)
}

fun propose_downtime(world: World): World {
    propose(world, DOWNTIME, 0, DAY_MS, DAY_MS / 2, 1, signed::downtime())
}

fun propose_attestation(world: World): World {
    propose(world, ATTESTATION, 0, HOUR_MS, 0, 3, signed::attestation())
}

fun propose_tampering(world: World): World {
    propose(world, TAMPERING, 0, HOUR_MS, 0, 4, signed::tampering())
}

fun propose_measurement(mut world: World, code: vector<u8>): World {
    let mut stake = world.take_stake();
    let enclave = world.take_enclave();
    let start = world::start_ms();
    let (cluster, governance, registry, _, clock, ctx) = world.parts();
    slashing::propose_measurement(
        &mut stake,
        cluster,
        governance,
        registry,
        &enclave,
        b"simulated".to_string(),
        vector[b"code".to_string()],
        vector[code],
        start,
        start + HOUR_MS,
        hash(5),
        b"walrus:records".to_string(),
        world::stranger(),
        start + 2 * DAY_MS,
        signed::ran_other_code(),
        clock,
        ctx,
    );
    world::share(stake);
    world::share(enclave);
    world.next(world::stranger())
}

fun contradict(
    mut world: World,
    key: vector<u8>,
    subject: vector<u8>,
    digest: vector<u8>,
    signature: vector<u8>,
): World {
    let mut stake = world.take_stake();
    let token = world.take_token();
    let start = world::start_ms();
    let id = object::id(&token);
    let (cluster, governance, _, _, clock, ctx) = world.parts();
    slashing::propose_contradiction(
        &mut stake,
        cluster,
        governance,
        id,
        key,
        subject,
        9,
        start,
        hash(1),
        signed::stated(),
        start + 1,
        digest,
        signature,
        clock,
        ctx,
    );
    world::share(stake);
    world::share(token);
    world.next(world::stranger())
}

fun propose_contradiction(world: World): World {
    contradict(world, signed::holder(), b"heartbeat", hash(2), signed::stated_otherwise())
}

fun execute(mut world: World): World {
    let mut stake = world.take_stake();
    let case = world.take<Case>();
    let mut insurance = world.take<Insurance>();
    let (cluster, _, _, _, clock, ctx) = world.parts();
    case.execute(&mut stake, cluster, &mut insurance, clock, ctx);
    world::share(stake);
    world::share(insurance);
    world.next(world::staker())
}

fun dismiss(mut world: World): World {
    let mut stake = world.take_stake();
    let case = world.take<Case>();
    let (_, governance, _, cap, clock, _) = world.parts();
    case.dismiss(&mut stake, governance, cap, clock);
    world::share(stake);
    world.next(world::staker())
}

fun lapse(mut world: World): World {
    let mut stake = world.take_stake();
    let case = world.take<Case>();
    let (_, _, _, _, clock, _) = world.parts();
    case.lapse(&mut stake, clock);
    world::share(stake);
    world.next(world::staker())
}

/// By the staker.
fun contest(world: World, statement: vector<u8>): World {
    let mut world = world.next(world::staker());
    let mut case = world.take<Case>();
    let (_, _, _, _, clock, ctx) = world.parts();
    case.contest(statement, clock, ctx);
    world::share(case);
    world.next(world::staker())
}

/// What is locked and what of it is frozen.
fun assert_stake(world: World, amount: u64, frozen: u64): World {
    let stake = world.take_stake();
    assert!(stake.amount() == amount && stake.frozen() == frozen);
    world::share(stake);
    world.next(world::staker())
}

fun assert_insured(world: World, amount: u64): World {
    let insurance = world.take<Insurance>();
    assert!(insurance.amount() == amount);
    world::share(insurance);
    world.next(world::staker())
}

fun pause(mut world: World, ms: u64): World {
    let (cluster, governance, cap, clock) = world.cluster_parts();
    let until_ms = clock.timestamp_ms() + ms;
    cluster.pause(governance, cap, until_ms, clock);
    world
}

#[test]
fun a_penalty_goes_to_reporter_and_insurance() {
    let mut world = propose_downtime(scene::staked());
    world = assert_stake(world, 10_000, 100);
    world.advance(2 * DAY_MS);
    world = execute(world);
    world = assert_stake(world, 9_900, 0);
    assert!(world.received(world::stranger()) == 10);
    assert_insured(world, 90).end();
}

#[test]
fun a_contest_delays_it() {
    let mut world = propose_attestation(scene::staked());
    world = contest(world, HASH);
    world.advance(7 * DAY_MS);
    world = execute(world);
    assert_stake(world, 9_000, 0).end();
}

#[test]
fun governance_dismisses() {
    let mut world = dismiss(propose_tampering(scene::staked()));
    world = assert_stake(world, 10_000, 0);
    // What was dismissed does not count towards the cap.
    world = propose_contradiction(world);
    assert_stake(world, 10_000, 3_000).end();
}

#[test]
fun what_is_not_executed_lapses() {
    let mut world = propose_downtime(scene::staked());
    world.advance(9 * DAY_MS);
    world = lapse(world);
    assert_stake(world, 10_000, 0).end();
}

#[test]
fun a_pause_traps_no_money() {
    let mut world = propose_downtime(scene::staked()).next(world::staker());
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world::share(stake);
    world = pause(world, 14 * DAY_MS).next(world::staker());
    world.advance(9 * DAY_MS);
    world = lapse(world);
    let stake = world.take_stake();
    world.withdraw(stake);
    world = world.next(world::staker());
    assert!(world.received(world::staker()) == 10_000);
    world.end();
}

#[test]
fun a_stake_in_unbonding_is_slashed() {
    let mut world = scene::staked().next(world::staker());
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world::share(stake);
    world = propose_tampering(world.next(world::stranger()));
    world.advance(2 * DAY_MS);
    world = execute(world);
    assert_stake(world, 5_000, 0).end();
}

#[test]
fun the_cap_holds_for_a_period() {
    let mut world = propose_contradiction(scene::staked());
    world = propose_tampering(world);
    // 3000, and of 5000 what the cap leaves.
    world = assert_stake(world, 10_000, 5_000);
    world.end();
}

#[test]
fun another_period_has_another_cap() {
    let mut world = propose_tampering(scene::staked());
    world.advance(2 * DAY_MS);
    world = execute(world);
    world.advance(28 * DAY_MS);
    // A share of what is left.
    world = propose_contradiction(world);
    assert_stake(world, 5_000, 1_500).end();
}

#[test]
fun the_key_of_a_rotated_token_still_counts() {
    let mut world = scene::staked().next(world::staker());
    let mut stake = world.take_stake();
    let mut token = world.take_token();
    world.rotate(&mut token, &mut stake, signed::next_holder(), signed::possession());
    assert!(stake.held(signed::holder()) && stake.held(signed::next_holder()));
    world::share(stake);
    world::share(token);
    world = propose_contradiction(world.next(world::stranger()));
    assert_stake(world, 10_000, 3_000).end();
}

#[test]
fun code_that_is_not_allowed_is_a_fault() {
    let world = propose_measurement(scene::staked(), b"2");
    assert_stake(world, 10_000, 1_000).end();
}

#[test]
fun time_is_judged_piece_by_piece() {
    let mut world = propose_downtime(scene::staked());
    // The records of the first day are no evidence for another.
    world = propose_attestation(world);
    assert_stake(world, 10_000, 1_100).end();
}

#[test, expected_failure(abort_code = staking::EFrozen)]
fun a_frozen_stake_does_not_leave() {
    let mut world = scene::staked().next(world::staker());
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world::share(stake);
    world = propose_downtime(world.next(world::stranger())).next(world::staker());
    world.advance(60 * DAY_MS);
    let stake = world.take_stake();
    world.withdraw(stake);
    world.end();
}

#[test, expected_failure(abort_code = staking::ENothingToTake)]
fun nothing_is_taken_above_the_cap() {
    let world = propose_tampering(scene::staked());
    propose_downtime(world).end();
}

#[test, expected_failure(abort_code = staking::EJudged)]
fun a_fault_is_judged_once() {
    let world = dismiss(propose_tampering(scene::staked()));
    propose_tampering(world).end();
}

#[test, expected_failure(abort_code = staking::EJudged)]
fun a_time_is_judged_once() {
    let world = propose_downtime(scene::staked());
    propose(world, DOWNTIME, HOUR_MS, HOUR_MS + DAY_MS, DAY_MS / 2, 2, signed::sliced_downtime()).end();
}

#[test, expected_failure(abort_code = staking::EJudged)]
fun records_are_judged_once() {
    let world = propose_downtime(scene::staked());
    propose(world, DOWNTIME, DAY_MS, 2 * DAY_MS, DAY_MS / 2, 1, signed::next_downtime()).end();
}

#[test, expected_failure(abort_code = staking::EJudged)]
fun a_contradiction_is_judged_once() {
    propose_contradiction(propose_contradiction(scene::staked())).end();
}

#[test, expected_failure(abort_code = k8s_gateway::EPaused)]
fun a_pause_stops_proposals() {
    let world = pause(scene::staked(), DAY_MS);
    propose_downtime(world.next(world::stranger())).end();
}

#[test, expected_failure(abort_code = k8s_gateway::EPaused)]
fun a_pause_stops_executions() {
    let mut world = propose_downtime(scene::staked());
    world = pause(world, 14 * DAY_MS).next(world::stranger());
    world.advance(2 * DAY_MS);
    execute(world).end();
}

#[test, expected_failure(abort_code = slashing::ETooEarly)]
fun there_is_time_to_contest() {
    let mut world = propose_downtime(scene::staked());
    world.advance(2 * DAY_MS - 1);
    execute(world).end();
}

#[test, expected_failure(abort_code = slashing::ETooEarly)]
fun a_contested_penalty_waits() {
    let mut world = contest(propose_downtime(scene::staked()), HASH);
    world.advance(7 * DAY_MS - 1);
    execute(world).end();
}

#[test, expected_failure(abort_code = slashing::ETooEarly)]
fun a_penalty_does_not_lapse_early() {
    let mut world = propose_downtime(scene::staked());
    world.advance(9 * DAY_MS - 1);
    lapse(world).end();
}

#[test, expected_failure(abort_code = slashing::ETooLate)]
fun a_penalty_is_not_executed_late() {
    let mut world = propose_downtime(scene::staked());
    world.advance(9 * DAY_MS);
    execute(world).end();
}

#[test, expected_failure(abort_code = slashing::ETooLate)]
fun a_contest_is_in_time() {
    let mut world = propose_downtime(scene::staked());
    world.advance(2 * DAY_MS);
    contest(world, HASH).end();
}

#[test, expected_failure(abort_code = slashing::EContested)]
fun a_penalty_is_contested_once() {
    contest(contest(propose_downtime(scene::staked()), HASH), HASH).end();
}

#[test, expected_failure(abort_code = slashing::EBadHash)]
fun a_contest_says_something() {
    contest(propose_downtime(scene::staked()), b"no").end();
}

#[test, expected_failure(abort_code = slashing::ENotOwner)]
fun only_the_staker_contests() {
    let mut world = propose_downtime(scene::staked());
    let mut case = world.take<Case>();
    let (_, _, _, _, clock, ctx) = world.parts();
    case.contest(HASH, clock, ctx);
    world::share(case);
    world.end();
}

#[test, expected_failure(abort_code = slashing::EBadReason)]
fun a_contradiction_is_not_for_an_enclave_to_say() {
    propose(scene::staked(), CONTRADICTION, 0, HOUR_MS, 0, 4, signed::tampering()).end();
}

#[test, expected_failure(abort_code = slashing::EBadReason)]
fun uptime_is_about_downtime() {
    propose(scene::staked(), TAMPERING, 0, HOUR_MS, 1, 4, signed::tampering()).end();
}

#[test, expected_failure(abort_code = slashing::EUptimeKept)]
fun agreed_uptime_is_enough() {
    // 95 percent.
    propose(scene::staked(), DOWNTIME, 0, DAY_MS, DAY_MS / 20 * 19, 1, signed::downtime()).end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun a_little_less_is_not() {
    propose(scene::staked(), DOWNTIME, 0, DAY_MS, DAY_MS / 20 * 19 - 1, 1, signed::downtime()).end();
}

#[test, expected_failure(abort_code = slashing::EBadPeriod)]
fun downtime_is_judged_over_an_epoch() {
    propose(scene::staked(), DOWNTIME, 0, DAY_MS - 1, 0, 1, signed::downtime()).end();
}

#[test, expected_failure(abort_code = slashing::EBadPeriod)]
fun evidence_gets_too_old() {
    let mut world = scene::staked();
    world.advance(6 * DAY_MS + 1);
    propose_downtime(world).end();
}

#[test, expected_failure(abort_code = slashing::EBadPeriod)]
fun evidence_is_seen_after_the_fault() {
    propose(scene::staked(), TAMPERING, 0, 2 * DAY_MS + 1, 0, 4, signed::tampering()).end();
}

#[test, expected_failure(abort_code = slashing::EBadPeriod)]
fun a_stake_answers_for_its_own_time() {
    let mut world = scene::trusted();
    world.advance(1);
    world.stake(0, 10_000);
    world.advance(2 * DAY_MS);
    propose_downtime(world.next(world::stranger())).end();
}

#[test, expected_failure(abort_code = slashing::EBadHash)]
fun records_have_a_hash() {
    propose_all(scene::staked(), TAMPERING, 0, HOUR_MS, 0, b"short", b"x", signed::tampering()).end();
}

#[test, expected_failure(abort_code = slashing::EBadLocator)]
fun records_are_somewhere() {
    propose_all(scene::staked(), TAMPERING, 0, HOUR_MS, 0, HASH, b"", signed::tampering()).end();
}

#[test, expected_failure(abort_code = slashing::EMeasurementAllowed)]
fun allowed_code_is_no_fault() {
    propose_measurement(scene::staked(), b"1").end();
}

#[test, expected_failure(abort_code = slashing::EMeasurementAllowed)]
fun code_that_was_allowed_when_it_ran_is_no_fault() {
    let mut world = scene::staked();
    world.allow(b"simulated", vector[b"code"], vector[b"2"]);
    let retires_ms = world::start_ms() + 2 * DAY_MS + 1;
    let (registry, governance, cap, clock) = world.registry_parts();
    let names = vector[b"code".to_string()];
    registry.plan_retirement(governance, cap, b"simulated".to_string(), names, vector[b"2"], retires_ms, clock);
    world.advance(1);
    propose_measurement(world, b"2").end();
}

#[test, expected_failure(abort_code = slashing::EWorkerCode)]
fun code_of_workers_is_no_fault() {
    let mut world = scene::staked();
    world.allow_worker(b"simulated", vector[b"code"], vector[b"2"]);
    propose_measurement(world, b"2").end();
}

#[test, expected_failure(abort_code = enclave::ETooNew)]
fun a_new_enclave_accuses_nobody() {
    let mut world = scene::trusted();
    world.stake(0, 10_000);
    world.advance(DAY_MS - 1);
    let world = world.next(world::stranger());
    // Signed later, so the age of the enclave is all that counts here.
    propose_early(world).end();
}

fun propose_early(mut world: World): World {
    let mut stake = world.take_stake();
    let enclave = world.take_enclave();
    let start = world::start_ms();
    let (cluster, governance, registry, _, clock, ctx) = world.parts();
    slashing::propose(
        &mut stake,
        cluster,
        governance,
        registry,
        &enclave,
        TAMPERING,
        start,
        start + HOUR_MS,
        0,
        HASH,
        b"x".to_string(),
        world::stranger(),
        start + HOUR_MS,
        signed::tampering(),
        clock,
        ctx,
    );
    world::share(stake);
    world::share(enclave);
    world
}

#[test, expected_failure(abort_code = slashing::EWrongKey)]
fun a_key_that_never_spoke_for_the_stake_says_nothing() {
    contradict(scene::staked(), signed::next_holder(), b"heartbeat", hash(2), signed::stated_by_next()).end();
}

#[test, expected_failure(abort_code = slashing::EBadSubject)]
fun statements_are_about_something() {
    contradict(scene::staked(), signed::holder(), b"", hash(2), signed::stated_otherwise()).end();
}

#[test, expected_failure(abort_code = slashing::EBadSignature)]
fun both_statements_are_by_the_key() {
    contradict(scene::staked(), signed::holder(), b"heartbeat", hash(2), signed::stated_by_next()).end();
}

#[test, expected_failure(abort_code = slashing::EBadSignature)]
fun both_statements_are_about_the_same() {
    contradict(scene::staked(), signed::holder(), b"status", hash(2), signed::stated_otherwise()).end();
}

#[test, expected_failure(abort_code = slashing::ENoContradiction)]
fun to_say_it_twice_is_no_fault() {
    contradict(scene::staked(), signed::holder(), b"heartbeat", hash(1), signed::stated()).end();
}

#[test, expected_failure(abort_code = slashing::EWrongStake)]
fun a_penalty_is_of_one_stake() {
    let mut world = propose_downtime(scene::staked());
    world.stake(0, 10_000);
    world = world.next(world::stranger());
    world.advance(2 * DAY_MS);
    // The last stake that was shared is the other.
    execute(world).end();
}

#[test, expected_failure(abort_code = slashing::EWrongCluster)]
fun a_penalty_is_of_one_cluster() {
    let mut world = propose_downtime(scene::staked());
    world.advance(2 * DAY_MS);
    execute(world.with_other(b"cluster")).end();
}

#[test, expected_failure(abort_code = slashing::EWrongCluster)]
fun another_clusters_governance_dismisses_nothing() {
    dismiss(propose_downtime(scene::staked()).with_other(b"governance")).end();
}

#[test, expected_failure(abort_code = slashing::EWrongVersion)]
fun a_penalty_of_another_version_is_left_alone() {
    let world = propose_downtime(scene::staked());
    let mut case = world.take<Case>();
    case.set_version_for_testing(0);
    world::share(case);
    contest(world, HASH).end();
}

#[test]
fun a_penalty_is_migrated() {
    let mut world = propose_downtime(scene::staked());
    let mut case = world.take<Case>();
    case.set_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    case.migrate(governance);
    world::share(case);
    contest(world, HASH).end();
}

#[test]
fun a_frozen_stake_is_topped_up() {
    let mut world = propose_downtime(scene::staked()).next(world::staker());
    let mut stake = world.take<Stake>();
    world.top_up(&mut stake, 5);
    world::share(stake);
    assert_stake(world.next(world::staker()), 10_005, 100).end();
}
