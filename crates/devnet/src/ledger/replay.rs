//! Takes checkpoints back from the journal, believing nothing that can be checked.

use std::sync::Arc;

use sui_sdk_types::{Digest, ObjectOut, TransactionEffects, TransactionEvents};

use super::Ledger;
use super::history::{Checkpoint, Commit, CommittedTransaction, ExecutedTransaction};
use super::objects::StoredObject;

/// Why a recorded checkpoint cannot follow the ledger's latest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It is not the next one.
    #[error("checkpoint {found} follows checkpoint {after:?}")]
    Order {
        /// The recorded sequence number.
        found: u64,
        /// The ledger's latest.
        after: Option<u64>,
    },
    /// A digest in it does not fit what it is the digest of.
    #[error("checkpoint {checkpoint}: the {what} does not match its digest")]
    Digest {
        /// The recorded sequence number.
        checkpoint: u64,
        /// What was hashed.
        what: &'static str,
    },
    /// A piece of a snapshot does not fit the pieces before it.
    #[error("a piece of the snapshot does not fit: {0}")]
    Snapshot(&'static str),
}

impl Commit {
    /// The recorded form of a checkpoint.
    pub fn of(checkpoint: &Checkpoint) -> Self {
        let transactions = checkpoint
            .transactions
            .iter()
            .map(|transaction| CommittedTransaction {
                signed: transaction.signed.clone(),
                effects: transaction.effects.clone(),
                events: transaction.events.clone(),
                written: transaction.written.iter().map(|o| o.object().clone()).collect(),
            })
            .collect();
        Self { summary: checkpoint.summary.clone(), contents: checkpoint.contents.clone(), transactions }
    }
}

impl Ledger {
    /// Applies a recorded checkpoint after checking its place in the chain and all its digests.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] says what does not fit; the ledger is as it was.
    pub fn replay(&mut self, commit: Commit) -> Result<(), ReplayError> {
        let checkpoint = check(commit, self.history().tip())?;
        if checkpoint.summary.sequence_number > 0 && self.history().tip().is_none() {
            return Err(ReplayError::Order { found: checkpoint.summary.sequence_number, after: None });
        }
        self.apply(Arc::new(checkpoint));
        Ok(())
    }
}

/// Checks a recorded checkpoint's place after `tip` and all its digests. With no tip, it may be any.
pub(super) fn check(commit: Commit, tip: Option<&Arc<Checkpoint>>) -> Result<Checkpoint, ReplayError> {
    let summary = commit.summary;
    let checkpoint = summary.sequence_number;
    let mismatch = |what| ReplayError::Digest { checkpoint, what };
    if let Some(tip) = tip {
        let after = tip.summary.sequence_number;
        if checkpoint != after + 1 {
            return Err(ReplayError::Order { found: checkpoint, after: Some(after) });
        }
        if summary.previous_digest != Some(tip.digest) {
            return Err(mismatch("previous checkpoint"));
        }
    }
    if commit.contents.digest() != summary.content_digest {
        return Err(mismatch("list of transactions"));
    }
    if commit.contents.transactions().len() != commit.transactions.len() {
        return Err(mismatch("number of transactions"));
    }
    let mut transactions = Vec::with_capacity(commit.transactions.len());
    for (index, (info, recorded)) in
        commit.contents.transactions().iter().zip(commit.transactions).enumerate()
    {
        let transaction =
            check_transaction(recorded, *info.transaction(), *info.effects()).map_err(mismatch)?;
        transactions.push(Arc::new(ExecutedTransaction {
            checkpoint,
            index: index as u64,
            timestamp_ms: summary.timestamp_ms,
            ..transaction
        }));
    }
    let digest = summary.digest();
    let contents = commit.contents;
    Ok(Checkpoint { digest, summary, contents, transactions })
}

fn check_transaction(
    recorded: CommittedTransaction,
    digest: Digest,
    effects_digest: Digest,
) -> Result<ExecutedTransaction, &'static str> {
    let CommittedTransaction { signed, effects, events, written } = recorded;
    if signed.transaction.digest() != digest {
        return Err("transaction");
    }
    if effects.digest() != effects_digest || *effects.transaction_digest() != digest {
        return Err("effects of a transaction");
    }
    if events.as_ref().map(TransactionEvents::digest).as_ref() != effects.events_digest() {
        return Err("events of a transaction");
    }
    let written: Vec<_> = written.into_iter().map(StoredObject::new).collect();
    let TransactionEffects::V2(v2) = &effects else { return Err("version of the effects") };
    let mut outputs: Vec<_> = v2
        .changed_objects
        .iter()
        .filter_map(|changed| match changed.output_state {
            ObjectOut::ObjectWrite { digest, .. } | ObjectOut::PackageWrite { digest, .. } => {
                Some((changed.object_id, digest))
            }
            _ => None,
        })
        .collect();
    let mut found: Vec<_> =
        written.iter().map(|object| (object.object().object_id(), object.digest())).collect();
    outputs.sort_unstable();
    found.sort_unstable();
    if outputs != found {
        return Err("set of written objects");
    }
    Ok(ExecutedTransaction {
        digest,
        signed,
        effects,
        effects_digest,
        events,
        written,
        checkpoint: 0,
        index: 0,
        timestamp_ms: 0,
    })
}
