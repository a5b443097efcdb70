/// The new key's seed is 32 bytes of 3. Its signature is over the BCS of `Possession` for generation 2 of the token
/// that is the first object of the fourth transaction.
#[test_only]
module k3s_daas::seal_token_tests;

use k3s_daas::k8s_gateway;
use k3s_daas::seal_token;
use k3s_daas::staking;
use k3s_daas::world::{Self, World};

const DAY_MS: u64 = 86_400_000;
const NODE: u8 = 0;
const USER: u8 = 1;
const KEY: vector<u8> = x"0101010101010101010101010101010101010101010101010101010101010101";
const NEW_KEY: vector<u8> = x"ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1";
const POSSESSED: vector<u8> =
    x"bd395364c20ade63ab1fab981cf91d72c7641abda530448fd5207d64136b015d0301aad914af947f90d45292fc34ece543d0a9f688e85a34eecd6bb9aa8d560e";

/// A world with one stake of the staker, who is the sender.
fun staked(tier: u8, mist: u64): World {
    let mut world = world::begin(true).next(world::staker());
    world.stake(tier, mist);
    world.next(world::staker())
}

/// The same with a token for it.
fun issued(): World {
    let mut world = staked(NODE, 100);
    issue(&mut world, KEY, b"node-1");
    world.next(world::staker())
}

fun issue(world: &mut World, public_key: vector<u8>, name: vector<u8>) {
    let mut stake = world.take_stake();
    world.issue(&mut stake, public_key, name);
    world::share(stake);
}

#[test]
fun a_token_is_renewed_rotated_revoked_and_issued_anew() {
    let mut world = issued();
    let mut stake = world.take_stake();
    let mut token = world.take_token();
    assert!(stake.token() == option::some(object::id(&token)));
    world.advance(29 * DAY_MS);
    world.renew(&mut token, &stake);
    world.advance(29 * DAY_MS);
    world.rotate(&mut token, &mut stake, NEW_KEY, POSSESSED);
    world.revoke(&mut token);
    world.reissue(&mut token, &mut stake, KEY);
    world.advance(30 * DAY_MS);
    world.reissue(&mut token, &mut stake, KEY);
    world::share(stake);
    world::share(token);
    assert!(world.events_of() == 5);
}

#[test]
fun a_user_needs_no_name() {
    let mut world = staked(USER, 1_000);
    issue(&mut world, KEY, b"");
    assert!(world.events_of() == 1);
}

#[test]
fun a_name_is_free_again_after_withdrawal() {
    let mut world = issued();
    let mut stake = world.take_stake();
    world.request_unstake(&mut stake);
    world.advance(7 * DAY_MS);
    world.withdraw(stake);
    world = world.next(world::staker());
    world.stake(NODE, 100);
    world = world.next(world::staker());
    issue(&mut world, KEY, b"node-1");
    world.end();
}

#[test, expected_failure(abort_code = k8s_gateway::ENameTaken)]
fun a_name_is_of_one_stake() {
    let mut world = issued();
    let first = world.take_stake();
    world.stake(NODE, 100);
    world = world.next(world::staker());
    // The first is taken, so this is the second.
    issue(&mut world, KEY, b"node-1");
    world::share(first);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EBadKey)]
fun a_key_has_32_bytes() {
    let mut world = staked(NODE, 100);
    issue(&mut world, b"short", b"node-1");
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EBadName)]
fun a_nodes_name_is_a_label() {
    let mut world = staked(NODE, 100);
    issue(&mut world, KEY, b"Node.1");
    world.end();
}

#[test, expected_failure(abort_code = seal_token::ENotANode)]
fun a_user_has_no_node() {
    let mut world = staked(USER, 1_000);
    issue(&mut world, KEY, b"node-1");
    world.end();
}

#[test, expected_failure(abort_code = seal_token::ELiveToken)]
fun a_stake_has_one_token() {
    let mut world = issued();
    issue(&mut world, KEY, b"node-2");
    world.end();
}

#[test, expected_failure(abort_code = staking::ENotOwner)]
fun only_the_owner_is_issued_a_token() {
    let mut world = staked(NODE, 100).next(world::stranger());
    issue(&mut world, KEY, b"node-1");
    world.end();
}

#[test, expected_failure(abort_code = staking::EUnbonding)]
fun a_stake_in_unbonding_keeps_no_token() {
    let mut world = issued();
    let mut stake = world.take_stake();
    let mut token = world.take_token();
    world.request_unstake(&mut stake);
    world.renew(&mut token, &stake);
    world::share(stake);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = staking::ETooSmall)]
fun a_stake_below_a_raised_minimum_keeps_no_token() {
    let mut world = issued();
    let stake = world.take_stake();
    let mut token = world.take_token();
    world.set_config(vector[101, 101, 101], vector[0, 0, 0], 0, DAY_MS);
    world.renew(&mut token, &stake);
    world::share(stake);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::ELiveToken)]
fun a_live_token_is_not_issued_anew() {
    let mut world = issued();
    let mut stake = world.take_stake();
    let mut token = world.take_token();
    world.reissue(&mut token, &mut stake, KEY);
    world::share(stake);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EExpired)]
fun an_expired_token_is_not_renewed() {
    let mut world = issued();
    let stake = world.take_stake();
    let mut token = world.take_token();
    world.advance(30 * DAY_MS);
    world.renew(&mut token, &stake);
    world::share(stake);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EBadSignature)]
fun the_holder_of_a_new_key_signs() {
    let mut world = issued();
    let mut stake = world.take_stake();
    let mut token = world.take_token();
    world.rotate(&mut token, &mut stake, KEY, POSSESSED);
    world::share(stake);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EBadSignature)]
fun a_possession_is_for_one_generation() {
    let mut world = issued();
    let mut stake = world.take_stake();
    let mut token = world.take_token();
    world.rotate(&mut token, &mut stake, NEW_KEY, POSSESSED);
    world.rotate(&mut token, &mut stake, NEW_KEY, POSSESSED);
    world::share(stake);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::ERevoked)]
fun a_token_is_revoked_once() {
    let mut world = issued();
    let mut token = world.take_token();
    world.revoke(&mut token);
    world.revoke(&mut token);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EWrongStake)]
fun only_the_owner_revokes() {
    let mut world = issued().next(world::stranger());
    let mut token = world.take_token();
    world.revoke(&mut token);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EWrongStake)]
fun another_clusters_governance_revokes_nothing() {
    let world = issued().with_other(b"governance");
    let mut token = world.take_token();
    world.revoke_by_governance(&mut token);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EBarred)]
fun what_governance_revoked_stays_revoked() {
    let mut world = issued();
    let mut stake = world.take_stake();
    let mut token = world.take_token();
    world.revoke(&mut token);
    world.revoke_by_governance(&mut token);
    world.reissue(&mut token, &mut stake, KEY);
    world::share(stake);
    world::share(token);
    world.end();
}

#[test, expected_failure(abort_code = seal_token::EWrongVersion)]
fun a_token_of_another_version_is_left_alone() {
    let mut world = issued();
    let mut token = world.take_token();
    token.set_version_for_testing(2);
    world.revoke(&mut token);
    world::share(token);
    world.end();
}

#[test]
fun a_token_is_migrated() {
    let mut world = world::begin(true).next(world::staker());
    world.stake(1, 1_000);
    world = world.next(world::staker());
    let mut stake = world.take_stake();
    world.issue(&mut stake, KEY, b"");
    world::share(stake);
    world = world.next(world::staker());
    let mut token = world.take_token();
    token.set_version_for_testing(0);
    let (_, governance, _, _, _, _) = world.parts();
    token.migrate(governance);
    world.revoke(&mut token);
    world::share(token);
    assert!(world.events_of() == 2);
}
