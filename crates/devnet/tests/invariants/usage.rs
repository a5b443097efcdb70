//! Escrows, charged by the second: what each call leaves is foretold to the MIST.

use rand::Rng;
use sui_sdk_types::Address;

use crate::objects::Escrow as Held;
use crate::power::Rules;
use crate::world::{Arg, actor, clock, pure};
use crate::{Expect, Play};

const ACTIVE: u8 = 0;
const GRACE: u8 = 1;
const SUSPENDED: u8 = 2;
const MOST_UNITS: u64 = 1_000_000;

pub(crate) struct Escrow {
    id: Address,
    owner: usize,
    gone: bool,
}

/// The rules of an escrow, written down a second time.
impl Held {
    fn is_low(&self, rules: &Rules) -> bool {
        let seconds = u128::from(rules.grace_ms / 1_000 + 1);
        u128::from(self.balance) < u128::from(self.units * self.price) * seconds
    }

    fn accrue(&mut self, rules: &Rules, now: u64) {
        if self.status == SUSPENDED {
            return;
        }
        let rate = self.units * self.price;
        let (passed, affordable) = ((now - self.settled_ms) / 1_000, self.balance / rate);
        let paid = passed.min(affordable);
        self.balance -= paid * rate;
        self.earned += paid * rate;
        self.settled_ms += paid * 1_000;
        self.status = if passed > affordable { SUSPENDED } else { self.marked(rules) };
    }

    fn marked(&self, rules: &Rules) -> u8 {
        match self.status {
            SUSPENDED => SUSPENDED,
            _ if self.is_low(rules) => GRACE,
            _ => ACTIVE,
        }
    }

    fn resume(&mut self, rules: &Rules, now: u64) {
        if self.is_low(rules) {
            return;
        }
        if self.status == SUSPENDED {
            self.settled_ms = now;
        }
        self.status = ACTIVE;
    }
}

pub(crate) fn step(play: &mut Play) {
    let live: Vec<usize> = (0..play.escrows.len()).filter(|index| !play.escrows[*index].gone).collect();
    let Some(at) = play.pick(live.len()).map(|index| live[index]) else { return open(play) };
    let owner = play.escrows[at].owner;
    let caller = play.mostly(owner);
    let id = play.escrows[at].id;
    let (rules, now) = (play.rules.clone(), play.world.now);
    let mut after: Held = play.world.read(id).unwrap();
    let what = match play.dice.random_range(0..16) {
        0..2 => return open(play),
        2..4 => "top_up",
        4..8 => "settle",
        8..10 => "withdraw",
        10..12 => "resize",
        12 => "reprice",
        13..15 => "collect",
        _ => "close",
    };
    let (escrow, governance, pool) =
        (Arg::Object(id), Arg::Read(play.world.governance), Arg::Object(play.world.pool));
    let mine = caller == owner;
    let held = after.balance;
    if what != "collect" {
        after.accrue(&rules, now);
    }
    // All that is not needed to stay ahead, or one more, or something.
    let needed = after.units * after.price * (rules.grace_ms / 1_000 + 1);
    let spare = after.balance.saturating_sub(needed);
    let amount = match play.dice.random_range(0..3) {
        0 => spare,
        1 => spare + 1,
        _ => play.dice.random_range(0..held.max(2) / 2 + 1),
    };
    let units = if play.chance(85) { play.dice.random_range(1..1_000u64) } else { MOST_UNITS + 1 };
    let mut received = 0;
    let (arguments, allowed) = match what {
        "top_up" => {
            after.balance += amount;
            after.resume(&rules, now);
            received = -i128::from(amount);
            (vec![escrow, governance, Arg::Coin(amount), clock()], amount > 0)
        }
        "settle" => (vec![escrow, governance, clock()], true),
        "withdraw" => {
            let there = amount > 0 && amount <= after.balance;
            after.balance -= if there { amount } else { 0 };
            received = i128::from(amount);
            (vec![escrow, governance, pure(&amount), clock()], mine && there && !after.is_low(&rules))
        }
        "resize" => {
            (after.units, after.price) = (units, rules.price);
            let enough = units <= MOST_UNITS && !after.is_low(&rules);
            after.resume(&rules, now);
            (vec![escrow, governance, pure(&units), clock()], mine && enough)
        }
        "reprice" => {
            let other = after.price != rules.price;
            after.price = rules.price;
            after.status = after.marked(&rules);
            (vec![escrow, governance, clock()], other)
        }
        "collect" => {
            let earned = std::mem::take(&mut after.earned);
            (vec![escrow, pool], earned > 0)
        }
        _ => {
            received = i128::from(after.balance);
            (vec![escrow, pool, governance, clock()], mine)
        }
    };
    let done = play.world.call(caller, "usage", what, arguments);
    play.judge(&format!("{caller} calls usage::{what} of escrow {at}"), Expect::when(allowed), &done);
    if !done.ok() {
        return;
    }
    assert_eq!(done.received[caller], received, "what {what} gives and takes");
    if what == "close" {
        play.escrows[at].gone = true;
    } else {
        assert_eq!(play.world.read::<Held>(id).unwrap(), after, "what {what} leaves");
    }
}

fn open(play: &mut Play) {
    let caller = play.actor();
    let units = play.dice.random_range(0..2_000u64);
    let least = units * play.rules.price * (play.rules.grace_ms / 1_000 + 1);
    // Just not enough, just enough, for a while, or for long.
    let amount = match play.dice.random_range(0..6) {
        0 => least.saturating_sub(1),
        1 => least,
        2..4 => least + play.dice.random_range(0..=least),
        _ => least + play.dice.random_range(0..=30 * least),
    };
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
        let made: Held = done.made("usage", "Escrow");
        assert_eq!((made.owner, made.balance, made.status), (actor(caller), amount, ACTIVE));
        play.escrows.push(Escrow { id: made.id, owner: caller, gone: false });
    }
}
