#[test_only]
module k3s_daas::insurance_tests;

use k3s_daas::insurance::{Self, Insurance};
use k3s_daas::world::{Self, World};

const DAY_MS: u64 = 86_400_000;

/// A world whose insurance pool has 1000 MIST.
fun funded(): (World, Insurance) {
    let mut world = world::begin(true);
    let mut insurance = world.take<Insurance>();
    insurance.donate(world.coin(1_000));
    assert!(insurance.amount() == 1_000 && insurance.cluster() == object::id(world.cluster()));
    (world, insurance)
}

fun propose(world: &mut World, insurance: &mut Insurance, amount: u64) {
    let (_, governance, _, cap, clock, _) = world.parts();
    insurance.propose_payout(governance, cap, amount, world::stranger(), clock);
}

fun pay(world: &mut World, insurance: &mut Insurance, number: u64) {
    let (_, governance, _, cap, clock, ctx) = world.parts();
    insurance.pay(governance, cap, number, clock, ctx);
}

fun cancel(world: &mut World, insurance: &mut Insurance, number: u64) {
    let (_, governance, _, cap, clock, _) = world.parts();
    insurance.cancel_payout(governance, cap, number, clock);
}

#[test]
fun a_payout_waits_for_the_timelock() {
    let (mut world, mut insurance) = funded();
    propose(&mut world, &mut insurance, 400);
    propose(&mut world, &mut insurance, 600);
    cancel(&mut world, &mut insurance, 0);
    world.advance(DAY_MS);
    pay(&mut world, &mut insurance, 1);
    assert!(insurance.amount() == 400);
    world::share(insurance);
    world = world.next(world::stranger());
    assert!(world.received(world::stranger()) == 600);
    world.end();
}

#[test, expected_failure(abort_code = insurance::ETooEarly)]
fun a_payout_is_not_early() {
    let (mut world, mut insurance) = funded();
    propose(&mut world, &mut insurance, 400);
    world.advance(DAY_MS - 1);
    pay(&mut world, &mut insurance, 0);
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::EUnknownPayout)]
fun a_payout_is_paid_once() {
    let (mut world, mut insurance) = funded();
    propose(&mut world, &mut insurance, 400);
    world.advance(DAY_MS);
    pay(&mut world, &mut insurance, 0);
    pay(&mut world, &mut insurance, 0);
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::EUnknownPayout)]
fun a_cancelled_payout_is_gone() {
    let (mut world, mut insurance) = funded();
    propose(&mut world, &mut insurance, 400);
    cancel(&mut world, &mut insurance, 0);
    cancel(&mut world, &mut insurance, 0);
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::EBadAmount)]
fun no_more_is_paid_than_there_is() {
    let (mut world, mut insurance) = funded();
    propose(&mut world, &mut insurance, 1_001);
    world.advance(DAY_MS);
    pay(&mut world, &mut insurance, 0);
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::EBadAmount)]
fun nothing_is_no_payout() {
    let (mut world, mut insurance) = funded();
    propose(&mut world, &mut insurance, 0);
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::EBadAmount)]
fun nothing_is_no_donation() {
    let (mut world, mut insurance) = funded();
    insurance.donate(world.coin(0));
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::ETooMany)]
fun few_payouts_wait() {
    let (mut world, mut insurance) = funded();
    let mut i = 0u64;
    while (i < 17) {
        propose(&mut world, &mut insurance, 1);
        i = i + 1;
    };
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::EWrongCluster)]
fun another_clusters_governance_pays_nothing() {
    let (world, mut insurance) = funded();
    let mut world = world.with_other(b"governance");
    propose(&mut world, &mut insurance, 1);
    world::share(insurance);
    world.end();
}

#[test, expected_failure(abort_code = insurance::EWrongVersion)]
fun a_pool_of_another_version_is_left_alone() {
    let (mut world, mut insurance) = funded();
    insurance.set_version_for_testing(0);
    insurance.donate(world.coin(1));
    world::share(insurance);
    world.end();
}

#[test]
fun a_pool_is_migrated() {
    let (mut world, mut insurance) = funded();
    insurance.set_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    insurance.migrate(governance);
    insurance.donate(world.coin(1));
    world::share(insurance);
    world.end();
}
