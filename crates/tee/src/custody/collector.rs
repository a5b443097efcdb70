use std::fmt::Write;

use super::shamir::{self, Share};
use super::{ClusterSecret, CustodyError, Dealing};

/// Pause before a holder that did not answer is asked again, milliseconds; doubled each time up to 32 times.
const PAUSE_MS: u64 = 500;
const MOST_DOUBLINGS: u32 = 5;

/// Collects shares of a [`Dealing`] until there are enough of them. Without IO: whoever runs it asks the holders that [`Self::step`]
/// names and tells what came of it.
#[derive(Debug)]
pub struct Collector {
    dealing: Dealing,
    deadline_ms: u64,
    holders: Vec<HolderState>,
    shares: Vec<Share>,
}

/// What is known of one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HolderState {
    /// To be asked at this time, milliseconds since the Unix epoch, after so many failures.
    Waiting {
        /// When.
        at_ms: u64,
        /// Failures so far.
        failures: u32,
        /// Why it failed last.
        last: Option<String>,
    },
    /// Asked; no answer yet.
    Asked {
        /// Failures so far.
        failures: u32,
        /// Why it failed last.
        last: Option<String>,
    },
    /// Gave the share that was dealt to it.
    Gave,
    /// Says that it will not; asking again is of no use.
    Refuses(String),
    /// Gave something else than the share that was dealt to it.
    Lies,
}

/// What to do next.
#[derive(Debug)]
pub enum Step {
    /// Ask these holders, by their place in the dealing.
    Ask(Vec<usize>),
    /// Nothing before this time or the next answer.
    Wait {
        /// Milliseconds since the Unix epoch.
        until_ms: u64,
    },
    /// Enough shares; the secret is the one that was dealt.
    Done(ClusterSecret),
    /// There will not be enough.
    Failed(CustodyError),
}

impl Collector {
    /// Begins now and gives up at `deadline_ms`. That the dealing is the cluster's, the caller has looked up on chain.
    #[must_use]
    pub fn new(dealing: Dealing, now_ms: u64, deadline_ms: u64) -> Self {
        let waiting = HolderState::Waiting { at_ms: now_ms, failures: 0, last: None };
        let holders = vec![waiting; dealing.holders().len()];
        Self { dealing, deadline_ms, holders, shares: Vec::new() }
    }

    /// What to do now. Holders that it names are taken to be asked.
    pub fn step(&mut self, now_ms: u64) -> Step {
        let threshold = self.dealing.threshold();
        if self.shares.len() >= threshold {
            return self.combine(threshold);
        }
        let open =
            |state: &&HolderState| matches!(state, HolderState::Waiting { .. } | HolderState::Asked { .. });
        let possible = self.shares.len() + self.holders.iter().filter(open).count();
        if possible < threshold || now_ms >= self.deadline_ms {
            let (good, who) = (self.shares.len(), self.describe());
            return Step::Failed(CustodyError::TooFew { good, threshold, who });
        }
        let mut ask = Vec::new();
        let mut until_ms = self.deadline_ms;
        for (at, state) in self.holders.iter_mut().enumerate() {
            let HolderState::Waiting { at_ms, failures, last } = state else { continue };
            if *at_ms > now_ms {
                until_ms = until_ms.min(*at_ms);
                continue;
            }
            *state = HolderState::Asked { failures: *failures, last: last.take() };
            ask.push(at);
        }
        if ask.is_empty() { Step::Wait { until_ms } } else { Step::Ask(ask) }
    }

    /// A holder gave `share`; says whether it is the one that was dealt to it.
    pub fn gave(&mut self, holder: usize, share: Share) -> bool {
        // A second answer changes nothing: neither for the better nor for the worse.
        if !matches!(self.holders.get(holder), Some(HolderState::Asked { .. })) {
            return false;
        }
        let good = usize::from(share.index) == holder + 1 && self.dealing.is_dealt(&share);
        self.holders[holder] = if good { HolderState::Gave } else { HolderState::Lies };
        if good {
            self.shares.push(share);
        }
        good
    }

    /// A holder answered with something that is no share for us: as good as a wrong one.
    pub fn gave_nonsense(&mut self, holder: usize) {
        if let Some(state @ HolderState::Asked { .. }) = self.holders.get_mut(holder) {
            *state = HolderState::Lies;
        }
    }

    /// A holder could not be reached, or could not answer now; it is asked again later.
    pub fn failed(&mut self, holder: usize, why: String, now_ms: u64) {
        if let Some(state @ HolderState::Asked { .. }) = self.holders.get_mut(holder) {
            let HolderState::Asked { failures, .. } = *state else { return };
            let pause = PAUSE_MS << failures.min(MOST_DOUBLINGS);
            let at_ms = now_ms.saturating_add(pause);
            *state = HolderState::Waiting { at_ms, failures: failures.saturating_add(1), last: Some(why) };
        }
    }

    /// A holder refused.
    pub fn refused(&mut self, holder: usize, why: String) {
        if let Some(state @ HolderState::Asked { .. }) = self.holders.get_mut(holder) {
            *state = HolderState::Refuses(why);
        }
    }

    /// What is known of each holder, in the order of the dealing.
    #[must_use]
    pub fn holders(&self) -> &[HolderState] {
        &self.holders
    }

    /// Names of those who gave something else than their share.
    pub fn liars(&self) -> impl Iterator<Item = &str> {
        self.named().filter(|(_, state)| **state == HolderState::Lies).map(|(name, _)| name)
    }

    fn combine(&self, threshold: usize) -> Step {
        let shares: Vec<&Share> = self.shares.iter().take(threshold).collect();
        let secret = ClusterSecret::from_bytes(shamir::combine(&shares));
        if secret.commitment() == self.dealing.secret_commitment() {
            Step::Done(secret)
        } else {
            Step::Failed(CustodyError::WrongSecret)
        }
    }

    fn named(&self) -> impl Iterator<Item = (&str, &HolderState)> {
        self.dealing.holders().iter().map(|holder| holder.member.name.as_str()).zip(&self.holders)
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for (name, state) in self.named() {
            let separator = if text.is_empty() { "" } else { "; " };
            let what = match state {
                HolderState::Gave => "gave its share",
                HolderState::Lies => "gave something else than its share",
                HolderState::Refuses(why) => why,
                HolderState::Waiting { last: Some(why), .. } | HolderState::Asked { last: Some(why), .. } => {
                    why
                }
                HolderState::Waiting { .. } | HolderState::Asked { .. } => "did not answer",
            };
            // Writing to a String does not fail.
            let _ = write!(text, "{separator}{name}: {what}");
        }
        text
    }
}
