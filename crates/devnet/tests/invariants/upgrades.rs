//! The right to upgrade, behind its timelock; and an upgrade with everything that is there.

use rand::Rng;
use rand::seq::SliceRandom;
use sui_sdk_types::Address;

use crate::world::{Arg, HOUR_MS, actor, clock, pure};
use crate::{Expect, Play, stakes};

const DELAY_MS: u64 = 12 * HOUR_MS;
/// Objects of a cluster that are there from its beginning, but its governance.
const OF_CLUSTER: [(&str, &str); 6] = [
    ("k8s_gateway", "migrate_cluster"),
    ("k8s_gateway", "migrate_names"),
    ("enclave", "migrate_registry"),
    ("anchor", "migrate"),
    ("rewards", "migrate_pool"),
    ("insurance", "migrate"),
];
/// Objects that come and go: module, type, and what migrates them.
const OTHERS: [(&str, &str, &str); 8] = [
    ("k8s_gateway", "Grant", "migrate_grant"),
    ("enclave", "Enclave", "migrate_enclave"),
    ("rewards", "Epoch", "migrate_epoch"),
    ("rewards", "Shard", "migrate_shard"),
    ("staking", "Stake", "migrate"),
    ("seal_token", "SealToken", "migrate"),
    ("slashing", "Case", "migrate"),
    ("usage", "Escrow", "migrate"),
];

/// The upgrader, as it should be.
pub(crate) struct Upgrade {
    id: Address,
    owner: usize,
    offered: Option<usize>,
    /// What was announced, and when it may be done.
    pending: Option<(Vec<u8>, u64)>,
}

impl Upgrade {
    pub(crate) fn of(id: Address) -> Self {
        Self { id, owner: 0, offered: None, pending: None }
    }

    pub(crate) fn edges(&self) -> Option<u64> {
        self.pending.as_ref().map(|(_, ripe_ms)| *ripe_ms)
    }
}

/// The publisher gives the right away to the timelock.
pub(crate) fn guard(play: &mut Play) -> Upgrade {
    let cap = play.world.upgrade_cap;
    for (delay_ms, expect) in
        [(HOUR_MS - 1, Expect::MustNot), (366 * 24 * HOUR_MS, Expect::MustNot), (DELAY_MS, Expect::Must)]
    {
        let done = play.world.call(0, "upgrade", "guard", vec![Arg::Object(cap), pure(&delay_ms)]);
        play.judge(&format!("upgrades are guarded by {delay_ms} ms"), expect, &done);
        if done.ok() {
            let id = done.made_id("upgrade", "Upgrader");
            return Upgrade::of(id);
        }
    }
    unreachable!("the last one must succeed")
}

pub(crate) fn step(play: &mut Play) {
    let owner = play.upgrade.owner;
    let caller = play.mostly(owner);
    let mine = caller == owner;
    let upgrader = Arg::Object(play.upgrade.id);
    let now = play.world.now;
    match play.dice.random_range(0..6) {
        0..2 => {
            let digest = vec![play.dice.random_range(0..=u8::MAX); if play.chance(85) { 32 } else { 31 }];
            propose(play, caller, digest);
        }
        2 => {
            let expect = Expect::when(mine && play.upgrade.pending.is_some());
            let done = play.world.call(caller, "upgrade", "cancel", vec![upgrader]);
            play.judge(&format!("{caller} cancels the upgrade"), expect, &done);
            if done.ok() {
                play.upgrade.pending = None;
            }
        }
        3 => {
            let recipient = play.actor();
            let done = play.world.call(caller, "upgrade", "offer", vec![upgrader, pure(&actor(recipient))]);
            play.judge(&format!("{caller} offers the upgrader to {recipient}"), Expect::when(mine), &done);
            if done.ok() {
                play.upgrade.offered = Some(recipient);
            }
        }
        4 => {
            let caller = match play.upgrade.offered {
                Some(recipient) => play.mostly(recipient),
                None => caller,
            };
            let expect = Expect::when(play.upgrade.offered == Some(caller));
            let done = play.world.call(caller, "upgrade", "accept", vec![upgrader]);
            play.judge(&format!("{caller} accepts the upgrader"), expect, &done);
            if done.ok() {
                (play.upgrade.owner, play.upgrade.offered) = (caller, None);
            }
        }
        _ => {
            // What was announced is not this.
            let done = play.world.upgrade(caller, play.upgrade.id);
            let refused = Expect::MustNot;
            play.judge(&format!("{caller} upgrades to what was not announced, at {now}"), refused, &done);
        }
    }
}

fn propose(play: &mut Play, caller: usize, digest: Vec<u8>) {
    let expect = Expect::when(caller == play.upgrade.owner && digest.len() == 32);
    let arguments = vec![Arg::Object(play.upgrade.id), pure(&0u8), pure(&digest), clock()];
    let done = play.world.call(caller, "upgrade", "propose", arguments);
    play.judge(&format!("{caller} proposes an upgrade"), expect, &done);
    if done.ok() {
        play.upgrade.pending = Some((digest, play.world.now + DELAY_MS));
    }
}

/// The package is upgraded, and all objects follow: old code does not touch new ones, nor new code old ones, and
/// everybody may bring everything over once governance has gone first.
pub(crate) fn rehearse(play: &mut Play) {
    let owner = play.upgrade.owner;
    let digest = play.world.next_digest();
    propose(play, owner, digest);
    play.world.now += DELAY_MS - 1;
    let early = play.world.upgrade(owner, play.upgrade.id);
    play.judge("the upgrade comes before its time", Expect::MustNot, &early);
    play.world.now += 1;
    let stranger = (owner + 1) % crate::ACTORS;
    let done = play.world.upgrade(stranger, play.upgrade.id);
    play.judge("a stranger upgrades", Expect::MustNot, &done);
    let done = play.world.upgrade(owner, play.upgrade.id);
    play.judge("the package is upgraded", Expect::Must, &done);
    let old = play.world.package;
    let new = done.package();

    play.world.package = new;
    untouched(play, "new code touches old objects");
    let objects = objects_of(play);
    let (module, function, id) = objects[0];
    migrate(play, module, function, id, Expect::MustNot);
    let Some(cap) = (0..play.caps.len()).find(|cap| {
        let cap = &play.caps[*cap];
        cap.works(cap.holder, play.world.now)
    }) else {
        play.world.package = old;
        return;
    };
    let holder = play.caps[cap].holder;
    let by_cap = vec![Arg::Object(play.world.governance), Arg::Object(play.caps[cap].id), clock()];
    let anybody = (holder + 1) % crate::ACTORS;
    let done = play.world.call(anybody, "governance", "migrate", by_cap.clone());
    play.judge("anybody migrates the governance", Expect::MustNot, &done);
    for (what, expect) in [("governance is migrated", Expect::Must), ("and again", Expect::MustNot)] {
        let done = play.world.call(holder, "governance", "migrate", by_cap.clone());
        play.judge(what, expect, &done);
    }
    for (module, function, id) in objects {
        migrate(play, module, function, id, Expect::Must);
        migrate(play, module, function, id, Expect::MustNot);
    }
    for (caller, expect) in [(stranger, Expect::MustNot), (owner, Expect::Must), (owner, Expect::MustNot)] {
        let done = play.world.call(caller, "upgrade", "migrate", vec![Arg::Object(play.upgrade.id)]);
        play.judge(&format!("{caller} migrates the upgrader"), expect, &done);
    }
    play.world.package = old;
    untouched(play, "old code touches new objects");
    play.world.package = new;
}

/// Everything that can be migrated after the governance, in any order.
fn objects_of(play: &mut Play) -> Vec<(&'static str, &'static str, Address)> {
    let world = &play.world;
    let fixed = [world.cluster, world.names, world.registry, world.anchor, world.pool, world.insurance];
    let mut objects: Vec<_> =
        OF_CLUSTER.into_iter().zip(fixed).map(|((module, function), id)| (module, function, id)).collect();
    for (module, name, function) in OTHERS {
        objects.extend(world.ids(module, name).into_iter().map(|id| (module, function, id)));
    }
    objects.shuffle(&mut play.dice);
    objects
}

fn migrate(play: &mut Play, module: &str, function: &str, id: Address, expect: Expect) {
    let caller = play.actor();
    let done =
        play.world.call(caller, module, function, vec![Arg::Object(id), Arg::Read(play.world.governance)]);
    play.judge(&format!("{module}::{function} of {id}"), expect, &done);
}

/// Whatever the code is asked for, it says that the objects are of another version.
fn untouched(play: &mut Play, what: &str) {
    let tier = pure(&1u8);
    let (cluster, governance) = (Arg::Read(play.world.cluster), Arg::Read(play.world.governance));
    let mut calls = vec![
        (0, "staking", "stake", vec![cluster.clone(), tier, Arg::Coin(1_000), clock()]),
        (0, "rewards", "fund", vec![Arg::Object(play.world.pool), Arg::Coin(1)]),
        (0, "insurance", "donate", vec![Arg::Object(play.world.insurance), Arg::Coin(1)]),
        (0, "usage", "open", vec![cluster, governance.clone(), pure(&1u64), Arg::Coin(1_000_000), clock()]),
    ];
    for stake in play.stakes.iter().filter(|stake| !stake.gone) {
        calls.push((stake.owner, "staking", "top_up", vec![Arg::Object(stake.id), Arg::Coin(1)]));
        let leave = vec![Arg::Object(stake.id), Arg::Object(play.world.names), clock()];
        calls.push((stake.owner, "staking", "withdraw", leave));
        if let Some(token) = &stake.token {
            calls.push((stake.owner, "seal_token", "revoke", vec![Arg::Object(token.id)]));
        }
    }
    for id in play.world.ids("usage", "Escrow") {
        calls.push((0, "usage", "settle", vec![Arg::Object(id), governance.clone(), clock()]));
    }
    for (caller, module, function, arguments) in calls {
        let done = play.world.call(caller, module, function, arguments);
        play.judge(&format!("{what}: {module}::{function}"), Expect::MustNot, &done);
    }
    stakes::check(play);
}
