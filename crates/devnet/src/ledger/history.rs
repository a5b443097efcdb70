//! Executed transactions and checkpoints.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sui_sdk_types::{
    CheckpointContents, CheckpointSummary, Digest, Object, SignedTransaction, TransactionEffects,
    TransactionEvents,
};

use super::objects::StoredObject;

/// A transaction with everything that its execution left behind.
#[derive(Clone, Debug)]
pub struct ExecutedTransaction {
    /// Digest of the transaction.
    pub digest: Digest,
    /// The transaction and its signatures.
    pub signed: SignedTransaction,
    /// What it did.
    pub effects: TransactionEffects,
    /// Digest of the effects.
    pub effects_digest: Digest,
    /// Events it emitted; `None` when it emitted none.
    pub events: Option<TransactionEvents>,
    /// Objects it wrote, as they are after it.
    pub written: Vec<Arc<StoredObject>>,
    /// Sequence number of the checkpoint that holds it.
    pub checkpoint: u64,
    /// Zero-based position in that checkpoint.
    pub index: u64,
    /// Time of that checkpoint, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

/// A checkpoint with its transactions.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Digest of the summary.
    pub digest: Digest,
    /// The summary.
    pub summary: CheckpointSummary,
    /// Digests of transactions and effects, with signatures.
    pub contents: CheckpointContents,
    /// The transactions, in execution order.
    pub transactions: Vec<Arc<ExecutedTransaction>>,
}

/// What one checkpoint changes: the unit of durability.
///
/// A commit holds the results of execution, so that reopening a chain does not execute anything.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Commit {
    /// The checkpoint's summary.
    pub summary: CheckpointSummary,
    /// The checkpoint's contents.
    pub contents: CheckpointContents,
    /// The checkpoint's transactions, in order.
    pub transactions: Vec<CommittedTransaction>,
}

/// One transaction of a [`Commit`].
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct CommittedTransaction {
    /// The transaction and its signatures.
    pub signed: SignedTransaction,
    /// What it did.
    pub effects: TransactionEffects,
    /// Events it emitted.
    pub events: Option<TransactionEvents>,
    /// Objects it wrote, as they are after it.
    pub written: Vec<Object>,
}

/// One epoch of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Epoch {
    /// Its number, from 0.
    pub number: u64,
    /// Sequence number of its first checkpoint.
    pub first_checkpoint: u64,
    /// When it began, milliseconds since the Unix epoch.
    pub start_ms: u64,
    /// Sequence number of its last checkpoint, which ended it, and when; `None` for the current one.
    pub end: Option<(u64, u64)>,
}

/// Transactions and checkpoints of the chain, from the oldest that is kept.
#[derive(Clone, Debug, Default)]
pub struct History {
    transactions: HashMap<Digest, Arc<ExecutedTransaction>>,
    checkpoints: VecDeque<Arc<Checkpoint>>,
    by_digest: HashMap<Digest, u64>,
    epochs: Vec<Epoch>,
    /// Digest of the first checkpoint ever.
    genesis: Option<Digest>,
}

impl History {
    /// Appends the next checkpoint.
    pub fn push(&mut self, checkpoint: Arc<Checkpoint>) {
        let summary = &checkpoint.summary;
        self.genesis.get_or_insert(checkpoint.digest);
        if self.epochs.last().is_none_or(|epoch| epoch.end.is_some()) {
            let before = self.epochs.last().and_then(|epoch| epoch.end);
            self.epochs.push(Epoch {
                number: summary.epoch,
                first_checkpoint: summary.sequence_number,
                start_ms: before.map_or(summary.timestamp_ms, |(_, ended_ms)| ended_ms),
                end: None,
            });
        }
        if let Some(current) = self.epochs.last_mut()
            && summary.end_of_epoch_data.is_some()
        {
            current.end = Some((summary.sequence_number, summary.timestamp_ms));
        }
        self.keep(checkpoint);
    }

    /// Goes on from a snapshot: nothing is kept yet, and these epochs were.
    pub(super) fn resume(genesis: Digest, epochs: Vec<Epoch>) -> Self {
        Self { epochs, genesis: Some(genesis), ..Self::default() }
    }

    /// Appends a checkpoint whose epoch is known.
    pub(super) fn keep(&mut self, checkpoint: Arc<Checkpoint>) {
        for transaction in &checkpoint.transactions {
            self.transactions.insert(transaction.digest, transaction.clone());
        }
        self.by_digest.insert(checkpoint.digest, checkpoint.summary.sequence_number);
        self.checkpoints.push_back(checkpoint);
    }

    /// Forgets the oldest checkpoint that is kept, unless it is the latest.
    pub(super) fn forget_oldest(&mut self) -> Option<Arc<Checkpoint>> {
        if self.checkpoints.len() < 2 {
            return None;
        }
        let oldest = self.checkpoints.pop_front()?;
        self.by_digest.remove(&oldest.digest);
        for transaction in &oldest.transactions {
            self.transactions.remove(&transaction.digest);
        }
        Some(oldest)
    }

    /// The transaction with this digest.
    pub fn transaction(&self, digest: &Digest) -> Option<&Arc<ExecutedTransaction>> {
        self.transactions.get(digest)
    }

    /// The checkpoint with this sequence number, if it is kept.
    pub fn checkpoint(&self, sequence_number: u64) -> Option<&Arc<Checkpoint>> {
        let index = sequence_number.checked_sub(self.lowest())?;
        self.checkpoints.get(usize::try_from(index).ok()?)
    }

    /// The checkpoint with this digest, if it is kept.
    pub fn checkpoint_by_digest(&self, digest: &Digest) -> Option<&Arc<Checkpoint>> {
        self.checkpoint(*self.by_digest.get(digest)?)
    }

    /// Checkpoints that are kept, in order.
    pub fn checkpoints(&self) -> impl ExactSizeIterator<Item = &Arc<Checkpoint>> {
        self.checkpoints.iter()
    }

    /// Sequence number of the oldest checkpoint that is kept.
    pub fn lowest(&self) -> u64 {
        self.checkpoints.front().map_or(0, |oldest| oldest.summary.sequence_number)
    }

    /// The latest checkpoint; `None` before genesis.
    pub fn tip(&self) -> Option<&Arc<Checkpoint>> {
        self.checkpoints.back()
    }

    /// All epochs that began, in order.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// Digest of the first checkpoint ever.
    pub fn genesis(&self) -> Option<Digest> {
        self.genesis
    }
}
