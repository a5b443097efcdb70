/// Scenes that tests of money begin with. Ids of the objects in them are known to tools/signatures.py, so the
/// order in which they are made matters.
#[test_only]
module k3s_daas::scene;

use k3s_daas::signed;
use k3s_daas::world::{Self, World};

const DAY_MS: u64 = 86_400_000;

/// An enclave in good standing for 30 days; the next transaction is the operator's.
public fun trusted(): World {
    let mut world = world::begin(true);
    world.allow(b"simulated", vector[b"code"], vector[b"1"]);
    world.set_verifiers(vector[signed::verifier(), signed::other_verifier()], 2);
    let now = world::start_ms();
    world.register(
        b"simulated",
        signed::enclave(),
        now + 30 * DAY_MS,
        now,
        vector[signed::verifier(), signed::other_verifier()],
        vector[signed::claimed(), signed::claimed_too()],
    );
    world.next(world::staker())
}

/// The same, two days later, when the enclave may move money; with a node's stake of 10 000 MIST and its token.
public fun staked(): World {
    let mut world = trusted();
    world.stake(0, 10_000);
    world = world.next(world::staker());
    let mut stake = world.take_stake();
    world.issue(&mut stake, signed::holder(), b"node-1");
    world::share(stake);
    world.advance(2 * DAY_MS);
    world.next(world::stranger())
}
