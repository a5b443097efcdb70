//! What the master says on chain by itself: shares of rewards, and evidence of faults.
//!
//! A *letter* is on disk before anything is sent, and stays until its outcome is on disk ([`Post`] does the
//! rest). Letters are named after the fact they state, so a fact that is found twice is one letter; and the
//! contracts judge each time, each fault and each epoch once. So whenever the process is killed, a letter takes
//! effect exactly once.

mod drawer;
#[cfg(test)]
pub(crate) mod kills;
mod letter;
mod post;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chain::{
    Address, Calls, Client, Court, Draft, EnclavePayload, EnclaveStatement, Event, Evidence, NodeStatement,
    Pool, Receipt, RewardTree, Shares, SignedNodeStatement,
};
pub(crate) use drawer::Drawer;
pub(crate) use letter::{ContradictionLetter, DowntimeLetter, EpochLetter, Letter, Published};
pub(crate) use post::{Post, Step, Witness};
use tee::EnclaveKey;
use verdict::{Verdict, verdict};

use crate::error::MasterError;
use crate::facts::address;

/// Reason of `slashing`.
const DOWNTIME: u8 = 0;
/// Epochs that wait to be posted at most; while the pool is empty, the oldest are dropped.
const MAX_EPOCHS: usize = 8;
/// Letters of all kinds at most.
const MAX_LETTERS: usize = 20_000;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LAST_PAUSE: Duration = Duration::from_secs(300);

/// The objects on chain that letters are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addressee {
    pub(crate) cluster: chain::Cluster,
    /// This enclave's registration, in standing.
    pub(crate) enclave: Address,
    pub(crate) economics: chain::Economics,
}

/// Letters and how they get on chain.
pub(crate) struct Outbox {
    pub(crate) post: Post,
    pub(crate) key: Arc<EnclaveKey>,
    pub(crate) calls: Calls,
    /// URL under which records are found.
    pub(crate) gateway_url: String,
    /// When a letter that was not taken is tried again: milliseconds on the caller's clock, and the pause.
    pub(crate) pauses: HashMap<String, (u64, Duration)>,
}

/// What came of one letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Posted,
    Dropped,
    Later,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Dropped => "dropped",
            Self::Later => "later",
        }
    }
}

const LETTER: &str = "letter-";
const SIGNED: &str = "signed-";

impl Outbox {
    /// Notes a letter; it is on disk when this returns. One that is there already is not noted again.
    pub(crate) fn note(&self, letter: &Letter) -> Result<(), MasterError> {
        let key = format!("{LETTER}{}", letter.key());
        if self.drawer().get(&key)?.is_some() {
            return Ok(());
        }
        if self.letters()?.len() >= MAX_LETTERS {
            return Err(MasterError::Ended(format!("{MAX_LETTERS} letters wait for the chain already")));
        }
        (self.post.witness)(Step::Note);
        let json = serde_json::to_vec(letter).map_err(|error| MasterError::Ended(error.to_string()))?;
        self.drawer().put(&key, &json)
    }

    /// Keys of all letters, in the order in which they are sent.
    pub(crate) fn letters(&self) -> Result<Vec<String>, MasterError> {
        let keys = self.drawer().keys()?;
        Ok(keys.iter().filter_map(|key| key.strip_prefix(LETTER)).map(str::to_owned).collect())
    }

    /// Tries each letter that is due once.
    pub(crate) async fn deliver(
        &mut self,
        to: &Addressee,
        now_ms: u64,
        mut report: impl FnMut(&Letter, Outcome),
    ) -> Result<(), MasterError> {
        let keys = self.letters()?;
        self.pauses.retain(|key, _| keys.binary_search(key).is_ok());
        let epochs = keys.iter().filter(|key| key.starts_with("epoch-")).count();
        let mut surplus = epochs.saturating_sub(MAX_EPOCHS);
        let mut epoch_waits = false;
        for key in &keys {
            let is_epoch = key.starts_with("epoch-");
            if self.pauses.get(key).is_some_and(|(at, _)| now_ms < *at) || (is_epoch && epoch_waits) {
                // A later epoch would close the earlier one out.
                epoch_waits |= is_epoch;
                continue;
            }
            let Some(letter) = self.read(key)? else { continue };
            let mut outcome = self.one(key, &letter, to).await?;
            if outcome == Outcome::Later && is_epoch && surplus > 0 && !self.post.is_open(&signed(key))? {
                surplus -= 1;
                self.forget(key)?;
                outcome = Outcome::Dropped;
            }
            if outcome == Outcome::Later {
                epoch_waits |= is_epoch;
                let pause =
                    self.pauses.get(key).map_or(FIRST_PAUSE, |(_, pause)| (*pause * 2).min(LAST_PAUSE));
                let wait_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                self.pauses.insert(key.clone(), (now_ms.saturating_add(wait_ms), pause));
            }
            report(&letter, outcome);
        }
        self.sweep()
    }

    async fn one(&self, key: &str, letter: &Letter, to: &Addressee) -> Result<Outcome, MasterError> {
        match self.post.once(&signed(key), || self.draft(letter, to)).await {
            Ok(receipt) => {
                (self.post.witness)(Step::Settle);
                self.settle(letter, &receipt)?;
                self.forget(key)?;
                tracing::info!(letter = key, digest = %receipt.digest, "said on chain");
                Ok(Outcome::Posted)
            }
            Err(MasterError::Chain(error)) => match verdict(letter, &error) {
                Verdict::Never => {
                    tracing::warn!(letter = key, "dropped, as the chain does not take it: {error}");
                    self.forget(key)?;
                    Ok(Outcome::Dropped)
                }
                Verdict::Later => {
                    tracing::debug!(letter = key, "not taken yet: {error}");
                    Ok(Outcome::Later)
                }
            },
            Err(MasterError::NotReady { .. }) => Ok(Outcome::Later),
            Err(error) => Err(error),
        }
    }

    /// The transaction that says it, signed by the enclave with the chain's time.
    async fn draft(&self, letter: &Letter, to: &Addressee) -> Result<Draft, MasterError> {
        let now_ms = self.client().service_info().await?.timestamp_ms;
        let cluster = &to.cluster;
        let court = Court { cluster: cluster.id, governance: cluster.governance, registry: cluster.registry };
        match letter {
            Letter::Epoch(epoch) => {
                happened(epoch.to_ms, now_ms)?;
                let pool: Pool = self.client().read(self.calls.package(), cluster.pool).await?;
                let number = pool.epoch.saturating_add(1);
                let tree = RewardTree::new(cluster.id, number, epoch.shares.clone())?;
                let shares = Shares {
                    cluster: cluster.id,
                    number,
                    from_ms: epoch.from_ms,
                    to_ms: epoch.to_ms,
                    weight: tree.weight(),
                    root: tree.root(),
                };
                let stated = self.state(shares, to.enclave, now_ms)?;
                Ok(self.calls.post_epoch(cluster.pool, cluster.governance, cluster.registry, &stated))
            }
            Letter::Downtime(down) => {
                happened(down.to_ms, now_ms)?;
                let digest = hex::encode(down.digest.0);
                let evidence = Evidence {
                    cluster: cluster.id,
                    stake: address(down.stake),
                    reason: DOWNTIME,
                    from_ms: down.from_ms,
                    to_ms: down.to_ms,
                    up_ms: down.up_ms,
                    measurement: None,
                    digest: down.digest.0.to_vec(),
                    locator: format!("{}/api/v1/evidence/{digest}", self.gateway_url),
                    reporter: self.post.wallet.address(),
                };
                let stated = self.state(evidence, to.enclave, now_ms)?;
                Ok(self.calls.propose_penalty(court, &stated))
            }
            Letter::Contradiction(found) => {
                let bad = |_| MasterError::Ended("a letter on disk is not what was written".to_owned());
                let subject = hex::decode(&found.subject).map_err(bad)?;
                let stated = |(digest, signature): &(crate::Id, String)| -> Result<_, MasterError> {
                    let statement = NodeStatement {
                        cluster: cluster.id,
                        token: address(found.token),
                        subject: subject.clone(),
                        sequence: found.sequence,
                        digest: digest.0.to_vec(),
                    };
                    let signature = hex::decode(signature).map_err(bad)?;
                    Ok(SignedNodeStatement { timestamp_ms: found.sequence, statement, signature })
                };
                let (first, second) = (stated(&found.statements[0])?, stated(&found.statements[1])?);
                let stake = address(found.stake);
                Ok(self.calls.propose_contradiction(court, stake, &found.public_key.0, &first, &second))
            }
        }
    }

    fn state<T: EnclavePayload>(
        &self,
        statement: T,
        enclave: Address,
        timestamp_ms: u64,
    ) -> Result<EnclaveStatement<T>, MasterError> {
        let payload = bcs::to_bytes(&(enclave, &statement))
            .map_err(|error| MasterError::Ended(format!("a statement has no BCS form: {error}")))?;
        let signature = self.key.sign(T::INTENT, timestamp_ms, &payload).to_vec();
        Ok(EnclaveStatement { enclave, timestamp_ms, statement, signature })
    }

    /// Notes what claims are proven with.
    fn settle(&self, letter: &Letter, receipt: &Receipt) -> Result<(), MasterError> {
        let Letter::Epoch(EpochLetter { shares, .. }) = letter else { return Ok(()) };
        for event in receipt.events_of(self.calls.package()) {
            if let Event::EpochPosted(posted) = event {
                let published =
                    Published { number: posted.number, epoch: posted.epoch, shares: shares.clone() };
                let json =
                    serde_json::to_vec(&published).map_err(|error| MasterError::Ended(error.to_string()))?;
                self.drawer().put(&published_key(posted.number), &json)?;
            }
        }
        Ok(())
    }

    fn read(&self, key: &str) -> Result<Option<Letter>, MasterError> {
        let Some(json) = self.drawer().get(&format!("{LETTER}{key}"))? else { return Ok(None) };
        let letter = serde_json::from_slice(&json)
            .map_err(|error| MasterError::Ended(format!("letter {key} cannot be read: {error}")))?;
        Ok(Some(letter))
    }

    /// First the letter, then what was signed for it: a letter without its signed bytes would be signed anew.
    fn forget(&self, key: &str) -> Result<(), MasterError> {
        (self.post.witness)(Step::Forget);
        self.drawer().remove(&format!("{LETTER}{key}"))?;
        self.post.clear(&signed(key))
    }

    /// Removes what was signed for letters that are forgotten, after a crash between the two.
    fn sweep(&self) -> Result<(), MasterError> {
        let keys = self.drawer().keys()?;
        for key in keys.iter().filter_map(|key| key.strip_prefix(SIGNED)) {
            if keys.binary_search(&format!("{LETTER}{key}")).is_err() {
                self.drawer().remove(&signed(key))?;
            }
        }
        Ok(())
    }

    fn drawer(&self) -> &Drawer {
        &self.post.drawer
    }

    fn client(&self) -> &Client {
        &self.post.client
    }
}

fn signed(key: &str) -> String {
    format!("{SIGNED}{key}")
}

/// Where the shares of a posted epoch are kept.
pub(crate) fn published_key(number: u64) -> String {
    format!("rewards-{number:016}")
}

/// Where the records with this SHA-256 are kept.
pub(crate) fn records_key(digest: &crate::Id) -> String {
    format!("records-{}", hex::encode(digest.0))
}

/// What the chain's clock has not reached has not happened for it.
fn happened(to_ms: u64, now_ms: u64) -> Result<(), MasterError> {
    if to_ms <= now_ms {
        return Ok(());
    }
    let seconds = (to_ms - now_ms).div_ceil(1000);
    Err(MasterError::NotReady { seconds, waiting_for: "the chain's clock".to_owned() })
}
