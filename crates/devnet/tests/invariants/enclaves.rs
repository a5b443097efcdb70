//! What the cluster trusts, and the enclaves that run it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use devnet::{SimulatedDocument, SimulatedNitro};
use rand::Rng;
use sui_sdk_types::Address;

use crate::world::{Arg, DAY_MS, HOUR_MS, MINUTE_MS, clock, key, public, pure, sign};
use crate::{Expect, Play};

const INTENT_REGISTER: u8 = 0;
/// Seeds of keys; those of stakers are small.
const VERIFIER: u8 = 0xf0;
const FIRST_ENCLAVE: u8 = 0xc0;
const LIFETIME_MS: u64 = 29 * DAY_MS;
/// Code that runs most of the time, other code, and code on Nitro.
const USUAL: u8 = 1;
const CODES: std::ops::RangeInclusive<u8> = 1..=4;
const ON_NITRO: u8 = 9;
const NEVER: u64 = u64::MAX;

/// Platform, names and values.
pub(crate) type Measurement = (String, Vec<String>, Vec<Vec<u8>>);

pub(crate) struct Enclave {
    pub(crate) id: Address,
    pub(crate) key: u8,
    pub(crate) registered_ms: u64,
    expires_ms: u64,
    revoked: bool,
    code: u8,
    /// The latest statement that was used up, by intent.
    pub(crate) latest_ms: BTreeMap<u8, u64>,
}

impl Enclave {
    /// Whether a statement of this intent and time is a new one, made near the chain's time.
    pub(crate) fn is_news(&self, intent: u8, timestamp_ms: u64, now: u64) -> bool {
        timestamp_ms > self.latest_ms.get(&intent).copied().unwrap_or_default()
            && timestamp_ms.abs_diff(now) <= 5 * MINUTE_MS
    }
}

/// Measurements that the cluster allows, and when they are to count no longer.
#[derive(Default)]
pub(crate) struct Allowed(BTreeMap<u8, u64>);

impl Allowed {
    pub(crate) fn holds(&self, code: u8, now: u64) -> bool {
        self.0.get(&code).is_some_and(|retires_ms| now < *retires_ms)
    }

    pub(crate) fn edges(&self) -> impl Iterator<Item = u64> + '_ {
        self.0.values().copied().filter(|retires_ms| *retires_ms != NEVER)
    }
}

/// Platforms with bounds, and code that workers may prove.
#[derive(Default)]
pub(crate) struct Trust {
    bounded: BTreeSet<&'static str>,
    of_workers: BTreeSet<u8>,
}

impl Trust {
    pub(crate) fn is_of_workers(&self, code: u8) -> bool {
        self.of_workers.contains(&code)
    }
}

impl Play {
    /// Whether the cluster listens to this enclave.
    pub(crate) fn stands(&self, by: usize) -> bool {
        let enclave = &self.enclaves[by];
        let now = self.world.now;
        !enclave.revoked && now < enclave.expires_ms && self.allowed.holds(enclave.code, now)
    }

    /// Whether what it signs may move money.
    pub(crate) fn is_mature(&self, by: usize) -> bool {
        self.world.now >= self.enclaves[by].registered_ms + self.rules.timelock_ms
    }

    /// One of the enclaves, mostly one whose statements count.
    pub(crate) fn some_enclave(&mut self) -> Option<usize> {
        let good: Vec<usize> =
            (0..self.enclaves.len()).filter(|by| self.stands(*by) && self.is_mature(*by)).collect();
        if good.is_empty() || self.chance(15) {
            return self.pick_late(self.enclaves.len());
        }
        self.pick(good.len()).map(|index| good[index])
    }

    /// Some code, the usual one mostly.
    pub(crate) fn some_code(&mut self) -> u8 {
        if self.chance(60) { USUAL } else { self.dice.random_range(CODES) }
    }
}

pub(crate) fn measurement(code: u8) -> Measurement {
    if code == ON_NITRO {
        let names = (0..3).map(|register| format!("pcr{register}")).collect();
        return ("nitro".to_owned(), names, vec![vec![code; 48]; 3]);
    }
    ("simulated".to_owned(), vec!["code".to_owned()], vec![vec![code; 32]])
}

/// Who signs the Nitro documents of these tests.
pub(crate) fn nitro() -> &'static SimulatedNitro {
    static NITRO: OnceLock<SimulatedNitro> = OnceLock::new();
    NITRO.get_or_init(|| SimulatedNitro::generate().unwrap())
}

/// Verifiers, measurements and an enclave that is old enough.
pub(crate) fn set_up(play: &mut Play) {
    allow(play, 0, 0, USUAL);
    allow(play, 0, 0, ON_NITRO);
    let verifiers: Vec<_> = (0..3).map(|number| public(&key(VERIFIER + number))).collect();
    let arguments = [&trusting(play, 0)[..], &[pure(&verifiers), pure(&2u64), clock()]].concat();
    let done = play.world.call(0, "enclave", "set_verifiers", arguments);
    play.judge("there are verifiers", Expect::Must, &done);
    register(play, USUAL, false);
    play.world.now += DAY_MS;
}

/// Most sequences show nothing of what an enclave may cause unless there is one.
pub(crate) fn keep_one(play: &mut Play) {
    if !(0..play.enclaves.len()).any(|by| play.stands(by)) && play.chance(30) {
        renew_trust(play);
    }
}

pub(crate) fn step(play: &mut Play) {
    let (cap, caller) = play.any_cap();
    match play.dice.random_range(0..16) {
        0..3 => {
            let (code, forged) = (play.some_code(), play.chance(40));
            register(play, code, forged);
        }
        3..5 => register_nitro(play),
        5 => end(play),
        6 => {
            let code = play.some_code();
            allow(play, cap, caller, code);
        }
        7..9 => plan(play, cap, caller),
        9..12 => bound(play, cap, caller),
        12..15 => trust_workers(play, cap, caller),
        _ => {
            // Without the usual code little can be seen to work.
            let code = if play.chance(80) { play.dice.random_range(USUAL + 1..=*CODES.end()) } else { USUAL };
            retire(play, cap, caller, code);
        }
    }
}

fn trusting(play: &Play, cap: usize) -> [Arg; 3] {
    [Arg::Object(play.world.registry), Arg::Read(play.world.governance), Arg::Object(play.caps[cap].id)]
}

fn measured(code: u8) -> [Arg; 3] {
    let (platform, names, values) = measurement(code);
    [pure(&platform), pure(&names), pure(&values)]
}

fn allow(play: &mut Play, cap: usize, caller: usize, code: u8) {
    let expect = play.caps[cap].works(caller, play.world.now) && !play.allowed.0.contains_key(&code);
    let arguments = [&trusting(play, cap)[..], &measured(code), &[clock()]].concat();
    let done = play.world.call(caller, "enclave", "allow_measurement", arguments);
    play.judge(&format!("{caller} allows code {code}"), Expect::when(expect), &done);
    if done.ok() {
        play.allowed.0.insert(code, NEVER);
    }
}

fn retire(play: &mut Play, cap: usize, caller: usize, code: u8) {
    let expect = play.caps[cap].works(caller, play.world.now) && play.allowed.0.contains_key(&code);
    let arguments = [&trusting(play, cap)[..], &measured(code), &[clock()]].concat();
    let done = play.world.call(caller, "enclave", "retire_measurement", arguments);
    play.judge(&format!("{caller} retires code {code}"), Expect::when(expect), &done);
    if done.ok() {
        play.allowed.0.remove(&code);
    }
}

fn plan(play: &mut Play, cap: usize, caller: usize) {
    let code = if play.chance(10) { ON_NITRO } else { play.some_code() };
    let now = play.world.now;
    let at_ms = now + [0, 1, HOUR_MS, 3 * DAY_MS, 30 * DAY_MS][play.dice.random_range(0..5)];
    let known = play.allowed.0.contains_key(&code);
    let expect = play.caps[cap].works(caller, now) && known && at_ms > now;
    let arguments = [&trusting(play, cap)[..], &measured(code), &[pure(&at_ms), clock()]].concat();
    let done = play.world.call(caller, "enclave", "plan_retirement", arguments);
    play.judge(&format!("{caller} plans that code {code} retires at {at_ms}"), Expect::when(expect), &done);
    if done.ok() {
        play.allowed.0.insert(code, at_ms);
    }
}

fn bound(play: &mut Play, cap: usize, caller: usize) {
    let platform = if play.chance(10) { "vax" } else { ["sev-snp", "tdx"][play.dice.random_range(0..2)] };
    let again = play.chance(50);
    let platform = play.trust.bounded.first().copied().filter(|_| again).unwrap_or(platform);
    let known = play.trust.bounded.contains(platform);
    let works = play.caps[cap].works(caller, play.world.now);
    if play.chance(if known { 60 } else { 10 }) {
        let arguments = [&trusting(play, cap)[..], &[pure(&platform), clock()]].concat();
        let done = play.world.call(caller, "enclave", "clear_tcb_bounds", arguments);
        play.judge(&format!("{caller} clears the bounds of {platform}"), Expect::when(works && known), &done);
        if done.ok() {
            play.trust.bounded.remove(platform);
        }
        return;
    }
    let max_age_ms = [DAY_MS, 1_000, 30 * DAY_MS, 0, 999, 30 * DAY_MS + 1][play.dice.random_range(0..6)];
    let minimums = if play.chance(20) { vec![8u64, 9] } else { vec![8] };
    let expect =
        works && platform != "vax" && minimums.len() == 1 && (1_000..=30 * DAY_MS).contains(&max_age_ms);
    let none: Vec<String> = Vec::new();
    let bounds = [
        pure(&platform),
        pure(&vec!["snp"]),
        pure(&minimums),
        pure(&none),
        pure(&true),
        pure(&none),
        pure(&max_age_ms),
        clock(),
    ];
    let arguments = [&trusting(play, cap)[..], &bounds].concat();
    let done = play.world.call(caller, "enclave", "set_tcb_bounds", arguments);
    play.judge(&format!("{caller} sets the bounds of {platform}"), Expect::when(expect), &done);
    if done.ok() {
        play.trust.bounded.insert(platform);
    }
}

fn trust_workers(play: &mut Play, cap: usize, caller: usize) {
    let (code, again) = (play.some_code(), play.chance(60));
    let code = play.trust.of_workers.first().copied().filter(|_| again).unwrap_or(code);
    let known = play.trust.is_of_workers(code);
    let allows = play.chance(if known { 20 } else { 90 });
    let function = if allows { "allow_worker_measurement" } else { "retire_worker_measurement" };
    let expect = play.caps[cap].works(caller, play.world.now) && allows != known;
    let arguments = [&trusting(play, cap)[..], &measured(code), &[clock()]].concat();
    let done = play.world.call(caller, "enclave", function, arguments);
    play.judge(&format!("{caller}: {function} of code {code}"), Expect::when(expect), &done);
    if done.ok() && allows {
        play.trust.of_workers.insert(code);
    } else if done.ok() {
        play.trust.of_workers.remove(&code);
    }
}

/// Nobody speaks for the cluster: the usual code is allowed again, and an enclave runs it.
fn renew_trust(play: &mut Play) {
    let holder = play.caps[0].holder;
    if play.allowed.0.contains_key(&USUAL) {
        retire(play, 0, holder, USUAL);
    }
    allow(play, 0, holder, USUAL);
    register(play, USUAL, false);
}

fn seed(play: &Play) -> u8 {
    FIRST_ENCLAVE + (play.enclaves.len() % 32) as u8
}

fn enrolled(play: &mut Play, id: Address, key: u8, expires_ms: u64, code: u8) {
    let registered_ms = play.world.now;
    let (revoked, latest_ms) = (false, BTreeMap::new());
    play.enclaves.push(Enclave { id, key, registered_ms, expires_ms, revoked, code, latest_ms });
}

/// By the signatures of verifiers.
fn register(play: &mut Play, code: u8, forged: bool) {
    let caller = play.actor();
    let now = play.world.now;
    let seed = seed(play);
    let expires_ms = now + LIFETIME_MS;
    // It takes two of three: not one, not one twice, not a stranger.
    let [one, two, three, stranger] = [VERIFIER, VERIFIER + 1, VERIFIER + 2, VERIFIER + 3];
    let signers = match (forged, play.dice.random_range(0..3)) {
        (false, 0) => vec![one, two],
        (false, 1) => vec![three, one],
        (false, _) => vec![one, two, three],
        (true, 0) => vec![two],
        (true, 1) => vec![two, two],
        (true, _) => vec![one, stranger],
    };
    let measured = measurement(code);
    let claims = (INTENT_REGISTER, now, play.world.cluster, &measured, public(&key(seed)), expires_ms);
    let arguments = vec![
        Arg::Read(play.world.registry),
        pure(&measured.0),
        pure(&measured.1),
        pure(&measured.2),
        pure(&public(&key(seed))),
        pure(&expires_ms),
        pure(&now),
        pure(&signers.iter().map(|signer| public(&key(*signer))).collect::<Vec<_>>()),
        pure(&signers.iter().map(|signer| sign(&key(*signer), &claims)).collect::<Vec<_>>()),
        clock(),
    ];
    let expect = Expect::when(!forged && play.allowed.holds(code, now));
    let done = play.world.call(caller, "enclave", "register_enclave", arguments);
    play.judge(&format!("an enclave registers with code {code}"), expect, &done);
    if done.ok() {
        enrolled(play, done.made_id("enclave", "Enclave"), seed, expires_ms, code);
    }
}

/// By a Nitro document, which the chain verifies.
fn register_nitro(play: &mut Play) {
    let caller = play.actor();
    let now = play.world.now;
    let seed = seed(play);
    let lie = play.dice.random_range(0..8);
    let expires_ms = now + if lie == 0 { LIFETIME_MS + 2 * DAY_MS } else { LIFETIME_MS };
    let debug = [ON_NITRO, ON_NITRO, if lie == 1 { 0 } else { ON_NITRO }];
    let cluster = if lie == 2 { play.world.governance } else { play.world.cluster };
    let document = SimulatedDocument {
        timestamp_ms: now - if lie == 3 { 6 * MINUTE_MS } else { 0 },
        code: debug.map(|byte| [byte; 48]),
        public_key: (lie != 4).then(|| public(&key(seed))),
        user_data: Some(cluster.as_bytes().to_vec()),
    };
    let mut document = nitro().document(&document).unwrap();
    if lie == 5 {
        let last = document.len() - 1;
        document[last] ^= 1;
    }
    let arguments = vec![Arg::Read(play.world.registry), Arg::Nitro(document), pure(&expires_ms), clock()];
    let expect = Expect::when(lie > 5 && play.allowed.holds(ON_NITRO, now));
    let done = play.world.call(caller, "enclave", "register_nitro", arguments);
    play.judge(&format!("a Nitro enclave registers, lie {lie}"), expect, &done);
    if done.ok() {
        enrolled(play, done.made_id("enclave", "Enclave"), seed, expires_ms, ON_NITRO);
    }
}

fn end(play: &mut Play) {
    if play.enclaves.len() < 3 {
        return;
    }
    let (cap, caller) = play.any_cap();
    let at = play.dice.random_range(0..play.enclaves.len());
    let gone = play.enclaves[at].revoked || play.world.now >= play.enclaves[at].expires_ms;
    let expect = match (play.caps[cap].works(caller, play.world.now), gone) {
        (true, false) => Expect::Must,
        (true, true) => Expect::May,
        _ => Expect::MustNot,
    };
    let arguments = vec![
        Arg::Object(play.enclaves[at].id),
        Arg::Read(play.world.governance),
        Arg::Object(play.caps[cap].id),
        clock(),
    ];
    let done = play.world.call(caller, "enclave", "revoke_enclave", arguments);
    play.judge(&format!("enclave {at} is revoked"), expect, &done);
    play.enclaves[at].revoked |= done.ok();
}
