use super::polling::{HolderState, Poll, Polling};
use super::shamir::{self, Share};
use super::{ClusterSecret, CustodyError, Dealing};

/// Collects shares of a [`Dealing`] until there are enough of them. Without IO: whoever runs it asks the holders that [`Self::step`]
/// names and tells what came of it.
#[derive(Debug)]
pub struct Collector {
    dealing: Dealing,
    polling: Polling,
    shares: Vec<Share>,
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
        let polling = Polling::new(dealing.holders().len(), now_ms, deadline_ms);
        Self { dealing, polling, shares: Vec::new() }
    }

    /// What to do now. Holders that it names are taken to be asked.
    pub fn step(&mut self, now_ms: u64) -> Step {
        let threshold = self.dealing.threshold();
        if self.shares.len() >= threshold {
            return self.combine(threshold);
        }
        match self.polling.poll(now_ms, threshold) {
            Poll::Ask(whom) => Step::Ask(whom),
            Poll::Wait(until_ms) => Step::Wait { until_ms },
            Poll::Over => {
                let names = self.dealing.holders().iter().map(|holder| holder.member.name.as_str());
                let who = self.polling.describe(names, "share");
                Step::Failed(CustodyError::TooFew { good: self.shares.len(), threshold, who })
            }
        }
    }

    /// A holder gave `share`; says whether it is the one that was dealt to it.
    pub fn gave(&mut self, holder: usize, share: Share) -> bool {
        if !self.polling.is_asked(holder) {
            return false;
        }
        let good = usize::from(share.index) == holder + 1 && self.dealing.is_dealt(&share);
        self.polling.answered(holder, if good { HolderState::Gave } else { HolderState::Lies });
        if good {
            self.shares.push(share);
        }
        good
    }

    /// A holder answered with something that is no share for us: as good as a wrong one.
    pub fn gave_nonsense(&mut self, holder: usize) {
        self.polling.answered(holder, HolderState::Lies);
    }

    /// A holder could not be reached, or could not answer now; it is asked again later.
    pub fn failed(&mut self, holder: usize, why: String, now_ms: u64) {
        self.polling.failed(holder, why, now_ms);
    }

    /// A holder refused.
    pub fn refused(&mut self, holder: usize, why: String) {
        self.polling.answered(holder, HolderState::Refuses(why));
    }

    /// What is known of each holder, in the order of the dealing.
    #[must_use]
    pub fn holders(&self) -> &[HolderState] {
        self.polling.holders()
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
        self.dealing.holders().iter().map(|holder| holder.member.name.as_str()).zip(self.polling.holders())
    }
}
