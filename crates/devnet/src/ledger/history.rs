//! Executed transactions and checkpoints.

use std::collections::HashMap;
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

/// All transactions and checkpoints of the chain.
#[derive(Debug, Default)]
pub struct History {
    transactions: HashMap<Digest, Arc<ExecutedTransaction>>,
    checkpoints: Vec<Arc<Checkpoint>>,
    by_digest: HashMap<Digest, u64>,
}

impl History {
    /// Appends the next checkpoint.
    pub fn push(&mut self, checkpoint: Arc<Checkpoint>) {
        for transaction in &checkpoint.transactions {
            self.transactions.insert(transaction.digest, transaction.clone());
        }
        self.by_digest.insert(checkpoint.digest, checkpoint.summary.sequence_number);
        self.checkpoints.push(checkpoint);
    }

    /// The transaction with this digest.
    pub fn transaction(&self, digest: &Digest) -> Option<&Arc<ExecutedTransaction>> {
        self.transactions.get(digest)
    }

    /// The checkpoint with this sequence number.
    pub fn checkpoint(&self, sequence_number: u64) -> Option<&Arc<Checkpoint>> {
        self.checkpoints.get(usize::try_from(sequence_number).ok()?)
    }

    /// The checkpoint with this digest.
    pub fn checkpoint_by_digest(&self, digest: &Digest) -> Option<&Arc<Checkpoint>> {
        self.checkpoint(*self.by_digest.get(digest)?)
    }

    /// The latest checkpoint; `None` before genesis.
    pub fn tip(&self) -> Option<&Arc<Checkpoint>> {
        self.checkpoints.last()
    }
}
