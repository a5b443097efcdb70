//! Random sequences of calls by many actors, executed as bytecode on a ledger, against what must always hold.
//!
//! The contracts are those of `contracts/build`, or of the directory `K3S_DAAS_CONTRACTS`. Every call is foretold
//! by the smallest bookkeeping that can do so (`must` succeed, or `must not`), and every transaction is checked
//! for the conservation of MIST to the unit. `INVARIANTS_SEQUENCES=n` plays n sequences, `INVARIANTS_SEED=s` the one
//! of that seed, which is what a failure prints.
//!
//! - MIST is conserved across every balance ([`world::World`], after every call).
//! - Nobody withdraws before lock-up and unbonding are over, or more than theirs; a stake with an open penalty does
//!   not leave; and a pause keeps nobody's unlocked money ([`stakes`]).
//! - Penalties stay below stake and cap, wait for their windows, and no fault is judged twice ([`slashes`]).
//! - Claims never exceed the pool ([`rewards`]); use costs time and price to the MIST ([`usage`]); payouts wait, once ([`insurance`]).
//! - A revoked or expired capability does nothing, and money waits for the timelock ([`power`]).
//! - One live token and one name per stake ([`stakes`]), and a token is live as long as what was done to it says ([`tokens`]).
//! - What is retired, revoked or expired says nothing any more ([`enclaves`]); an anchor only goes forward ([`points`]).
//! - Objects of two clusters in one call are refused ([`world::World::call`], tried beside every seventh call).
//! - Old code touches no new object, nor new code an old one, and an upgrade traps nothing ([`upgrades`]).
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a test fails by panicking")]

mod enclaves;
mod gas;
mod insurance;
mod objects;
mod points;
mod power;
mod rewards;
mod slashes;
mod stakes;
mod tokens;
mod upgrades;
mod usage;
mod world;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sui_sdk_types::Address;
use world::{ACTORS, Count, Counts, DAY_MS, Done, HOUR_MS, MINUTE_MS, World};

/// Calls in a sequence.
const CALLS: usize = 220;
/// Sequences when nothing is asked for.
const SEQUENCES: u64 = 80;
const FIRST_SEED: u64 = 0x5ea1;
/// One in this many sequences ends with an upgrade of the package.
const UPGRADED: u64 = 4;

/// What a call should come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Must,
    MustNot,
    /// The bookkeeping does not know; only the invariants count.
    May,
}

impl Expect {
    pub(crate) fn when(allowed: bool) -> Self {
        if allowed { Self::Must } else { Self::MustNot }
    }
}

/// A sequence being played.
pub(crate) struct Play {
    pub(crate) world: World,
    pub(crate) dice: StdRng,
    pub(crate) stakes: Vec<stakes::Stake>,
    pub(crate) names: BTreeSet<String>,
    pub(crate) cases: Vec<slashes::Case>,
    pub(crate) epochs: Vec<rewards::Epoch>,
    pub(crate) escrows: Vec<usage::Escrow>,
    pub(crate) payouts: Vec<insurance::Payout>,
    pub(crate) caps: Vec<power::Cap>,
    pub(crate) enclaves: Vec<enclaves::Enclave>,
    pub(crate) allowed: enclaves::Allowed,
    /// What the registry says beside that.
    pub(crate) trust: enclaves::Trust,
    pub(crate) points: points::Points,
    pub(crate) upgrade: upgrades::Upgrade,
    pub(crate) rules: power::Rules,
    pub(crate) paused_until_ms: u64,
    /// What was called, for whoever reads a failure.
    log: Vec<String>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let world = World::fresh(seed);
        let cap = power::Cap { id: world.cap, holder: 0, expires_ms: u64::MAX, live: true };
        let mut play = Self {
            world,
            dice: StdRng::seed_from_u64(seed),
            stakes: Vec::new(),
            names: BTreeSet::new(),
            cases: Vec::new(),
            epochs: Vec::new(),
            escrows: Vec::new(),
            payouts: Vec::new(),
            caps: vec![cap],
            enclaves: Vec::new(),
            allowed: enclaves::Allowed::default(),
            trust: enclaves::Trust::default(),
            points: points::Points::default(),
            upgrade: upgrades::Upgrade::of(Address::ZERO),
            rules: power::Rules::default(),
            paused_until_ms: 0,
            log: Vec::new(),
        };
        play.upgrade = upgrades::guard(&mut play);
        enclaves::set_up(&mut play);
        play
    }

    /// Notes a call and holds it to what was foretold.
    pub(crate) fn judge(&mut self, what: &str, expect: Expect, done: &Done) {
        let came = done.refused.as_deref().unwrap_or("ok");
        self.log.push(format!("{} {what}: {came}", self.world.now));
        match expect {
            Expect::Must => assert!(done.ok(), "{what} must succeed: {came}"),
            Expect::MustNot => assert!(!done.ok(), "{what} must be refused"),
            Expect::May => {}
        }
        let other = |error: &str| {
            ["Primitive", "Invariant", "Verification", "InsufficientGas"]
                .iter()
                .any(|bad| error.contains(bad))
        };
        assert!(!done.refused.as_deref().is_some_and(other), "{what} fails without a code: {came}");
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.dice.random_range(0..100) < percent
    }

    pub(crate) fn actor(&mut self) -> usize {
        self.dice.random_range(0..ACTORS)
    }

    /// `right` most of the time, else anybody.
    pub(crate) fn mostly(&mut self, right: usize) -> usize {
        if self.chance(85) { right } else { self.actor() }
    }

    /// One of `count`, the last ones mostly.
    pub(crate) fn pick_late(&mut self, count: usize) -> Option<usize> {
        let last = count.min(2);
        if self.chance(75) { self.pick(last).map(|index| count - last + index) } else { self.pick(count) }
    }

    pub(crate) fn pick(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.dice.random_range(0..count))
    }

    pub(crate) fn paused(&self) -> bool {
        self.world.now < self.paused_until_ms
    }

    /// Moves the clock: by a step, or to the edge of something that waits.
    fn advance(&mut self) {
        let now = self.world.now;
        let mut edges: Vec<u64> = Vec::new();
        for stake in self.stakes.iter().filter(|stake| !stake.gone) {
            edges.push(stake.leaves_ms());
        }
        for case in self.cases.iter().filter(|case| !case.closed) {
            edges.extend([case.executes_ms, case.lapses_ms]);
        }
        edges.extend(self.epochs.iter().map(|epoch| epoch.deadline_ms));
        edges.extend(self.payouts.iter().map(|payout| payout.ripe_ms));
        edges.extend(self.caps.iter().map(|cap| cap.expires_ms));
        edges.push(self.paused_until_ms);
        edges.extend(self.allowed.edges());
        edges.extend(self.upgrade.edges());
        edges.extend(self.stakes.iter().filter_map(|stake| Some(stake.token.as_ref()?.expires_ms)));
        edges.extend(self.rules.pending.iter().map(|(_, ripe_ms)| *ripe_ms));
        for stake in &self.stakes {
            edges.extend(stake.periods.keys().map(|period_ms| period_ms + self.rules.cap_period_ms));
        }
        edges.extend(self.enclaves.iter().map(|enclave| enclave.registered_ms + self.rules.timelock_ms));
        // The nearest are tried most; what is far off would skip everything before it.
        edges.retain(|edge| *edge > now + 1 && *edge < now + 40 * DAY_MS);
        edges.sort_unstable();
        edges.truncate(if self.chance(95) { 3 } else { usize::MAX });
        self.world.now = match self.pick(edges.len()) {
            Some(index) if self.chance(40) => edges[index] - u64::from(self.chance(50)),
            _ => now + [1, 999, MINUTE_MS, HOUR_MS, 3 * HOUR_MS, DAY_MS][self.dice.random_range(0..6)],
        };
    }

    fn step(&mut self) {
        enclaves::keep_one(self);
        match self.dice.random_range(0..100) {
            0..18 => self.advance(),
            18..42 => stakes::step(self),
            42..60 => slashes::step(self),
            60..80 => rewards::step(self),
            80..89 => power::step(self),
            89..93 => enclaves::step(self),
            93..98 => points::step(self),
            _ => upgrades::step(self),
        }
        stakes::check(self);
        tokens::check(self);
        points::check(self);
        slashes::check(self);
        rewards::check(self);
    }
}

/// Plays the sequence of a seed.
fn play(seed: u64) -> Result<Play, String> {
    let mut play = Play::new(seed);
    let played = catch_unwind(AssertUnwindSafe(|| {
        while play.log.len() < CALLS {
            play.step();
        }
        if seed.is_multiple_of(UPGRADED) {
            upgrades::rehearse(&mut play);
        }
        power::settle(&mut play);
    }));
    played.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let from = play.log.len().saturating_sub(30);
        format!(
            "seed {seed}: {}\nreplay: INVARIANTS_SEED={seed} cargo test -p devnet --test invariants\nthe last calls:\n{}",
            text.unwrap_or_default(),
            play.log[from..].join("\n")
        )
    })?;
    Ok(play)
}

#[test]
fn whatever_is_called_the_invariants_hold() {
    let number = |name| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    if let Some(seed) = number("INVARIANTS_SEED") {
        let played = play(seed).unwrap_or_else(|failure| panic!("{failure}"));
        return println!("{}", played.log.join("\n"));
    }
    let sequences = number("INVARIANTS_SEQUENCES").unwrap_or(SEQUENCES);
    let mut counts = Counts::new();
    for seed in FIRST_SEED..FIRST_SEED + sequences {
        let played = play(seed).unwrap_or_else(|failure| panic!("{failure}"));
        for (function, count) in played.world.counts {
            counts.entry(function).or_default().add(count);
        }
    }
    let mut calls = 0;
    for (function, Count { succeeded, refused, .. }) in &counts {
        println!("{function}: {succeeded} succeeded, {refused} refused");
        calls += succeeded + refused;
    }
    println!("{sequences} sequences, {calls} calls");
    // Sequences in which something never works show nothing about it.
    let idle: Vec<_> = counts.iter().filter(|(_, count)| count.succeeded == 0).collect();
    assert!(idle.is_empty(), "never succeeded: {idle:?}");
    let called: BTreeSet<String> = counts.keys().cloned().collect();
    assert_eq!(called, gas::entries(), "public entries of the contracts are all called");
    if sequences == SEQUENCES && std::env::var_os("K3S_DAAS_CONTRACTS").is_none() {
        gas::check(&counts);
    }
}
