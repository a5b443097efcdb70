//! Penalties.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::IndexedRandom;
use sui_sdk_types::Address;

use crate::enclaves::{Measurement, measurement};
use crate::objects;
use crate::tokens::SECOND_KEY;
use crate::world::{ACTORS, Arg, DAY_MS, actor, clock, key, public, pure, sign};
use crate::{Expect, Play};

const DOWNTIME: u8 = 0;
const ATTESTATION: u8 = 1;
const CONTRADICTION: u8 = 2;
const TAMPERING: u8 = 3;
const INTENT_EVIDENCE: u8 = 5;
const INTENT_NODE: u8 = 6;

pub(crate) struct Case {
    pub(crate) id: Address,
    pub(crate) stake: usize,
    pub(crate) amount: u64,
    pub(crate) period_ms: u64,
    reporter: usize,
    reporter_bps: u64,
    extension_ms: u64,
    contested: bool,
    pub(crate) executes_ms: u64,
    pub(crate) lapses_ms: u64,
    /// Executed, dismissed or lapsed.
    pub(crate) closed: bool,
    executed: bool,
}

fn share(amount: u64, bps: u64) -> u64 {
    (u128::from(amount) * u128::from(bps) / 10_000) as u64
}

pub(crate) fn step(play: &mut Play) {
    let live: Vec<usize> = (0..play.stakes.len()).filter(|index| !play.stakes[*index].gone).collect();
    let open: Vec<usize> = (0..play.cases.len()).filter(|index| !play.cases[*index].closed).collect();
    let now = play.world.now;
    let due: Vec<usize> =
        open.iter().copied().filter(|case| play.cases[*case].executes_ms <= now + 1).collect();
    if let (Some(case), true) = (due.choose(&mut play.dice).copied(), play.chance(35)) {
        return execute(play, case);
    }
    let Some(stake) = live.choose(&mut play.dice).copied() else { return };
    let Some(case) = open.choose(&mut play.dice).copied() else {
        return if play.chance(30) { contradict(play, stake) } else { propose(play, stake) };
    };
    match play.dice.random_range(0..12) {
        0..3 => propose(play, stake),
        3..6 => contradict(play, stake),
        6..8 => contest(play, case),
        8..10 => execute(play, case),
        10 => dismiss(play, case),
        _ => lapse(play, case),
    }
}

fn propose(play: &mut Play, at: usize) {
    let Some(by) = play.some_enclave() else { return };
    let caller = play.actor();
    let reporter = play.actor();
    let reason = [DOWNTIME, ATTESTATION, TAMPERING][play.dice.random_range(0..3)];
    let now = play.world.now;
    let made_ms = play.stakes[at].made_ms;
    let to_ms = now - [0, 1, DAY_MS, 6 * DAY_MS, 7 * DAY_MS + 1][play.dice.random_range(0..5)];
    let length = [1, play.rules.epoch_ms - 1, play.rules.epoch_ms, 2 * play.rules.epoch_ms]
        [play.dice.random_range(0..4)];
    let from_ms = to_ms - length;
    let timestamp_ms = now - if play.chance(50) { 0 } else { play.dice.random_range(0..1000) };
    // Mostly something that may be judged: after what was judged, and for long enough.
    let judged =
        play.stakes[at].judged.get(&reason).and_then(|judged| judged.last()).map_or(made_ms, |last| last.1);
    let (from_ms, to_ms) = if play.chance(60) && judged + play.rules.epoch_ms <= now {
        let from_ms = judged.max(now - play.rules.evidence_age_ms.min(now)) - u64::from(play.chance(30));
        (from_ms, from_ms + play.rules.epoch_ms)
    } else {
        (from_ms, to_ms)
    };
    let length = to_ms - from_ms;
    let agreed = u128::from(length) * u128::from(play.rules.uptime_bps);
    let least = agreed.div_ceil(10_000) as u64;
    // Just below what was agreed, or just what was.
    let up_ms = if reason == DOWNTIME { least - u64::from(play.chance(70)).min(least) } else { 0 };
    let digest = vec![play.dice.random_range(0..20u8); 32];
    let honest = play.chance(90);
    let stated = if honest { up_ms } else { up_ms + 1 };
    let locator = "https://records.example";
    // Shown by what ran, sometimes.
    let code = (reason == ATTESTATION && play.chance(60)).then(|| play.some_code());
    let measured: Option<Measurement> = code.map(measurement);
    let enclave = &play.enclaves[by];
    let evidence = (
        (INTENT_EVIDENCE, timestamp_ms, enclave.id, play.world.cluster, play.stakes[at].id, reason),
        (from_ms, to_ms, stated, &measured, &digest, locator, actor(reporter)),
    );
    let signature = sign(&key(enclave.key), &evidence);
    let court = [
        Arg::Object(play.stakes[at].id),
        Arg::Read(play.world.cluster),
        Arg::Read(play.world.governance),
        Arg::Read(play.world.registry),
        Arg::Read(enclave.id),
    ];
    let (function, fault) = match &measured {
        Some((platform, names, values)) => {
            let ran = vec![pure(platform), pure(names), pure(values), pure(&from_ms), pure(&to_ms)];
            ("propose_measurement", ran)
        }
        None => ("propose", vec![pure(&reason), pure(&from_ms), pure(&to_ms), pure(&up_ms)]),
    };
    let shown = [
        pure(&digest),
        pure(&locator),
        pure(&actor(reporter)),
        pure(&timestamp_ms),
        pure(&signature),
        clock(),
    ];
    let arguments = [&court[..], &fault, &shown].concat();
    let good = play.stands(by) && play.is_mature(by);
    let refuted =
        code.is_some_and(|code| play.allowed.holds(code, from_ms) || play.trust.is_of_workers(code));
    let stake = &play.stakes[at];
    let overlaps = stake
        .judged
        .get(&reason)
        .is_some_and(|judged| judged.iter().any(|(_, until_ms)| from_ms < *until_ms));
    let down = reason != DOWNTIME || (length >= play.rules.epoch_ms && u128::from(up_ms) * 10_000 < agreed);
    let timely = from_ms >= made_ms && to_ms <= timestamp_ms && now - to_ms <= play.rules.evidence_age_ms;
    let new = !stake.faults.contains(&(reason, digest.clone())) && (reason == TAMPERING || !overlaps);
    let allowed = good && honest && down && timely && new && !refuted && !play.paused();
    let done = play.world.call(caller, "slashing", function, arguments);
    // Whether the cap leaves anything is told below.
    let something = done.refused.as_deref() != Some("staking:10");
    let expect = if something { Expect::when(allowed) } else { Expect::May };
    play.judge(&format!("reason {reason} of stake {at} from {from_ms} to {to_ms}"), expect, &done);
    if done.ok() {
        play.stakes[at].judged.entry(reason).or_default().push((from_ms, to_ms));
        proposed(play, at, reason, digest, reporter, &done.made("slashing", "Case"));
    } else if !something {
        nothing_left(play, at, reason);
    }
}

fn contradict(play: &mut Play, at: usize) {
    let caller = play.actor();
    let stake = &play.stakes[at];
    let Some(token) = stake.token.as_ref().map(|token| token.id) else { return };
    // One of its keys, also one that was replaced; or one that it never had.
    let seed = stake.key ^ if play.chance(25) { SECOND_KEY } else { 0 };
    let stake = &play.stakes[at];
    let (id, held) = (stake.id, stake.keys.contains(&seed));
    let sequence = play.dice.random_range(0..2u64);
    let subject = b"heartbeat".to_vec();
    let digests = [vec![1u8; 32], vec![if play.chance(80) { 2u8 } else { 1 }; 32]];
    let honest = play.chance(85);
    let cluster = play.world.cluster;
    let signed = |digest: &Vec<u8>, seed: u8| {
        sign(&key(seed), &(INTENT_NODE, 5u64, cluster, token, &subject, sequence, digest))
    };
    let other = if honest { seed } else { seed ^ 0x80 };
    let arguments = vec![
        Arg::Object(id),
        Arg::Read(play.world.cluster),
        Arg::Read(play.world.governance),
        pure(&token),
        pure(&public(&key(seed))),
        pure(&subject),
        pure(&sequence),
        pure(&5u64),
        pure(&digests[0]),
        pure(&signed(&digests[0], seed)),
        pure(&5u64),
        pure(&digests[1]),
        pure(&signed(&digests[1], other)),
        clock(),
    ];
    let fault = [&subject[..], &sequence.to_le_bytes()].concat();
    let new = !play.stakes[at].faults.contains(&(CONTRADICTION, fault.clone()));
    let allowed = honest && held && digests[0] != digests[1] && new && !play.paused();
    let done = play.world.call(caller, "slashing", "propose_contradiction", arguments);
    let something = done.refused.as_deref() != Some("staking:10");
    let expect = if something { Expect::when(allowed) } else { Expect::May };
    play.judge(&format!("contradiction {sequence} of stake {at}"), expect, &done);
    if done.ok() {
        proposed(play, at, CONTRADICTION, fault, caller, &done.made("slashing", "Case"));
    } else if !something {
        nothing_left(play, at, CONTRADICTION);
    }
}

/// Books a penalty that was proposed.
fn proposed(play: &mut Play, at: usize, reason: u8, fault: Vec<u8>, reporter: usize, made: &objects::Case) {
    let now = play.world.now;
    assert_eq!((made.stake, made.reporter), (play.stakes[at].id, actor(reporter)));
    assert!(play.stakes[at].faults.insert((reason, fault)), "a fault is judged twice");
    let amount = play.stakes[at].amount();
    let periods = &mut play.stakes[at].periods;
    let last = *periods.keys().next_back().unwrap();
    if made.period_ms != last {
        assert!(
            made.period_ms == now && now >= last + play.rules.cap_period_ms,
            "a period of the cap is cut short"
        );
        periods.insert(now, amount);
    }
    assert!(made.amount > 0);
    let base = play.stakes[at].periods[&made.period_ms];
    assert!(
        made.amount <= share(base, play.rules.penalty_bps[usize::from(reason)]),
        "more than the reason's penalty"
    );
    let executes_ms = now + play.rules.contest_ms;
    play.cases.push(Case {
        id: made.id,
        stake: at,
        amount: made.amount,
        period_ms: made.period_ms,
        reporter,
        reporter_bps: play.rules.reporter_bps,
        extension_ms: play.rules.extension_ms,
        contested: false,
        executes_ms,
        lapses_ms: executes_ms + play.rules.execute_ms,
        closed: false,
        executed: false,
    });
    let held: u64 = of_period(play, at, made.period_ms);
    assert!(held <= share(base, play.rules.cap_bps_most), "more than the cap of the period");
}

/// What is frozen and was taken in a period.
fn of_period(play: &Play, at: usize, period_ms: u64) -> u64 {
    let counts =
        |case: &&Case| case.stake == at && case.period_ms == period_ms && (!case.closed || case.executed);
    play.cases.iter().filter(counts).map(|case| case.amount).sum()
}

/// The contracts say that there is nothing to take: so it is.
fn nothing_left(play: &Play, at: usize, reason: u8) {
    let stake = &play.stakes[at];
    let (last, base) = stake.periods.iter().next_back().unwrap();
    let fresh = play.world.now >= last + play.rules.cap_period_ms;
    let base = if fresh { stake.amount() } else { *base };
    let held = if fresh { 0 } else { of_period(play, at, *last) };
    let frozen: u64 =
        play.cases.iter().filter(|case| case.stake == at && !case.closed).map(|case| case.amount).sum();
    let left = share(base, play.rules.cap_bps).saturating_sub(held);
    let penalty = share(base, play.rules.penalty_bps[usize::from(reason)]);
    assert_eq!(penalty.min(left).min(stake.amount() - frozen), 0, "a penalty was due");
}

fn contest(play: &mut Play, at: usize) {
    let owner = play.stakes[play.cases[at].stake].owner;
    let caller = play.mostly(owner);
    let arguments = vec![Arg::Object(play.cases[at].id), pure(&vec![1u8; 32]), clock()];
    let done = play.world.call(caller, "slashing", "contest", arguments);
    let now = play.world.now;
    let case = &mut play.cases[at];
    let expect = Expect::when(caller == owner && !case.contested && now < case.executes_ms);
    if done.ok() {
        case.contested = true;
        case.executes_ms += case.extension_ms;
        case.lapses_ms += case.extension_ms;
    }
    play.judge(&format!("{caller} contests case {at}"), expect, &done);
}

fn execute(play: &mut Play, at: usize) {
    let caller = play.actor();
    let case = &play.cases[at];
    let (stake, amount, reporter) = (case.stake, case.amount, case.reporter);
    let due = play.world.now >= case.executes_ms && play.world.now < case.lapses_ms;
    // Of another stake, sometimes.
    let live: Vec<usize> = (0..play.stakes.len()).filter(|index| !play.stakes[*index].gone).collect();
    let paying = if play.chance(15) { live[play.dice.random_range(0..live.len())] } else { stake };
    let case = &play.cases[at];
    let expect = Expect::when(due && paying == stake && !play.paused());
    let before: objects::Insurance = play.world.read(play.world.insurance).unwrap();
    let arguments = vec![
        Arg::Object(case.id),
        Arg::Object(play.stakes[paying].id),
        Arg::Read(play.world.cluster),
        Arg::Object(play.world.insurance),
        clock(),
    ];
    let reported = share(amount, case.reporter_bps);
    let done = play.world.call(caller, "slashing", "execute", arguments);
    play.judge(&format!("case {at} is executed"), expect, &done);
    if done.ok() {
        (play.cases[at].closed, play.cases[at].executed) = (true, true);
        play.stakes[stake].taken += amount;
        let mut received = vec![0i128; ACTORS];
        received[reporter] = reported.into();
        assert_eq!(done.received, received, "the reporter has the share, and nobody else anything");
        let after: objects::Insurance = play.world.read(play.world.insurance).unwrap();
        assert_eq!(after.balance - before.balance, amount - reported, "and the insurance the rest");
    }
}

fn dismiss(play: &mut Play, at: usize) {
    let (cap, caller) = play.any_cap();
    let expect = Expect::when(play.caps[cap].works(caller, play.world.now));
    let stake = play.cases[at].stake;
    let arguments = vec![
        Arg::Object(play.cases[at].id),
        Arg::Object(play.stakes[stake].id),
        Arg::Read(play.world.governance),
        Arg::Object(play.caps[cap].id),
        clock(),
    ];
    let done = play.world.call(caller, "slashing", "dismiss", arguments);
    play.judge(&format!("{caller} dismisses case {at} by capability {cap}"), expect, &done);
    play.cases[at].closed |= done.ok();
}

pub(crate) fn lapse(play: &mut Play, at: usize) {
    let caller = play.actor();
    let stake = play.cases[at].stake;
    let expect = Expect::when(play.world.now >= play.cases[at].lapses_ms);
    let arguments = vec![Arg::Object(play.cases[at].id), Arg::Object(play.stakes[stake].id), clock()];
    let done = play.world.call(caller, "slashing", "lapse", arguments);
    play.judge(&format!("case {at} lapses"), expect, &done);
    play.cases[at].closed |= done.ok();
}

/// What must hold of all penalties.
pub(crate) fn check(play: &Play) {
    let open: BTreeMap<Address, &Case> =
        play.cases.iter().filter(|case| !case.closed).map(|case| (case.id, case)).collect();
    let cases = play.world.all::<objects::Case>("slashing", "Case");
    assert_eq!(cases.len(), open.len());
    for case in cases {
        assert_eq!(case.amount, open[&case.id].amount);
    }
    for (at, stake) in play.stakes.iter().enumerate().filter(|(_, stake)| !stake.gone) {
        let frozen: u64 =
            play.cases.iter().filter(|case| case.stake == at && !case.closed).map(|case| case.amount).sum();
        assert_eq!(play.world.read::<objects::Stake>(stake.id).unwrap().frozen, frozen);
        assert!(stake.taken <= stake.paid);
    }
}
