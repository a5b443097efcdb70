//! Capabilities, the timelock and the pause.

use rand::Rng;
use sui_sdk_types::Address;

use crate::world::{Arg, DAY_MS, HOUR_MS, actor, clock, pure};
use crate::{Expect, Play, slashes, stakes};

/// A capability, and who holds it.
pub(crate) struct Cap {
    pub(crate) id: Address,
    pub(crate) holder: usize,
    pub(crate) expires_ms: u64,
    /// Neither revoked nor handed on.
    pub(crate) live: bool,
}

impl Cap {
    /// Whether `caller` may use it at this time.
    pub(crate) fn works(&self, caller: usize, now: u64) -> bool {
        self.holder == caller && self.live && now < self.expires_ms
    }
}

/// What is in force: the defaults of the contracts, written down a second time.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) minimums: [u64; 3],
    pub(crate) locks_ms: [u64; 3],
    pub(crate) unbonding_ms: u64,
    pub(crate) penalty_bps: [u64; 4],
    pub(crate) cap_bps: u64,
    /// The most that it was at any time.
    pub(crate) cap_bps_most: u64,
    pub(crate) cap_period_ms: u64,
    pub(crate) contest_ms: u64,
    pub(crate) extension_ms: u64,
    pub(crate) execute_ms: u64,
    pub(crate) evidence_age_ms: u64,
    pub(crate) reporter_bps: u64,
    pub(crate) uptime_bps: u64,
    pub(crate) epoch_ms: u64,
    pub(crate) payout_bps: u64,
    pub(crate) claim_ms: u64,
    pub(crate) price: u64,
    pub(crate) grace_ms: u64,
    pub(crate) timelock_ms: u64,
    /// What waits for the timelock, and until when.
    pub(crate) pending: Option<(Box<Rules>, u64)>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            minimums: [100, 1_000, 10_000],
            locks_ms: [7 * DAY_MS, DAY_MS, 7 * DAY_MS],
            unbonding_ms: 7 * DAY_MS,
            penalty_bps: [100, 1_000, 3_000, 5_000],
            cap_bps: 5_000,
            cap_bps_most: 5_000,
            cap_period_ms: 30 * DAY_MS,
            contest_ms: 2 * DAY_MS,
            extension_ms: 5 * DAY_MS,
            execute_ms: 7 * DAY_MS,
            evidence_age_ms: 7 * DAY_MS,
            reporter_bps: 1_000,
            uptime_bps: 9_500,
            epoch_ms: DAY_MS,
            payout_bps: 10_000,
            claim_ms: 30 * DAY_MS,
            price: 1,
            grace_ms: HOUR_MS,
            timelock_ms: DAY_MS,
            pending: None,
        }
    }
}

impl Play {
    /// A capability and who tries it: its holder, mostly.
    pub(crate) fn any_cap(&mut self) -> (usize, usize) {
        let cap = if self.chance(50) { 0 } else { self.dice.random_range(0..self.caps.len()) };
        (cap, self.mostly(self.caps[cap].holder))
    }
}

pub(crate) fn step(play: &mut Play) {
    match play.dice.random_range(0..16) {
        _ if play.paused() && play.chance(50) => unpause(play),
        0 => pause(play),
        1 => unpause(play),
        2..5 => issue(play),
        5 => revoke(play),
        6 => offer(play),
        7..10 => propose(play),
        10..14 => apply(play),
        14 => cancel(play),
        _ => configure(play),
    }
}

fn gate(play: &Play, cap: usize) -> [Arg; 3] {
    [Arg::Object(play.world.cluster), Arg::Read(play.world.governance), Arg::Object(play.caps[cap].id)]
}

fn pause(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let now = play.world.now;
    let length = [0, 1, HOUR_MS, DAY_MS, 14 * DAY_MS, 14 * DAY_MS + 1][play.dice.random_range(0..6)];
    let arguments = [&gate(play, cap)[..], &[pure(&(now + length)), clock()]].concat();
    let done = play.world.call(caller, "k8s_gateway", "pause", arguments);
    let allowed = play.caps[cap].works(caller, now) && (1..=14 * DAY_MS).contains(&length);
    play.judge(&format!("{caller} pauses for {length} ms"), Expect::when(allowed), &done);
    if done.ok() {
        play.paused_until_ms = now + length;
    }
}

fn unpause(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let allowed = play.caps[cap].works(caller, play.world.now) && play.paused();
    let arguments = [&gate(play, cap)[..], &[clock()]].concat();
    let done = play.world.call(caller, "k8s_gateway", "unpause", arguments);
    play.judge(&format!("{caller} ends the pause"), Expect::when(allowed), &done);
    if done.ok() {
        play.paused_until_ms = 0;
    }
}

fn governing(play: &Play, cap: usize) -> [Arg; 2] {
    [Arg::Object(play.world.governance), Arg::Object(play.caps[cap].id)]
}

fn issue(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let now = play.world.now;
    let recipient = play.actor();
    let expires_ms =
        [now, now + 1, now + HOUR_MS, now + 3 * DAY_MS, now + 40 * DAY_MS][play.dice.random_range(0..5)];
    let expires_ms = expires_ms
        + u64::from(play.chance(10)) * play.caps[cap].expires_ms.saturating_sub(expires_ms).min(DAY_MS);
    let live = play.caps.iter().filter(|cap| cap.live).count();
    let allowed = play.caps[cap].works(caller, now)
        && expires_ms > now
        && expires_ms <= play.caps[cap].expires_ms
        && live < 32;
    let arguments =
        [&governing(play, cap)[..], &[pure(&actor(recipient)), pure(&expires_ms), clock()]].concat();
    let done = play.world.call(caller, "governance", "issue_cap", arguments);
    play.judge(
        &format!("{caller} issues a capability to {recipient} by {cap}"),
        Expect::when(allowed),
        &done,
    );
    if done.ok() {
        let id = done.made_id("governance", "AdminCap");
        play.caps.push(Cap { id, holder: recipient, expires_ms, live: true });
    }
}

fn revoke(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let other = play.dice.random_range(0..play.caps.len());
    let revoked = &play.caps[other];
    let last = revoked.expires_ms == u64::MAX
        && play.caps.iter().filter(|cap| cap.live && cap.expires_ms == u64::MAX).count() < 2;
    let allowed = play.caps[cap].works(caller, play.world.now)
        && revoked.live
        && revoked.expires_ms <= play.caps[cap].expires_ms
        && !last;
    let arguments = [&governing(play, cap)[..], &[pure(&revoked.id), clock()]].concat();
    let done = play.world.call(caller, "governance", "revoke_cap", arguments);
    play.judge(&format!("{caller} revokes capability {other} by {cap}"), Expect::when(allowed), &done);
    if done.ok() {
        play.caps[other].live = false;
    }
}

/// Offers a capability, and somebody accepts it.
fn offer(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let recipient = play.actor();
    let works = play.caps[cap].works(caller, play.world.now);
    let arguments = [&governing(play, cap)[..], &[pure(&actor(recipient)), clock()]].concat();
    let done = play.world.call(caller, "governance", "offer_cap", arguments);
    play.judge(&format!("{caller} offers capability {cap} to {recipient}"), Expect::when(works), &done);
    if !done.ok() {
        return;
    }
    let taker = play.mostly(recipient);
    let arguments = vec![Arg::Object(play.world.governance), pure(&play.caps[cap].id), clock()];
    let done = play.world.call(taker, "governance", "accept_cap", arguments);
    play.judge(&format!("{taker} accepts capability {cap}"), Expect::when(taker == recipient), &done);
    if done.ok() {
        let id = done.made_id("governance", "AdminCap");
        let expires_ms = play.caps[cap].expires_ms;
        play.caps[cap].live = false;
        let new = Cap { id, holder: recipient, expires_ms, live: true };
        play.caps.push(new);
        // The first is the one that is tried most.
        if cap == 0 {
            let last = play.caps.len() - 1;
            play.caps.swap(0, last);
        }
    } else {
        let arguments = [&governing(play, cap)[..], &[clock()]].concat();
        let done = play.world.call(caller, "governance", "withdraw_offer", arguments);
        play.judge("the offer is withdrawn", Expect::Must, &done);
    }
}

fn configure(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let minimums = vec![100, 1_000, [5_000, 10_000, 20_000][play.dice.random_range(0..3)]];
    let locks_ms = vec![7 * DAY_MS, [0, DAY_MS, 3 * DAY_MS][play.dice.random_range(0..3)], 7 * DAY_MS];
    let unbonding_ms = [0, DAY_MS, 7 * DAY_MS][play.dice.random_range(0..3)];
    let arguments = [
        &gate(play, cap)[..],
        &[pure(&minimums), pure(&locks_ms), pure(&unbonding_ms), pure(&(30 * DAY_MS)), clock()],
    ]
    .concat();
    let done = play.world.call(caller, "k8s_gateway", "set_config", arguments);
    let expect = Expect::when(play.caps[cap].works(caller, play.world.now));
    play.judge(&format!("{caller} sets the configuration"), expect, &done);
    if done.ok() {
        // Stakes that are there keep the terms of the day they were made.
        play.rules.minimums = minimums.try_into().unwrap();
        play.rules.locks_ms = locks_ms.try_into().unwrap();
        play.rules.unbonding_ms = unbonding_ms;
    }
}

fn propose(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let mut rules = Rules { pending: None, ..play.rules.clone() };
    rules.penalty_bps[3] = [2_000, 5_000][play.dice.random_range(0..2)];
    rules.cap_bps = [3_000, 5_000][play.dice.random_range(0..2)];
    rules.contest_ms = [DAY_MS, 2 * DAY_MS][play.dice.random_range(0..2)];
    rules.reporter_bps = [0, 1_000, 5_000][play.dice.random_range(0..3)];
    rules.payout_bps = [3_333, 10_000][play.dice.random_range(0..2)];
    rules.price = if play.chance(70) { 4 - rules.price } else { rules.price };
    let numbers = [
        rules.cap_bps,
        rules.cap_period_ms,
        rules.contest_ms,
        rules.extension_ms,
        rules.execute_ms,
        rules.evidence_age_ms,
        rules.reporter_bps,
        rules.uptime_bps,
        rules.epoch_ms,
        rules.payout_bps,
        rules.claim_ms,
        rules.price,
        rules.grace_ms,
        rules.timelock_ms,
    ];
    let numbers: Vec<Arg> = numbers.iter().map(pure).collect();
    let arguments =
        [&governing(play, cap)[..], &[pure(&rules.penalty_bps.to_vec())], &numbers, &[clock()]].concat();
    let done = play.world.call(caller, "governance", "propose_economics", arguments);
    let expect = Expect::when(play.caps[cap].works(caller, play.world.now));
    play.judge(&format!("{caller} proposes economics"), expect, &done);
    if done.ok() {
        play.rules.pending = Some((Box::new(rules), play.world.now + play.rules.timelock_ms));
    }
}

fn apply(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let ripe = play.rules.pending.as_ref().is_some_and(|(_, ripe_ms)| play.world.now >= *ripe_ms);
    let expect = Expect::when(play.caps[cap].works(caller, play.world.now) && ripe);
    let arguments = [&governing(play, cap)[..], &[clock()]].concat();
    let done = play.world.call(caller, "governance", "apply_economics", arguments);
    play.judge(&format!("{caller} applies the economics"), expect, &done);
    if done.ok() {
        let (proposed, _) = play.rules.pending.take().unwrap();
        let now = play.rules.clone();
        play.rules = Rules {
            minimums: now.minimums,
            locks_ms: now.locks_ms,
            unbonding_ms: now.unbonding_ms,
            cap_bps_most: now.cap_bps_most.max(proposed.cap_bps),
            ..*proposed
        };
    }
}

fn cancel(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    let expect = Expect::when(play.caps[cap].works(caller, play.world.now) && play.rules.pending.is_some());
    let arguments = [&governing(play, cap)[..], &[clock()]].concat();
    let done = play.world.call(caller, "governance", "cancel_economics", arguments);
    play.judge(&format!("{caller} withdraws the proposed economics"), expect, &done);
    if done.ok() {
        play.rules.pending = None;
    }
}

/// At the end of a sequence, under a pause: everybody gets out what is theirs.
pub(crate) fn settle(play: &mut Play) {
    let now = play.world.now;
    let arguments = [&gate(play, 0)[..], &[pure(&(now + 14 * DAY_MS)), clock()]].concat();
    let holder = play.caps[0].holder;
    let done = play.world.call(holder, "k8s_gateway", "pause", arguments);
    let works = play.caps[0].works(holder, now);
    play.judge("a last pause", Expect::when(works), &done);
    if done.ok() {
        play.paused_until_ms = now + 14 * DAY_MS;
    }
    play.world.now = now + 13 * DAY_MS;
    let open: Vec<usize> = (0..play.cases.len()).filter(|index| !play.cases[*index].closed).collect();
    for case in open {
        slashes::lapse(play, case);
    }
    let live: Vec<usize> = (0..play.stakes.len()).filter(|index| !play.stakes[*index].gone).collect();
    for stake in live {
        let owner = play.stakes[stake].owner;
        stakes::leave(play, stake, owner);
    }
}
