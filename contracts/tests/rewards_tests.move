/// An epoch of 1000 MIST and weight 7: shard 0 has the claims 1, 2 and 0, shard 1 has 4.
#[test_only]
module k3s_daas::rewards_tests;

use k3s_daas::enclave;
use k3s_daas::intent_message;
use k3s_daas::rewards::{Self, Epoch, Pool, Shard};
use k3s_daas::scene;
use k3s_daas::signed;
use k3s_daas::world::{Self, World};

const DAY_MS: u64 = 86_400_000;
const MONTH_MS: u64 = 2_592_000_000;

/// A world with 1000 MIST in the pool, two days after its enclave was registered.
fun funded(): World {
    let mut world = scene::trusted();
    let mut pool = world.take<Pool>();
    pool.fund(world.coin(1_000));
    assert!(pool.amount() == 1_000 && pool.cluster() == object::id(world.cluster()));
    world::share(pool);
    world.advance(2 * DAY_MS);
    world.next(world::stranger())
}

fun post_as(
    mut world: World,
    number: u64,
    from_ms: u64,
    to_ms: u64,
    weight: u64,
    root: vector<u8>,
    signature: vector<u8>,
): World {
    let mut pool = world.take<Pool>();
    let mut enclave = world.take_enclave();
    let timestamp_ms = world::start_ms() + 2 * DAY_MS;
    let (_, governance, registry, _, clock, ctx) = world.parts();
    pool.post_epoch(
        governance,
        registry,
        &mut enclave,
        number,
        from_ms,
        to_ms,
        weight,
        root,
        timestamp_ms,
        signature,
        clock,
        ctx,
    );
    world::share(pool);
    world::share(enclave);
    world.next(world::stranger())
}

fun post(world: World): World {
    let start = world::start_ms();
    post_as(world, 1, start, start + DAY_MS, 7, signed::epoch_root(), signed::shares())
}

/// The epoch is posted.
fun posted(): World {
    post(funded())
}

/// An epoch whose weights do not add up is posted.
fun lied(): World {
    let start = world::start_ms();
    post_as(funded(), 1, start, start + DAY_MS, 7, signed::liar_root(), signed::liar_shares())
}

fun open(mut world: World, index: u8, weight: u64, root: vector<u8>, proof: vector<vector<u8>>): World {
    let mut epoch = world.take<Epoch>();
    let (_, _, _, _, clock, ctx) = world.parts();
    epoch.open_shard(index, weight, root, proof, clock, ctx);
    world::share(epoch);
    world.next(world::stranger())
}

fun open_first(world: World): World {
    open(world, 0, 3, signed::first_root(), signed::proof_of_first_shard())
}

fun open_second(world: World): World {
    open(world, 1, 4, signed::second_root(), signed::proof_of_second_shard())
}

/// The first shard is open.
fun opened(): World {
    open_first(posted())
}

fun claim(
    mut world: World,
    index: u8,
    stake: address,
    owner: address,
    weight: u64,
    proof: vector<vector<u8>>,
): World {
    let mut shard = world.take<Shard>();
    let (_, _, _, _, clock, ctx) = world.parts();
    shard.claim(index, object::id_from_address(stake), owner, weight, proof, clock, ctx);
    world::share(shard);
    world.next(world::stranger())
}

fun claim_first(world: World): World {
    claim(world, 0, @0x51, world::staker(), 1, signed::proof_of_first_claim())
}

fun claim_second(world: World): World {
    claim(world, 1, @0x52, world::stranger(), 2, signed::proof_of_second_claim())
}

#[test]
fun what_is_not_claimed_goes_back() {
    let mut world = opened();
    world = claim_first(world);
    world = claim_second(world);
    world = open_second(world);
    world = world.next(world::operator());
    assert!(world.received(world::staker()) == 142);
    assert!(world.received(world::stranger()) == 285);
    let mut pool = world.take<Pool>();
    assert!(pool.amount() == 0);
    world.advance(MONTH_MS);
    let epoch = world.take<Epoch>();
    let second = world.take<Shard>();
    let first = world.take<Shard>();
    let (_, _, _, _, clock, _) = world.parts();
    // Nobody claimed 571 of the second shard; one is left over by rounding in the first shard, one in the epoch.
    second.sweep_shard(&mut pool, clock);
    first.sweep_shard(&mut pool, clock);
    epoch.sweep_epoch(&mut pool, clock);
    assert!(pool.amount() == 1_000 - 142 - 285);
    world::share(pool);
    world.end();
}

#[test]
fun a_tree_of_one_leaf_needs_no_proof() {
    let mut world = posted();
    world = open_second(world);
    world = world.next(world::staker());
    world = claim(world, 0, @0x54, world::stranger(), 4, signed::proof_of_only_claim());
    world = world.next(world::staker());
    assert!(world.received(world::stranger()) == 571);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EClaimed)]
fun a_claim_is_paid_once() {
    let mut world = opened();
    world = claim_first(world);
    world = claim_first(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EClaimed)]
fun a_shard_is_opened_once() {
    let mut world = opened();
    world = open_first(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadProof)]
fun nobody_claims_for_another_owner() {
    let mut world = opened();
    world = claim(world, 0, @0x51, world::stranger(), 1, signed::proof_of_first_claim());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadProof)]
fun nobody_claims_a_greater_weight() {
    let mut world = opened();
    world = claim(world, 0, @0x51, world::staker(), 2, signed::proof_of_first_claim());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadProof)]
fun a_claim_has_one_place() {
    let mut world = opened();
    // Bits of the index above the height of the tree.
    world = claim(world, 4, @0x51, world::staker(), 1, signed::proof_of_first_claim());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadProof)]
fun a_proof_has_whole_hashes() {
    let mut world = opened();
    world = claim(world, 0, @0x51, world::staker(), 1, vector[b"short"]);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadProof)]
fun a_proof_has_eight_hashes_at_most() {
    let mut world = opened();
    let hash = signed::first_root();
    let proof = vector[hash, hash, hash, hash, hash, hash, hash, hash, hash];
    world = claim(world, 0, @0x51, world::staker(), 1, proof);
    world.end();
}

#[test, expected_failure(abort_code = rewards::ENothingToPay)]
fun nothing_is_no_claim() {
    let mut world = opened();
    world = claim(world, 2, @0x53, world::staker(), 0, signed::proof_of_worthless_claim());
    world.end();
}

#[test, expected_failure(abort_code = rewards::ETooLate)]
fun claims_have_a_deadline() {
    let mut world = opened();
    world.advance(MONTH_MS);
    world = claim_first(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::ETooLate)]
fun shards_have_a_deadline() {
    let mut world = posted();
    world.advance(MONTH_MS);
    world = open_first(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::ETooEarly)]
fun a_shard_is_not_swept_early() {
    let mut world = opened();
    world.advance(MONTH_MS - 1);
    let mut pool = world.take<Pool>();
    let shard = world.take<Shard>();
    let (_, _, _, _, clock, _) = world.parts();
    shard.sweep_shard(&mut pool, clock);
    world::share(pool);
    world.end();
}

#[test, expected_failure(abort_code = rewards::ETooEarly)]
fun an_epoch_is_not_swept_early() {
    let mut world = posted();
    world.advance(MONTH_MS - 1);
    let mut pool = world.take<Pool>();
    let epoch = world.take<Epoch>();
    let (_, _, _, _, clock, _) = world.parts();
    epoch.sweep_epoch(&mut pool, clock);
    world::share(pool);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EOverdrawn)]
fun a_shard_pays_no_more_than_its_share() {
    let mut world = lied();
    world = open(world, 0, 1, signed::first_root(), signed::proof_of_liar_first_shard());
    world = world.next(world::stranger());
    world = claim_second(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadWeight)]
fun shards_share_no_more_than_the_epoch() {
    let mut world = lied();
    world = open(world, 0, 1, signed::first_root(), signed::proof_of_liar_first_shard());
    world = open(world, 1, 7, signed::second_root(), signed::proof_of_liar_second_shard());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadHash)]
fun a_shards_root_has_32_bytes() {
    let mut world = posted();
    world = open(world, 0, 3, b"short", signed::proof_of_first_shard());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EWrongEpoch)]
fun an_epoch_is_posted_once() {
    let mut world = posted();
    world = post(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadPeriod)]
fun epochs_do_not_overlap() {
    let mut world = posted();
    let start = world::start_ms();
    world = post_as(world, 2, start + DAY_MS - 1, start + 2 * DAY_MS, 7, signed::epoch_root(), signed::shares());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadPeriod)]
fun an_epoch_has_ended() {
    let mut world = funded();
    let start = world::start_ms();
    world = post_as(world, 1, start, start + 2 * DAY_MS + 1, 7, signed::epoch_root(), signed::shares());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadPeriod)]
fun an_epoch_is_long_enough() {
    let mut world = funded();
    let start = world::start_ms();
    world = post_as(world, 1, start, start + DAY_MS - 1, 7, signed::epoch_root(), signed::shares());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadWeight)]
fun an_epoch_has_weight() {
    let mut world = funded();
    let start = world::start_ms();
    world = post_as(world, 1, start, start + DAY_MS, 0, signed::epoch_root(), signed::shares());
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadHash)]
fun an_epochs_root_has_32_bytes() {
    let mut world = funded();
    let start = world::start_ms();
    world = post_as(world, 1, start, start + DAY_MS, 7, b"short", signed::shares());
    world.end();
}

#[test, expected_failure(abort_code = intent_message::EBadSignature)]
fun shares_are_what_the_enclave_signed() {
    let mut world = funded();
    let start = world::start_ms();
    world = post_as(world, 1, start, start + DAY_MS, 6, signed::epoch_root(), signed::shares());
    world.end();
}

#[test, expected_failure(abort_code = enclave::ETooNew)]
fun a_new_enclave_moves_no_money() {
    let mut world = scene::trusted();
    let start = world::start_ms();
    world.advance(DAY_MS - 1);
    world = post_as(world, 1, start - DAY_MS, start, 7, signed::epoch_root(), signed::shares());
    world.end();
}

#[test, expected_failure(abort_code = rewards::ENothingToPay)]
fun an_empty_pool_pays_nothing() {
    let mut world = scene::trusted();
    world.advance(2 * DAY_MS);
    world = post(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EWrongCluster)]
fun another_clusters_governance_sets_no_terms() {
    let mut world = funded().with_other(b"governance");
    let other = world.take<Pool>();
    world = post(world);
    world::share(other);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EBadAmount)]
fun nothing_is_no_funding() {
    let mut world = scene::trusted();
    let mut pool = world.take<Pool>();
    pool.fund(world.coin(0));
    world::share(pool);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EWrongVersion)]
fun a_pool_of_another_version_is_left_alone() {
    let mut world = scene::trusted();
    let mut pool = world.take<Pool>();
    pool.set_version_for_testing(2);
    pool.fund(world.coin(1));
    world::share(pool);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EWrongVersion)]
fun an_epoch_of_another_version_is_left_alone() {
    let mut world = posted();
    let mut epoch = world.take<Epoch>();
    epoch.set_epoch_version_for_testing(2);
    world::share(epoch);
    world = world.next(world::stranger());
    world = open_first(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EWrongVersion)]
fun a_shard_of_another_version_is_left_alone() {
    let mut world = opened();
    let mut shard = world.take<Shard>();
    shard.set_shard_version_for_testing(2);
    world::share(shard);
    world = world.next(world::stranger());
    world = claim_first(world);
    world.end();
}

#[test]
fun pool_epoch_and_shard_are_migrated() {
    let mut world = opened();
    let mut pool = world.take<Pool>();
    let mut epoch = world.take<Epoch>();
    let mut shard = world.take<Shard>();
    pool.set_version_for_testing(0);
    epoch.set_epoch_version_for_testing(0);
    shard.set_shard_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    pool.migrate_pool(governance);
    epoch.migrate_epoch(governance);
    shard.migrate_shard(governance);
    world::share(pool);
    world::share(epoch);
    world::share(shard);
    world = world.next(world::stranger());
    world = claim_first(world);
    world = open_second(world);
    world.end();
}

#[test, expected_failure(abort_code = rewards::EWrongVersion)]
fun what_has_the_version_is_not_migrated() {
    let mut world = scene::trusted();
    let mut pool = world.take<Pool>();
    let (_, governance, _, _, _, _) = world.parts();
    pool.migrate_pool(governance);
    world::share(pool);
    world.end();
}
