//! Stakes and their tokens.

use std::collections::{BTreeMap, BTreeSet};

use rand::Rng;
use sui_sdk_types::Address;

use crate::objects;
use crate::tokens::{self, SECOND_KEY, Token};
use crate::world::{Arg, DAY_MS, actor, clock, key, public, pure};
use crate::{Expect, Play};

pub(crate) struct Stake {
    pub(crate) id: Address,
    pub(crate) owner: usize,
    pub(crate) tier: u8,
    /// MIST paid in and taken away.
    pub(crate) paid: u64,
    pub(crate) taken: u64,
    pub(crate) made_ms: u64,
    unlocks_ms: u64,
    notice_ms: u64,
    pub(crate) asked_ms: Option<u64>,
    pub(crate) token: Option<Token>,
    /// Seed of the key that speaks for it, and of all that ever did.
    pub(crate) key: u8,
    pub(crate) keys: BTreeSet<u8>,
    pub(crate) gone: bool,
    /// Time that was judged, by reason.
    pub(crate) judged: BTreeMap<u8, Vec<(u64, u64)>>,
    /// Faults that were judged.
    pub(crate) faults: BTreeSet<(u8, Vec<u8>)>,
    /// By the beginning of a period of the cap: what was locked then.
    pub(crate) periods: BTreeMap<u64, u64>,
}

impl Stake {
    pub(crate) fn amount(&self) -> u64 {
        self.paid - self.taken
    }

    /// When its money may leave, as things are.
    pub(crate) fn leaves_ms(&self) -> u64 {
        self.asked_ms.map_or(self.unlocks_ms, |asked| self.unlocks_ms.max(asked + self.notice_ms))
    }
}

pub(crate) fn step(play: &mut Play) {
    let live: Vec<usize> = (0..play.stakes.len()).filter(|index| !play.stakes[*index].gone).collect();
    let Some(at) = play.pick(live.len()).map(|index| live[index]) else { return stake(play) };
    match play.dice.random_range(0..16) {
        0..3 => stake(play),
        3 => top_up(play, at),
        4 => maintain(play, at),
        5 => ask_back(play, at),
        6..9 => withdraw(play, at),
        9..12 => issue(play, at),
        _ => tokens::step(play, at),
    }
}

fn stake(play: &mut Play) {
    let owner = play.actor();
    let tier = play.dice.random_range(0..3u8);
    let minimum = play.rules.minimums[usize::from(tier)];
    let amount = match play.dice.random_range(0..8) {
        0 => minimum - 1,
        1 => minimum,
        _ => minimum + play.dice.random_range(0..3 * minimum),
    };
    let arguments = vec![Arg::Read(play.world.cluster), pure(&tier), Arg::Coin(amount), clock()];
    let done = play.world.call(owner, "staking", "stake", arguments);
    let expect = Expect::when(amount >= minimum && !play.paused());
    play.judge(&format!("{owner} stakes {amount} for tier {tier}"), expect, &done);
    if !done.ok() {
        return;
    }
    assert_eq!(done.received[owner], -i128::from(amount));
    let made: objects::Stake = done.made("staking", "Stake");
    assert_eq!((made.owner, made.tier, made.balance), (actor(owner), tier, amount));
    let now = play.world.now;
    play.stakes.push(Stake {
        id: made.id,
        owner,
        tier,
        paid: amount,
        taken: 0,
        made_ms: now,
        unlocks_ms: now + play.rules.locks_ms[usize::from(tier)],
        notice_ms: play.rules.unbonding_ms,
        asked_ms: None,
        token: None,
        key: play.stakes.len() as u8 % SECOND_KEY,
        keys: BTreeSet::new(),
        gone: false,
        judged: BTreeMap::new(),
        faults: BTreeSet::new(),
        periods: BTreeMap::from([(now, amount)]),
    });
}

fn top_up(play: &mut Play, at: usize) {
    let caller = play.mostly(play.stakes[at].owner);
    let amount = play.dice.random_range(1..5_000u64);
    let arguments = vec![Arg::Object(play.stakes[at].id), Arg::Coin(amount)];
    let done = play.world.call(caller, "staking", "top_up", arguments);
    let stake = &mut play.stakes[at];
    let expect = Expect::when(caller == stake.owner && stake.asked_ms.is_none());
    if done.ok() {
        stake.paid += amount;
    }
    play.judge(&format!("{caller} tops stake {at} up by {amount}"), expect, &done);
}

fn maintain(play: &mut Play, at: usize) {
    let caller = play.mostly(play.stakes[at].owner);
    let from_ms = play.world.now - u64::from(play.chance(15));
    let length = [0, 1, DAY_MS, DAY_MS + 1][play.dice.random_range(0..4)];
    let arguments = vec![Arg::Read(play.stakes[at].id), pure(&from_ms), pure(&(from_ms + length)), clock()];
    let done = play.world.call(caller, "staking", "announce_maintenance", arguments);
    let allowed =
        caller == play.stakes[at].owner && from_ms == play.world.now && (1..=DAY_MS).contains(&length);
    play.judge(&format!("{caller} announces {length} ms for stake {at}"), Expect::when(allowed), &done);
}

fn ask_back(play: &mut Play, at: usize) {
    let caller = play.mostly(play.stakes[at].owner);
    let arguments = vec![Arg::Object(play.stakes[at].id), Arg::Read(play.world.cluster), clock()];
    let done = play.world.call(caller, "staking", "request_unstake", arguments);
    let now = play.world.now;
    let stake = &mut play.stakes[at];
    // A pause does not keep anybody from asking.
    let expect = Expect::when(caller == stake.owner && stake.asked_ms.is_none());
    if done.ok() {
        stake.asked_ms = Some(now);
    }
    play.judge(&format!("{caller} asks stake {at} back"), expect, &done);
}

fn withdraw(play: &mut Play, at: usize) {
    let caller = play.mostly(play.stakes[at].owner);
    leave(play, at, caller);
}

/// The owner, or somebody else, takes the money of a stake.
pub(crate) fn leave(play: &mut Play, at: usize, caller: usize) {
    let frozen = play.cases.iter().any(|case| case.stake == at && !case.closed);
    let stake = &play.stakes[at];
    let over = stake.asked_ms.is_some() && play.world.now >= stake.leaves_ms();
    // Neither a pause nor anything else keeps money whose time is over.
    let expect = Expect::when(caller == stake.owner && over && !frozen);
    let (owner, amount) = (stake.owner, stake.amount());
    let name = play.world.read::<objects::Stake>(stake.id).unwrap().node_name;
    let arguments = vec![Arg::Object(stake.id), Arg::Object(play.world.names), clock()];
    let done = play.world.call(caller, "staking", "withdraw", arguments);
    play.judge(&format!("{caller} withdraws stake {at}"), expect, &done);
    if done.ok() {
        assert_eq!(done.received[owner], i128::from(amount), "everything that is left, and no more");
        play.stakes[at].gone = true;
        if let Some(name) = name {
            play.names.remove(&name);
        }
    }
}

fn issue(play: &mut Play, at: usize) {
    let caller = play.mostly(play.stakes[at].owner);
    let (id, tier, seed) = (play.stakes[at].id, play.stakes[at].tier, play.stakes[at].key);
    let name = if tier == 0 { format!("node-{}", play.dice.random_range(0..4)) } else { String::new() };
    let arguments = vec![
        Arg::Object(id),
        Arg::Read(play.world.cluster),
        Arg::Object(play.world.names),
        pure(&public(&key(seed))),
        pure(&name),
        clock(),
    ];
    let done = play.world.call(caller, "seal_token", "issue", arguments);
    let minimum = play.rules.minimums[usize::from(tier)];
    let stake = &play.stakes[at];
    let covers = stake.asked_ms.is_none() && stake.amount() >= minimum;
    let free = tier != 0 || !play.names.contains(&name);
    let expect = Expect::when(caller == stake.owner && covers && stake.token.is_none() && free);
    play.judge(&format!("{caller} issues a token of stake {at} named {name:?}"), expect, &done);
    if done.ok() {
        let token: objects::Token = done.made("seal_token", "SealToken");
        assert_eq!((token.stake, &token.node_name), (id, &name));
        let issued = Token::issued(token.id, play.world.now);
        play.stakes[at].token = Some(issued);
        play.stakes[at].keys.insert(seed);
        if tier == 0 {
            assert!(play.names.insert(name), "a name is given twice");
        }
    }
}

/// What must hold of all stakes and tokens.
pub(crate) fn check(play: &Play) {
    let stakes = play.world.all::<objects::Stake>("staking", "Stake");
    let known: BTreeMap<Address, &Stake> =
        play.stakes.iter().filter(|stake| !stake.gone).map(|stake| (stake.id, stake)).collect();
    assert_eq!(stakes.len(), known.len());
    for stake in &stakes {
        let known = known[&stake.id];
        assert_eq!(stake.balance, known.amount(), "what was paid in less what was taken");
        assert_eq!(stake.token, known.token.as_ref().map(|token| token.id), "one token for ever");
        assert!(stake.frozen <= stake.balance, "more is frozen than there is");
        assert_eq!(stake.cases == 0, stake.frozen == 0, "penalties and what they hold belong together");
    }
    let tokens = play.world.all::<objects::Token>("seal_token", "SealToken");
    let of: BTreeSet<Address> = tokens.iter().map(|token| token.stake).collect();
    assert_eq!(of.len(), tokens.len(), "two tokens of one stake");
    let names: Vec<String> = stakes.iter().filter_map(|stake| stake.node_name.clone()).collect();
    let different: BTreeSet<&String> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "two stakes with one name");
}
