//! The chain as a deterministic state machine: transactions and the time go in, checkpoints come
//! out. It knows no sockets, no files and no clock.
//!
//! A [`Batch`] executes transactions on top of a [`Ledger`] without changing it and is sealed into
//! a [`Checkpoint`]; once that is durable, [`Ledger::apply`] makes it visible.

mod batch;
pub mod changes;
pub mod coin;
mod execution;
pub mod gas;
mod genesis;
mod history;
mod inputs;
mod objects;
mod rejection;
mod replay;
mod signature;
mod snapshot;

use std::sync::Arc;

use sui_sdk_types::{Address, Digest, ObjectIn, ObjectOut, TransactionEffects};

pub use batch::{Batch, Outcome};
pub use execution::{Environment, Execution, execute};
pub use genesis::{Genesis, SUPPLY_MIST};
pub use history::{Checkpoint, Commit, CommittedTransaction, Epoch, ExecutedTransaction, History};
pub use inputs::{Context, Inputs, ResolvedInput, resolve};
pub use objects::{ObjectSource, Objects, StoredObject};
pub use rejection::Rejection;
pub use replay::ReplayError;
pub use signature::VerifiedTransaction;
pub use snapshot::{Base, Piece};

pub use crate::ptb::CommandOutputs;

/// Version of Sui's protocol whose published costs and limits this chain follows.
pub const PROTOCOL_VERSION: u64 = 120;
/// Identifier of the shared `0x2::clock::Clock`.
pub const CLOCK: Address = Address::from_static("0x6");

/// All state of the chain. A copy shares its objects and history with the original.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    objects: Objects,
    history: History,
}

impl Ledger {
    /// The objects.
    pub fn objects(&self) -> &Objects {
        &self.objects
    }

    /// Transactions and checkpoints.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Digest of the first checkpoint; zero before there is one.
    pub fn chain_id(&self) -> Digest {
        self.history.genesis().unwrap_or(Digest::ZERO)
    }

    /// The epoch that the next checkpoint belongs to.
    pub fn epoch(&self) -> u64 {
        self.history.epochs().last().map_or(0, |last| last.number + u64::from(last.end.is_some()))
    }

    /// When that epoch began, milliseconds since the Unix epoch.
    pub fn epoch_start_ms(&self) -> u64 {
        let last = self.history.epochs().last();
        last.map_or(0, |last| last.end.map_or(last.start_ms, |(_, ended_ms)| ended_ms))
    }

    /// Forgets checkpoints, with their transactions and the versions of objects that these replaced,
    /// until at most `keep` are left. The latest is always kept.
    pub fn prune(&mut self, keep: u64) {
        while self.history.checkpoints().len() as u64 > keep {
            let Some(oldest) = self.history.forget_oldest() else { return };
            for transaction in &oldest.transactions {
                let TransactionEffects::V2(effects) = &transaction.effects else { continue };
                for changed in &effects.changed_objects {
                    if let ObjectIn::Exist { version, .. } = changed.input_state {
                        self.objects.forget(&changed.object_id, version);
                    }
                }
            }
        }
    }

    /// Sequence number of the latest checkpoint.
    pub fn height(&self) -> u64 {
        self.history.tip().map_or(0, |tip| tip.summary.sequence_number)
    }

    /// Time of the latest checkpoint, milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> u64 {
        self.history.tip().map_or(0, |tip| tip.summary.timestamp_ms)
    }

    /// Makes the next checkpoint visible. It must be the one that was sealed from a batch on this
    /// ledger.
    pub fn apply(&mut self, checkpoint: Arc<Checkpoint>) {
        for transaction in &checkpoint.transactions {
            for object in &transaction.written {
                self.objects.write(object.clone());
            }
            let TransactionEffects::V2(effects) = &transaction.effects else { continue };
            for changed in &effects.changed_objects {
                if changed.output_state == ObjectOut::NotExist {
                    self.objects.remove(changed.object_id, effects.lamport_version);
                }
            }
        }
        self.history.push(checkpoint);
    }
}
