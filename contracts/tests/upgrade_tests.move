#[test_only]
module k3s_daas::upgrade_tests;

use k3s_daas::upgrade::{Self, Upgrader};
use k3s_daas::world::{Self, World};
use sui::package;

const HOUR_MS: u64 = 3_600_000;
const DIGEST: vector<u8> = x"0909090909090909090909090909090909090909090909090909090909090909";

/// The operator's package can be upgraded, an hour after it was announced.
fun guarded_for(delay_ms: u64): (World, Upgrader) {
    let mut world = world::begin(true);
    let (_, _, _, _, _, ctx) = world.parts();
    let cap = package::test_publish(object::id_from_address(@0xCAFE), ctx);
    upgrade::guard(cap, delay_ms, ctx);
    let world = world.next(world::operator());
    let upgrader = world.take<Upgrader>();
    (world, upgrader)
}

fun guarded(): (World, Upgrader) {
    guarded_for(HOUR_MS)
}

fun propose(world: &mut World, upgrader: &mut Upgrader, digest: vector<u8>) {
    let (_, _, _, _, clock, ctx) = world.parts();
    upgrader.propose(0, digest, clock, ctx);
}

fun make(world: &mut World, upgrader: &mut Upgrader) {
    let (_, _, _, _, clock, ctx) = world.parts();
    let ticket = upgrader.authorize(clock, ctx);
    upgrader.commit(package::test_upgrade(ticket));
}

fun end(world: World, upgrader: Upgrader) {
    world::share(upgrader);
    world.end();
}

#[test]
fun an_upgrade_waits_for_the_timelock() {
    let (mut world, mut upgrader) = guarded();
    propose(&mut world, &mut upgrader, DIGEST);
    world.advance(HOUR_MS);
    make(&mut world, &mut upgrader);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::ETooEarly)]
fun an_upgrade_is_not_early() {
    let (mut world, mut upgrader) = guarded();
    propose(&mut world, &mut upgrader, DIGEST);
    world.advance(HOUR_MS - 1);
    make(&mut world, &mut upgrader);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::ENotPending)]
fun an_upgrade_is_made_once() {
    let (mut world, mut upgrader) = guarded();
    propose(&mut world, &mut upgrader, DIGEST);
    world.advance(HOUR_MS);
    make(&mut world, &mut upgrader);
    make(&mut world, &mut upgrader);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::ENotPending)]
fun a_cancelled_upgrade_is_gone() {
    let (mut world, mut upgrader) = guarded();
    propose(&mut world, &mut upgrader, DIGEST);
    let (_, _, _, _, _, ctx) = world.parts();
    upgrader.cancel(ctx);
    upgrader.cancel(ctx);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::EBadHash)]
fun a_digest_has_32_bytes() {
    let (mut world, mut upgrader) = guarded();
    propose(&mut world, &mut upgrader, b"short");
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::EBadDelay)]
fun there_is_a_delay() {
    let (world, upgrader) = guarded_for(HOUR_MS - 1);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::EBadDelay)]
fun a_delay_has_a_bound() {
    let (world, upgrader) = guarded_for(31_536_000_001);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::ENotOwner)]
fun only_the_owner_proposes() {
    let (world, mut upgrader) = guarded();
    let mut world = world.next(world::stranger());
    propose(&mut world, &mut upgrader, DIGEST);
    end(world, upgrader);
}

#[test]
fun it_is_handed_on_in_two_steps() {
    let (mut world, mut upgrader) = guarded();
    let (_, _, _, _, _, ctx) = world.parts();
    upgrader.offer(world::stranger(), ctx);
    world = world.next(world::stranger());
    let (_, _, _, _, _, ctx) = world.parts();
    upgrader.accept(ctx);
    propose(&mut world, &mut upgrader, DIGEST);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::ENotOffered)]
fun only_who_it_is_offered_to_accepts() {
    let (mut world, mut upgrader) = guarded();
    let (_, _, _, _, _, ctx) = world.parts();
    upgrader.offer(world::stranger(), ctx);
    world = world.next(world::staker());
    let (_, _, _, _, _, ctx) = world.parts();
    upgrader.accept(ctx);
    end(world, upgrader);
}

#[test, expected_failure(abort_code = upgrade::EWrongVersion)]
fun it_is_left_alone_in_another_version() {
    let (mut world, mut upgrader) = guarded();
    upgrader.set_version_for_testing(0);
    propose(&mut world, &mut upgrader, DIGEST);
    end(world, upgrader);
}

#[test]
fun it_is_migrated() {
    let (mut world, mut upgrader) = guarded();
    upgrader.set_version_for_testing(0);
    let (_, _, _, _, _, ctx) = world.parts();
    upgrader.migrate(ctx);
    propose(&mut world, &mut upgrader, DIGEST);
    end(world, upgrader);
}
