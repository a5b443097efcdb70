//! Where the one who posts anchors elsewhere and those who want one posted meet.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::mvcc::{AnchorNote, Op};
use crate::root::{self, Hash, Proof, StateRoot};
use crate::{EtcdError, Store};

/// How long somebody who asked for an anchor waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

/// Who posts anchors and who asks for them.
pub(crate) struct Anchoring {
    /// How often an anchor was asked for.
    wanted: watch::Sender<u64>,
    outcome: watch::Sender<Outcome>,
}

#[derive(Clone, Debug, Default)]
struct Outcome {
    /// Latest revision that is anchored for certain.
    revision: i64,
    /// Why the last attempt failed, and how many did.
    failure: Option<String>,
    failures: u64,
}

impl Default for Anchoring {
    fn default() -> Self {
        Self { wanted: watch::Sender::new(0), outcome: watch::Sender::new(Outcome::default()) }
    }
}

impl Store {
    /// The latest durable point with the root of the state at it. The first call reads the whole state, later ones what
    /// has changed since. Blocks meanwhile.
    pub fn state_root(&self) -> StateRoot {
        self.shared().root.lock().root(self.shared())
    }

    /// The root at an earlier revision, made from history. Blocks while it reads the whole state.
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet.
    pub fn state_root_at(&self, revision: i64) -> Result<Hash, EtcdError> {
        root::root_at(self.shared(), revision)
    }

    /// That `key` has the value it has at `revision`, or does not exist, and the value. Blocks while it reads the whole
    /// state.
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet, or no key is named.
    pub fn prove(&self, key: &Bytes, revision: i64) -> Result<(Proof, Option<Bytes>), EtcdError> {
        if key.is_empty() {
            return Err(EtcdError::EmptyKey);
        }
        let (proof, record) = root::prove(self.shared(), key, revision)?;
        Ok((proof, record.map(|record| record.value.clone())))
    }

    /// Points that were anchored, or were about to be, oldest first.
    pub fn anchor_notes(&self) -> Vec<AnchorNote> {
        self.shared().state.read().anchors().cloned().collect()
    }

    /// Writes into the log that a point is about to be anchored. Returns when that is durable: only then may it be
    /// posted.
    ///
    /// # Errors
    /// The store cannot write.
    pub async fn note_anchor(&self, note: AnchorNote) -> Result<(), EtcdError> {
        self.commit(Op::Anchor(note)).await.map(drop)
    }

    /// Ends the store at once, for a reason from outside: nothing more is acknowledged.
    pub fn stop(&self, why: &str) {
        self.shared().fail(why);
    }

    /// How many changes of keys there were after `revision`, those below `quiet` prefixes left out. Counts no further than
    /// `enough`.
    pub fn changes_after(&self, revision: i64, quiet: &[String], enough: usize) -> usize {
        let state = self.shared().state.read();
        let loud = |key: &[u8]| !quiet.iter().any(|prefix| key.starts_with(prefix.as_bytes()));
        state.changes_since(revision + 1).filter(|record| loud(&record.key)).take(enough).count()
    }

    /// Changes whenever somebody asks for an anchor. Whoever holds one is expected to post.
    pub fn anchors_wanted(&self) -> watch::Receiver<u64> {
        self.shared().anchoring.wanted.subscribe()
    }

    /// Tells those who wait that `revision` is anchored.
    pub fn anchored(&self, revision: i64) {
        self.shared().anchoring.outcome.send_modify(|outcome| {
            outcome.revision = outcome.revision.max(revision);
            outcome.failure = None;
        });
    }

    /// Tells those who wait that posting failed.
    pub fn anchor_failed(&self, why: &str) {
        self.shared().anchoring.outcome.send_modify(|outcome| {
            outcome.failure = Some(why.to_owned());
            outcome.failures += 1;
        });
    }

    /// The latest revision that was reported as anchored; 0 before the first.
    pub fn anchored_revision(&self) -> i64 {
        self.shared().anchoring.outcome.borrow().revision
    }

    /// Asks whoever posts anchors to post one, and waits until what is durable now is anchored; tells up to where.
    ///
    /// # Errors
    /// Nobody posts anchors of this store, or posting failed.
    pub async fn request_anchor(&self) -> Result<i64, EtcdError> {
        let anchoring = &self.shared().anchoring;
        let revision = self.revision();
        let mut outcome = anchoring.outcome.subscribe();
        let failures = outcome.borrow_and_update().failures;
        if anchoring.wanted.receiver_count() == 0 {
            return Err(EtcdError::Unsupported(
                "nobody anchors this store: it is not part of a master that posts to a chain",
            ));
        }
        anchoring.wanted.send_modify(|wanted| *wanted += 1);
        let done = outcome.wait_for(|told| told.revision >= revision || told.failures > failures);
        match timeout(PATIENCE, done).await {
            Ok(Ok(told)) if told.revision >= revision => Ok(told.revision),
            Ok(Ok(told)) => Err(EtcdError::Failed(told.failure.clone().unwrap_or_default())),
            _ => Err(EtcdError::Failed("no anchor within a minute; the master's log says why".to_owned())),
        }
    }
}
