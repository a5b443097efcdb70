use std::fmt::Write;

use tee::custody::Dealing;

/// Pause before everybody who may still give is asked once more, milliseconds; doubled each round up to the last.
const FIRST_PAUSE_MS: u64 = 500;
const LAST_PAUSE_MS: u64 = 16_000;
/// What is kept of one giver's words.
const MAX_WORDS: usize = 1_000;

/// Leads an enclave to its cluster's secret: running masters in their order, then the committee, round after round until the time is over
/// or nobody is left who may still give. Without IO: whoever runs it does what [`Self::next`] says, one thing at a time, and tells what
/// came of it; a secret that fits ends it.
#[derive(Debug)]
pub struct Seeking {
    masters: Vec<Giver>,
    holders: Vec<Giver>,
    committees: Vec<Committee>,
    key_servers: Option<Giver>,
    deadline_ms: u64,
    pause_ms: u64,
    /// Nobody is asked before, because a round is over.
    resume_ms: u64,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this master for the secret, for no longer than that.
    Master(usize, u64),
    /// Ask this holder for the dealing that it keeps, for no longer than that.
    Dealing(usize, u64),
    /// Ask the committee of this dealing for the secret, for no longer than that.
    Committee(usize, u64),
    /// Ask the key servers to which the secret is sealed, for no longer than that.
    KeyServers(u64),
    /// Nothing before this time.
    Wait(u64),
    /// Nobody gives it, and who said what.
    Failed(String),
}

#[derive(Debug)]
struct Giver {
    url: String,
    turn: Turn,
    last: Option<String>,
}

#[derive(Debug)]
struct Committee {
    dealing: Dealing,
    turn: Turn,
    last: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// To be asked in this round.
    Open,
    /// Asked in this round, and again in the next.
    Later,
    /// Asking again is of no use.
    Over,
}

impl Seeking {
    /// Begins at `now_ms` and gives up at `deadline_ms`.
    #[must_use]
    pub fn new(masters: &[String], holders: &[String], now_ms: u64, deadline_ms: u64) -> Self {
        let givers = |urls: &[String]| {
            urls.iter().map(|url| Giver { url: url.clone(), turn: Turn::Open, last: None }).collect()
        };
        Self {
            masters: givers(masters),
            holders: givers(holders),
            committees: Vec::new(),
            key_servers: None,
            deadline_ms,
            pause_ms: FIRST_PAUSE_MS,
            resume_ms: now_ms,
        }
    }

    /// Asks key servers, too, after the others of a round.
    #[must_use]
    pub fn and_key_servers(self) -> Self {
        let giver = Giver { url: "Seal's key servers".to_owned(), turn: Turn::Open, last: None };
        Self { key_servers: Some(giver), ..self }
    }

    /// What to do now. Whoever it names has to be told of before it is called again.
    pub fn next(&mut self, now_ms: u64) -> Next {
        if now_ms >= self.deadline_ms {
            return Next::Failed(self.describe());
        }
        if now_ms < self.resume_ms {
            return Next::Wait(self.resume_ms.min(self.deadline_ms));
        }
        let left_ms = self.deadline_ms - now_ms;
        let open = |givers: &[Giver]| givers.iter().position(|giver| giver.turn == Turn::Open);
        // One that hangs leaves half of the time to the others.
        let part = now_ms + (left_ms / 2).max(1);
        if let Some(at) = open(&self.masters) {
            return Next::Master(at, part);
        }
        if let Some(at) = open(&self.holders) {
            return Next::Dealing(at, part);
        }
        // The newest first: an older one may be of another committee.
        let candidates = self.committees.iter().enumerate().filter(|(_, known)| known.turn == Turn::Open);
        let key_servers = self.key_servers.as_ref().is_some_and(|giver| giver.turn == Turn::Open);
        let count = candidates.clone().count() as u64 + u64::from(key_servers);
        if let Some((at, _)) = candidates.max_by_key(|(_, known)| known.dealing.made_ms()) {
            return Next::Committee(at, now_ms + (left_ms / count).max(1));
        }
        if key_servers {
            return Next::KeyServers(self.deadline_ms);
        }
        if !self.begin_round() {
            return Next::Failed(self.describe());
        }
        self.resume_ms = now_ms.saturating_add(self.pause_ms);
        self.pause_ms = (self.pause_ms * 2).min(LAST_PAUSE_MS);
        Next::Wait(self.resume_ms.min(self.deadline_ms))
    }

    /// The dealing that [`Next::Committee`] is about.
    #[must_use]
    pub fn dealing(&self, at: usize) -> Option<&Dealing> {
        self.committees.get(at).map(|known| &known.dealing)
    }

    /// A master did not give the secret; `is_final` when asking again is of no use.
    pub fn master_failed(&mut self, at: usize, why: &str, is_final: bool) {
        fail(self.masters.get_mut(at), why, is_final);
    }

    /// A holder gave no dealing.
    pub fn dealing_failed(&mut self, at: usize, why: &str) {
        fail(self.holders.get_mut(at), why, false);
    }

    /// A holder keeps this dealing.
    pub fn dealing_found(&mut self, at: usize, dealing: Dealing) {
        let Some(holder) = self.holders.get_mut(at) else { return };
        holder.turn = Turn::Over;
        holder.last = None;
        if self.committees.iter().all(|known| known.dealing != dealing) {
            self.committees.push(Committee { dealing, turn: Turn::Open, last: None });
        }
    }

    /// A committee did not give the secret; `is_final` when asking again is of no use.
    pub fn committee_failed(&mut self, at: usize, why: &str, is_final: bool) {
        if let Some(known) = self.committees.get_mut(at) {
            known.turn = if is_final { Turn::Over } else { Turn::Later };
            known.last = Some(words(why));
        }
    }

    /// The key servers did not give the secret; `is_final` when asking again is of no use.
    pub fn key_servers_failed(&mut self, why: &str, is_final: bool) {
        fail(self.key_servers.as_mut(), why, is_final);
    }

    /// Whether anybody is left for another round, who is open then.
    fn begin_round(&mut self) -> bool {
        let givers = self
            .masters
            .iter_mut()
            .chain(&mut self.holders)
            .chain(&mut self.key_servers)
            .map(|giver| &mut giver.turn);
        let turns = givers.chain(self.committees.iter_mut().map(|known| &mut known.turn));
        let mut any = false;
        for turn in turns.filter(|turn| **turn == Turn::Later) {
            *turn = Turn::Open;
            any = true;
        }
        any
    }

    /// Everybody who was to be asked, and why they gave nothing.
    fn describe(&self) -> String {
        let mut text = String::new();
        let mut add = |who: std::fmt::Arguments<'_>, what: &str| {
            let separator = if text.is_empty() { "" } else { "; " };
            // Writing to a String does not fail.
            let _ = write!(text, "{separator}{who}: {what}");
        };
        let said = |last: &Option<String>| last.clone().unwrap_or_else(|| "not asked in time".to_owned());
        for master in &self.masters {
            add(format_args!("master {}", master.url), &said(&master.last));
        }
        for holder in self.holders.iter().filter(|holder| holder.turn != Turn::Over) {
            add(format_args!("holder {}", holder.url), &said(&holder.last));
        }
        for known in &self.committees {
            let (of, holders) = (known.dealing.threshold(), known.dealing.holders().len());
            add(format_args!("committee, {of} of {holders} holders"), &said(&known.last));
        }
        if let Some(servers) = &self.key_servers {
            add(format_args!("{}", servers.url), &said(&servers.last));
        }
        text
    }
}

fn fail(giver: Option<&mut Giver>, why: &str, is_final: bool) {
    if let Some(giver) = giver {
        giver.turn = if is_final { Turn::Over } else { Turn::Later };
        giver.last = Some(words(why));
    }
}

fn words(why: &str) -> String {
    why.chars().take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_bytes::ByteArray;
    use tee::custody::{Member, Recipient};
    use tee::{ClusterSecret, EnclaveKey};

    use super::*;

    const START: u64 = 1_000;

    fn dealing(made_ms: u64) -> Dealing {
        let member = |name: &str, seed: u8| Member {
            name: name.to_owned(),
            url: "http://127.0.0.1:1".to_owned(),
            key: ByteArray::new(Recipient::from_seed([seed; 32]).public_key()),
        };
        let (secret, key) = (ClusterSecret::generate().unwrap(), EnclaveKey::ephemeral().unwrap());
        Dealing::deal(&secret, [1; 32], 2, vec![member("a", 1), member("b", 2)], &key, made_ms).unwrap()
    }

    fn urls(what: &str, count: usize) -> Vec<String> {
        (0..count).map(|at| format!("{what}{at}")).collect()
    }

    #[test]
    fn masters_come_first_then_the_committee_of_the_newest_dealing() {
        let mut seeking = Seeking::new(&urls("m", 2), &urls("h", 2), START, START + 60_000);
        let now = START;
        assert!(matches!(seeking.next(now), Next::Master(0, _)));
        seeking.master_failed(0, "down", false);
        assert!(matches!(seeking.next(now), Next::Master(1, _)));
        seeking.master_failed(1, "refused", true);
        for at in 0..2 {
            assert!(matches!(seeking.next(now), Next::Dealing(holder, _) if holder == at));
            seeking.dealing_found(at, dealing(10 + at as u64));
        }
        assert_eq!(seeking.next(now), Next::Committee(1, now + 30_000), "half of the time for each");
        seeking.committee_failed(1, "forged", true);
        assert!(matches!(seeking.next(now), Next::Committee(0, _)));
        seeking.committee_failed(0, "1 of 2 shares", false);
        // The next round is for those who may still give.
        let Next::Wait(again) = seeking.next(now) else { panic!("no pause") };
        assert!(matches!(seeking.next(again), Next::Master(0, _)));
        seeking.master_failed(0, "still down", false);
        assert!(matches!(seeking.next(again), Next::Committee(0, _)));
        seeking.committee_failed(0, "refuses", true);
        let Next::Wait(last) = seeking.next(again) else { panic!("the first master may still give") };
        assert!(matches!(seeking.next(last), Next::Master(0, _)));
        seeking.master_failed(0, "still down", true);
        // Nobody is left: there is nothing to wait for.
        let Next::Failed(who) = seeking.next(last) else { panic!("goes on for ever") };
        for said in ["master m0: still down", "master m1: refused", "forged", "refuses"] {
            assert!(who.contains(said), "{who}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever everybody answers, and however long it takes: it ends in time, nobody is asked after saying no for good, no step
        /// outlasts the deadline, and each who was to be asked is in the last words.
        #[test]
        fn it_ends_in_time_and_names_everybody(
            masters in 0..4usize,
            holders in 0..4usize,
            sealed in any::<bool>(),
            answers in prop::collection::vec((0..4u8, 0..5_000u64), 1..200),
        ) {
            let deadline = START + 20_000;
            let dealings: Vec<Dealing> = (0..4).map(dealing).collect();
            let mut seeking = Seeking::new(&urls("m", masters), &urls("h", holders), START, deadline);
            if sealed {
                seeking = seeking.and_key_servers();
            }
            let (mut now, mut final_) = (START, BTreeSet::new());
            let mut answers = answers.into_iter().cycle();
            for step in 0.. {
                prop_assert!(step < 1_000, "too many steps");
                let next = seeking.next(now);
                let (answer, took) = answers.next().unwrap();
                let is_final = answer == 0;
                match next {
                    Next::Master(at, end) => {
                        prop_assert!(end <= deadline && end > now && !final_.contains(&('m', at)));
                        seeking.master_failed(at, "no", is_final);
                        if is_final { final_.insert(('m', at)); }
                        now += took.min(end - now);
                    }
                    Next::Dealing(at, end) => {
                        prop_assert!(end <= deadline && end > now && !final_.contains(&('h', at)));
                        if answer < 2 {
                            seeking.dealing_found(at, dealings[at].clone());
                            final_.insert(('h', at));
                        } else {
                            seeking.dealing_failed(at, "empty");
                        }
                        now += took.min(end - now);
                    }
                    Next::Committee(at, end) => {
                        prop_assert!(end <= deadline && end > now && !final_.contains(&('c', at)));
                        prop_assert!(seeking.dealing(at).is_some());
                        seeking.committee_failed(at, "too few", is_final);
                        if is_final { final_.insert(('c', at)); }
                        now += took.min(end - now);
                    }
                    Next::KeyServers(end) => {
                        prop_assert!(sealed && end <= deadline && end > now && !final_.contains(&('k', 0)));
                        seeking.key_servers_failed("too few", is_final);
                        if is_final { final_.insert(('k', 0)); }
                        now += took.min(end - now);
                    }
                    Next::Wait(until) => {
                        prop_assert!(until > now && until <= deadline);
                        now = until;
                    }
                    Next::Failed(who) => {
                        for at in 0..masters {
                            let named = format!("master m{at}: ");
                            prop_assert!(who.contains(&named), "{}", who);
                        }
                        for at in (0..holders).filter(|at| !final_.contains(&('h', *at))) {
                            let named = format!("holder h{at}: ");
                            prop_assert!(who.contains(&named), "{}", who);
                        }
                        let found = final_.iter().filter(|(kind, _)| *kind == 'h').count();
                        prop_assert_eq!(who.matches("Seal's key servers: ").count(), usize::from(sealed));
                        prop_assert_eq!(who.matches("committee, 2 of 2 holders").count(), found);
                        break;
                    }
                }
            }
            prop_assert!(now <= deadline);
        }
    }
}
