//! Rewards.

use std::collections::BTreeSet;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use rand::Rng;
use serde::Serialize;
use sui_sdk_types::Address;

use crate::objects;
use crate::world::{Arg, DAY_MS, actor, clock, key, pure, sign};
use crate::{Expect, Play, insurance, usage};

const INTENT_EPOCH: u8 = 4;

/// An epoch of rewards, as the enclave computed it.
pub(crate) struct Epoch {
    id: Address,
    budget: u64,
    pub(crate) deadline_ms: u64,
    /// Whether the weights add up; an enclave may lie.
    honest: bool,
    weight: u64,
    shards: Vec<Shard>,
    paid: u64,
    swept: bool,
}

struct Shard {
    /// Once it is open.
    id: Option<Address>,
    swept: bool,
    weight: u64,
    claims: Vec<Claim>,
    claimed: BTreeSet<usize>,
}

#[derive(Clone)]
struct Claim {
    stake: Address,
    owner: usize,
    weight: u64,
}

pub(crate) fn step(play: &mut Play) {
    match play.dice.random_range(0..20) {
        0 => fund(play),
        1..4 => post(play),
        4..7 => open_shard(play),
        7..12 => claim(play),
        12 => sweep(play),
        13..18 => usage::step(play),
        _ => insurance::step(play),
    }
}

fn fund(play: &mut Play) {
    let caller = play.actor();
    let amount = play.dice.random_range(0..1_000_000u64);
    let arguments = vec![Arg::Object(play.world.pool), Arg::Coin(amount)];
    let done = play.world.call(caller, "rewards", "fund", arguments);
    play.judge(&format!("{caller} funds the pool with {amount}"), Expect::when(amount > 0), &done);
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Blake2b::<U32>::digest(bytes).to_vec()
}

fn leaf<T: Serialize>(value: &T) -> Vec<u8> {
    hash(&bcs::to_bytes(value).unwrap())
}

/// The levels of a tree, leaves first.
fn tree(mut leaves: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    leaves.resize(leaves.len().next_power_of_two(), vec![0; 32]);
    let mut levels = vec![leaves];
    while levels[levels.len() - 1].len() > 1 {
        let above = levels[levels.len() - 1]
            .chunks(2)
            .map(|pair| hash(&[&[2u8][..], &pair[0], &pair[1]].concat()))
            .collect();
        levels.push(above);
    }
    levels
}

fn proof(levels: &[Vec<Vec<u8>>], index: usize) -> Vec<Vec<u8>> {
    let below = &levels[..levels.len() - 1];
    below.iter().enumerate().map(|(height, level)| level[(index >> height) ^ 1].clone()).collect()
}

fn root(levels: &[Vec<Vec<u8>>]) -> Vec<u8> {
    levels[levels.len() - 1][0].clone()
}

fn claim_tree(cluster: Address, number: u64, claims: &[Claim]) -> Vec<Vec<Vec<u8>>> {
    let leaves = claims
        .iter()
        .map(|claim| leaf(&(1u8, cluster, number, claim.stake, actor(claim.owner), claim.weight)));
    tree(leaves.collect())
}

fn shard_tree(cluster: Address, number: u64, shards: &[Shard]) -> Vec<Vec<Vec<u8>>> {
    let leaves = shards.iter().map(|shard| {
        let root = root(&claim_tree(cluster, number, &shard.claims));
        leaf(&(0u8, cluster, number, shard.weight, root))
    });
    tree(leaves.collect())
}

fn post(play: &mut Play) {
    let Some(by) = play.some_enclave() else { return };
    let caller = play.actor();
    let pool: objects::Pool = play.world.read(play.world.pool).unwrap();
    let number = pool.epoch + if play.chance(95) { 1 } else { 0 };
    let now = play.world.now;
    let from_ms = pool.until_ms.max(now - 2 * DAY_MS) - u64::from(play.chance(5)).min(pool.until_ms);
    let to_ms = (from_ms + play.rules.epoch_ms).max(now.min(from_ms + 2 * DAY_MS));
    let mut claims: Vec<Claim> = Vec::new();
    for index in 0..play.stakes.len() {
        let weight = play.dice.random_range(1..1_000u64);
        claims.push(Claim { stake: play.stakes[index].id, owner: play.stakes[index].owner, weight });
    }
    if claims.is_empty() {
        return;
    }
    let cut = play.dice.random_range(1..=claims.len());
    let mut shards: Vec<Shard> = Vec::new();
    for part in [&claims[..cut], &claims[cut..]].into_iter().filter(|part| !part.is_empty()) {
        let weight: u64 = part.iter().map(|claim| claim.weight).sum();
        shards.push(Shard {
            id: None,
            swept: false,
            weight,
            claims: part.to_vec(),
            claimed: BTreeSet::new(),
        });
    }
    let mut weight: u64 = shards.iter().map(|shard| shard.weight).sum();
    let honest = play.chance(75);
    if !honest {
        // Less than its parts, in one place or the other.
        match play.dice.random_range(0..2) {
            0 => weight = (weight / 2).max(1),
            _ => shards[0].weight = (shards[0].weight / 2).max(1),
        }
    }
    let cluster = play.world.cluster;
    let levels = shard_tree(cluster, number, &shards);
    let timestamp_ms = now;
    let enclave = &play.enclaves[by];
    let message =
        (INTENT_EPOCH, timestamp_ms, enclave.id, cluster, number, from_ms, to_ms, weight, root(&levels));
    let forged = play.dice.random_range(0..10) == 0;
    let signature = sign(&key(if forged { 0x7f } else { enclave.key }), &message);
    let arguments = vec![
        Arg::Object(play.world.pool),
        Arg::Read(play.world.governance),
        Arg::Read(play.world.registry),
        Arg::Object(enclave.id),
        pure(&number),
        pure(&from_ms),
        pure(&to_ms),
        pure(&weight),
        pure(&root(&levels)),
        pure(&timestamp_ms),
        pure(&signature),
        clock(),
    ];
    let good = play.stands(by) && play.is_mature(by);
    let fresh = enclave.is_news(INTENT_EPOCH, timestamp_ms, now);
    let timely = from_ms >= pool.until_ms && to_ms <= now && to_ms - from_ms >= play.rules.epoch_ms;
    let budget = (u128::from(pool.balance) * u128::from(play.rules.payout_bps) / 10_000) as u64;
    let next = number == pool.epoch + 1;
    let done = play.world.call(caller, "rewards", "post_epoch", arguments);
    let expect = Expect::when(good && fresh && timely && next && !forged && budget > 0);
    play.judge(&format!("epoch {number} is posted, honest: {honest}"), expect, &done);
    if done.ok() {
        play.enclaves[by].latest_ms.insert(INTENT_EPOCH, timestamp_ms);
        let made: objects::Epoch = done.made("rewards", "Epoch");
        assert_eq!((made.budget, made.balance), (budget, budget));
        let deadline_ms = now + play.rules.claim_ms;
        let (id, paid, swept) = (made.id, 0, false);
        play.epochs.push(Epoch { id, budget, deadline_ms, honest, weight, shards, paid, swept });
    }
}

/// Number of an epoch: they are posted in order.
fn number(at: usize) -> u64 {
    at as u64 + 1
}

fn open_shard(play: &mut Play) {
    let Some(at) = play.pick_late(play.epochs.len()) else { return };
    if play.epochs[at].swept {
        return;
    }
    let index = play.dice.random_range(0..play.epochs[at].shards.len());
    let caller = play.actor();
    let lie = play.dice.random_range(0..10) == 0;
    let epoch = &play.epochs[at];
    let shard = &epoch.shards[index];
    let levels = shard_tree(play.world.cluster, number(at), &epoch.shards);
    let claims = root(&claim_tree(play.world.cluster, number(at), &shard.claims));
    let arguments = vec![
        Arg::Object(epoch.id),
        pure(&(index as u8)),
        pure(&(shard.weight + u64::from(lie))),
        pure(&claims),
        pure(&proof(&levels, index)),
        clock(),
    ];
    let allowed = shard.id.is_none() && !lie && play.world.now < epoch.deadline_ms;
    // If the weights do not add up, the last shard finds too little.
    let expect = if allowed && !epoch.honest { Expect::May } else { Expect::when(allowed) };
    let (budget, weight, whole) = (epoch.budget, shard.weight, epoch.weight);
    let done = play.world.call(caller, "rewards", "open_shard", arguments);
    play.judge(&format!("shard {index} of epoch {at} is opened"), expect, &done);
    if done.ok() {
        let made: objects::Shard = done.made("rewards", "Shard");
        assert_eq!(made.balance, part(budget, weight, whole));
        play.epochs[at].shards[index].id = Some(made.id);
    }
}

fn part(amount: u64, weight: u64, whole: u64) -> u64 {
    (u128::from(amount) * u128::from(weight) / u128::from(whole)) as u64
}

fn claim(play: &mut Play) {
    let Some(at) = play.pick_late(play.epochs.len()) else { return };
    let open: Vec<usize> = (0..play.epochs[at].shards.len())
        .filter(|index| play.epochs[at].shards[*index].id.is_some() && !play.epochs[at].shards[*index].swept)
        .collect();
    let Some(shard_at) = play.pick(open.len()).map(|index| open[index]) else { return };
    let caller = play.actor();
    let index = play.dice.random_range(0..play.epochs[at].shards[shard_at].claims.len());
    let lie = play.dice.random_range(0..8);
    let epoch = &play.epochs[at];
    let shard = &epoch.shards[shard_at];
    let claim = &shard.claims[index];
    let levels = claim_tree(play.world.cluster, number(at), &shard.claims);
    // The same proof under another number, which differs above the height of the tree.
    let place = index as u8 | if lie == 2 { 0x80 } else { 0 };
    let (weight, owner) = match lie {
        0 => (claim.weight + 1, claim.owner),
        1 => (claim.weight, (claim.owner + 1) % crate::ACTORS),
        _ => (claim.weight, claim.owner),
    };
    let arguments = vec![
        Arg::Object(shard.id.unwrap()),
        pure(&place),
        pure(&claim.stake),
        pure(&actor(owner)),
        pure(&weight),
        pure(&proof(&levels, index)),
        clock(),
    ];
    let amount = part(epoch.budget, claim.weight, epoch.weight);
    let allowed =
        lie > 2 && !shard.claimed.contains(&index) && play.world.now < epoch.deadline_ms && amount > 0;
    let expect = if allowed && !epoch.honest { Expect::May } else { Expect::when(allowed) };
    let done = play.world.call(caller, "rewards", "claim", arguments);
    // Not even a pause keeps what was earned.
    play.judge(&format!("claim {index} of shard {shard_at} of epoch {at}"), expect, &done);
    if done.ok() {
        assert_eq!(done.received[owner], i128::from(amount));
        let epoch = &mut play.epochs[at];
        assert!(epoch.shards[shard_at].claimed.insert(index), "a claim is paid twice");
        epoch.paid += amount;
        assert!(epoch.paid <= epoch.budget, "claims exceed the pool");
    }
}

fn sweep(play: &mut Play) {
    let Some(at) = play.pick(play.epochs.len()) else { return };
    let caller = play.actor();
    let expect = Expect::when(play.world.now >= play.epochs[at].deadline_ms);
    for index in 0..play.epochs[at].shards.len() {
        let shard = &play.epochs[at].shards[index];
        if let (Some(id), false) = (shard.id, shard.swept) {
            let arguments = vec![Arg::Object(id), Arg::Object(play.world.pool), clock()];
            let done = play.world.call(caller, "rewards", "sweep_shard", arguments);
            play.judge(&format!("shard {index} of epoch {at} is swept"), expect, &done);
            play.epochs[at].shards[index].swept |= done.ok();
        }
    }
    if !play.epochs[at].swept {
        let arguments = vec![Arg::Object(play.epochs[at].id), Arg::Object(play.world.pool), clock()];
        let done = play.world.call(caller, "rewards", "sweep_epoch", arguments);
        play.judge(&format!("epoch {at} is swept"), expect, &done);
        play.epochs[at].swept |= done.ok();
    }
}

/// What must hold of all pools.
pub(crate) fn check(play: &Play) {
    let epochs = play.world.all::<objects::Epoch>("rewards", "Epoch");
    let shards = play.world.all::<objects::Shard>("rewards", "Shard");
    for epoch in play.epochs.iter().filter(|epoch| !epoch.swept) {
        let held = epochs.iter().find(|found| found.id == epoch.id).unwrap().balance;
        let open = epoch.shards.iter().filter(|shard| !shard.swept).filter_map(|shard| shard.id);
        let open: u64 = open.map(|id| shards.iter().find(|found| found.id == id).unwrap().balance).sum();
        let swept = epoch.shards.iter().any(|shard| shard.swept);
        assert!(held + open + epoch.paid <= epoch.budget);
        assert!(swept || held + open + epoch.paid == epoch.budget, "a budget is paid, held, or given back");
    }
}
