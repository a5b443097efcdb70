//! Rewards, use and insurance.

use std::collections::BTreeSet;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use rand::Rng;
use serde::Serialize;
use sui_sdk_types::Address;

use crate::objects;
use crate::world::{Arg, DAY_MS, actor, clock, key, pure, sign};
use crate::{Expect, Play};

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

pub(crate) struct Escrow {
    id: Address,
    owner: usize,
    /// MIST paid in less what came back.
    net: u64,
    /// MIST that were used up, collected or not.
    used: u64,
    gone: bool,
}

pub(crate) struct Payout {
    number: u64,
    amount: u64,
    recipient: usize,
    pub(crate) ripe_ms: u64,
    gone: bool,
}

pub(crate) fn step(play: &mut Play) {
    match play.dice.random_range(0..20) {
        0 => fund(play),
        1..4 => post(play),
        4..7 => open_shard(play),
        7..12 => claim(play),
        12 => sweep(play),
        13..18 => use_(play),
        _ => insure(play),
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
    let (weight, owner) = match lie {
        0 => (claim.weight + 1, claim.owner),
        1 => (claim.weight, (claim.owner + 1) % crate::ACTORS),
        _ => (claim.weight, claim.owner),
    };
    let arguments = vec![
        Arg::Object(shard.id.unwrap()),
        pure(&(index as u8)),
        pure(&claim.stake),
        pure(&actor(owner)),
        pure(&weight),
        pure(&proof(&levels, index)),
        clock(),
    ];
    let amount = part(epoch.budget, claim.weight, epoch.weight);
    let allowed =
        lie > 1 && !shard.claimed.contains(&index) && play.world.now < epoch.deadline_ms && amount > 0;
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

fn use_(play: &mut Play) {
    let live: Vec<usize> = (0..play.escrows.len()).filter(|index| !play.escrows[*index].gone).collect();
    let Some(at) = play.pick(live.len()).map(|index| live[index]) else { return open_escrow(play) };
    let owner = play.escrows[at].owner;
    let caller = play.mostly(owner);
    let before: objects::Escrow = play.world.read(play.escrows[at].id).unwrap();
    let amount = play.dice.random_range(0..before.balance.max(2) / 2 + 1);
    let units = play.dice.random_range(1..1_000u64);
    let (id, governance, pool) = (play.escrows[at].id, play.world.governance, play.world.pool);
    let (escrow, governance) = (Arg::Object(id), Arg::Read(governance));
    let mine = caller == owner;
    let (what, arguments, expect) = match play.dice.random_range(0..8) {
        0 => return open_escrow(play),
        1 => ("top_up", vec![escrow, governance, Arg::Coin(amount), clock()], Expect::when(amount > 0)),
        2 => ("settle", vec![escrow, governance, clock()], Expect::Must),
        3 => (
            "withdraw",
            vec![escrow, governance, pure(&amount), clock()],
            if mine { Expect::May } else { Expect::MustNot },
        ),
        4 => (
            "resize",
            vec![escrow, governance, pure(&units), clock()],
            if mine { Expect::May } else { Expect::MustNot },
        ),
        5 => ("reprice", vec![escrow, governance, clock()], Expect::when(before.price != play.rules.price)),
        6 => ("collect", vec![escrow, Arg::Object(pool)], Expect::when(before.earned > 0)),
        _ => {
            let arguments = vec![escrow, Arg::Object(pool), governance, clock()];
            ("close", arguments, Expect::when(mine))
        }
    };
    let done = play.world.call(caller, "usage", what, arguments);
    play.judge(&format!("{caller} calls usage::{what} of escrow {at}"), expect, &done);
    if !done.ok() {
        return;
    }
    let book = &mut play.escrows[at];
    match what {
        "top_up" => book.net += amount,
        "withdraw" => book.net -= amount,
        _ => {}
    }
    let rate = u128::from(before.units) * u128::from(before.price);
    let seconds = u128::from(play.world.now.saturating_sub(before.settled_ms) / 1_000);
    let left = match play.world.read::<objects::Escrow>(id) {
        Some(after) => after.balance,
        None => {
            book.gone = true;
            u64::try_from(done.received[owner]).unwrap()
        }
    };
    // What was used is what is not there any more.
    let used = book.net.checked_sub(left).unwrap_or_else(|| panic!("an escrow holds more than was paid in"));
    let now_used = used.checked_sub(book.used).unwrap_or_else(|| panic!("what was used came back"));
    assert!(u128::from(now_used) <= rate * seconds, "more was used than the time and the price");
    assert!(rate == 0 || u128::from(now_used).is_multiple_of(rate), "a part of a second was used");
    if what == "settle" && u128::from(before.balance) >= rate * seconds && before.status() < 2 {
        assert_eq!(u128::from(now_used), rate * seconds, "time is used for nothing");
    }
    book.used = used;
}

fn open_escrow(play: &mut Play) {
    let caller = play.actor();
    let units = play.dice.random_range(0..2_000u64);
    let least = units * play.rules.price * (play.rules.grace_ms / 1_000 + 1);
    let amount = (least + play.dice.random_range(0..9 * least.max(1))).saturating_sub(least / 4);
    let arguments = vec![
        Arg::Read(play.world.cluster),
        Arg::Read(play.world.governance),
        pure(&units),
        Arg::Coin(amount),
        clock(),
    ];
    let done = play.world.call(caller, "usage", "open", arguments);
    let expect = Expect::when(units >= 1 && amount >= least && !play.paused());
    play.judge(&format!("{caller} opens an escrow of {units} units with {amount}"), expect, &done);
    if done.ok() {
        let made: objects::Escrow = done.made("usage", "Escrow");
        assert_eq!((made.owner, made.balance), (actor(caller), amount));
        play.escrows.push(Escrow { id: made.id, owner: caller, net: amount, used: 0, gone: false });
    }
}

fn insure(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let works = play.caps[cap].works(caller, play.world.now);
    let (insurance, governance) = (play.world.insurance, play.world.governance);
    let admin = [Arg::Object(insurance), Arg::Read(governance), Arg::Object(play.caps[cap].id)];
    let amount = play.dice.random_range(0..3_000u64);
    let live: Vec<usize> = (0..play.payouts.len()).filter(|index| !play.payouts[*index].gone).collect();
    let at = play.pick(live.len()).map(|index| live[index]);
    // One that is paid or cancelled is tried again, too.
    let at = if play.chance(25) { play.pick_late(play.payouts.len()) } else { at };
    match (play.dice.random_range(0..5), at) {
        (0, _) => {
            let arguments = vec![Arg::Object(insurance), Arg::Coin(amount)];
            let done = play.world.call(caller, "insurance", "donate", arguments);
            play.judge(&format!("{caller} donates {amount}"), Expect::when(amount > 0), &done);
        }
        (1, Some(at)) => {
            let arguments = [&admin[..], &[pure(&play.payouts[at].number), clock()]].concat();
            let done = play.world.call(caller, "insurance", "cancel_payout", arguments);
            let expect = Expect::when(works && !play.payouts[at].gone);
            play.judge(&format!("payout {at} is cancelled"), expect, &done);
            play.payouts[at].gone |= done.ok();
        }
        (2..4, Some(at)) => {
            let before: objects::Insurance = play.world.read(insurance).unwrap();
            let Payout { number, amount, recipient, ripe_ms, gone } = play.payouts[at];
            let allowed = works && !gone && play.world.now >= ripe_ms && before.balance >= amount;
            let arguments = [&admin[..], &[pure(&number), clock()]].concat();
            let done = play.world.call(caller, "insurance", "pay", arguments);
            play.judge(&format!("payout {at} of {amount} is paid"), Expect::when(allowed), &done);
            if done.ok() {
                assert_eq!(done.received[recipient], i128::from(amount));
                play.payouts[at].gone = true;
            }
        }
        _ => {
            let recipient = play.actor();
            let arguments = [&admin[..], &[pure(&amount), pure(&actor(recipient)), clock()]].concat();
            let room = live.len() < 16;
            let done = play.world.call(caller, "insurance", "propose_payout", arguments);
            play.judge(
                &format!("a payout of {amount} is proposed"),
                Expect::when(works && amount > 0 && room),
                &done,
            );
            if done.ok() {
                let insurance: objects::Insurance = play.world.read(insurance).unwrap();
                let number = insurance.payouts[insurance.payouts.len() - 1].number;
                let ripe_ms = play.world.now + play.rules.timelock_ms;
                play.payouts.push(Payout { number, amount, recipient, ripe_ms, gone: false });
            }
        }
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
