//! Transactions on their way into the next checkpoint.

use std::collections::HashMap;
use std::sync::Arc;

use sui_sdk_types::{
    Address, ChangeEpoch, CheckpointContents, CheckpointSummary, CheckpointTransactionInfo,
    ConsensusCommitPrologue, Digest, EndOfEpochData, EndOfEpochTransactionKind, ExecutionStatus,
    GasCostSummary, ObjectOut, SignedTransaction, TransactionEffects, TransactionEffectsV2, TransactionKind,
    Version,
};

use super::changes::{Change, Changes, NewOwner, Stamp, settle};
use super::execution::{Environment, Execution, execute};
use super::genesis::{clock_contents, clock_type, system_transaction};
use super::history::{Checkpoint, ExecutedTransaction};
use super::inputs::{Context, resolve};
use super::objects::{ObjectSource, StoredObject};
use super::rejection::Rejection;
use super::signature::VerifiedTransaction;
use super::{CLOCK, Ledger, PROTOCOL_VERSION};
use crate::vm::Vm;

/// The next checkpoint in the making. Reads see what its transactions wrote so far.
pub struct Batch<'a> {
    ledger: &'a Ledger,
    vm: &'a Vm,
    timestamp_ms: u64,
    overlay: Overlay,
    executed: Vec<ExecutedTransaction>,
    by_digest: HashMap<Digest, usize>,
    ends_epoch: bool,
}

/// What became of a transaction that was handed to a batch.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was executed before; this is what it did then.
    Known(Arc<ExecutedTransaction>),
    /// It is at this position of the checkpoint in the making.
    New(usize),
}

#[derive(Debug, Default)]
struct Overlay {
    live: HashMap<Address, Arc<StoredObject>>,
    removed: HashMap<Address, Version>,
}

impl ObjectSource for Batch<'_> {
    fn live(&self, id: &Address) -> Option<Arc<StoredObject>> {
        if let Some(object) = self.overlay.live.get(id) {
            return Some(object.clone());
        }
        if self.overlay.removed.contains_key(id) {
            return None;
        }
        self.ledger.objects().live(id)
    }

    fn removed(&self, id: &Address) -> Option<Version> {
        if self.overlay.live.contains_key(id) {
            return None;
        }
        self.overlay.removed.get(id).copied().or_else(|| self.ledger.objects().removed(id))
    }
}

impl<'a> Batch<'a> {
    /// Starts the checkpoint after the ledger's latest, at `now_ms` or, should that lie before it,
    /// at the latest checkpoint's time. Its first transaction sets the clock.
    pub fn new(ledger: &'a Ledger, vm: &'a Vm, now_ms: u64) -> Self {
        let mut batch = Self {
            ledger,
            vm,
            timestamp_ms: now_ms.max(ledger.timestamp_ms()),
            overlay: Overlay::default(),
            executed: Vec::new(),
            by_digest: HashMap::new(),
            ends_epoch: false,
        };
        batch.set_clock();
        batch
    }

    /// Time of the checkpoint, milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// Executes a transaction. One that was executed before, in this or in an earlier checkpoint,
    /// is not executed again.
    ///
    /// # Errors
    ///
    /// [`Rejection`] when the transaction cannot be executed; the batch is as it was.
    pub fn execute(&mut self, transaction: &VerifiedTransaction) -> Result<Outcome, Rejection> {
        let digest = transaction.digest();
        if let Some(index) = self.by_digest.get(&digest) {
            return Ok(Outcome::New(*index));
        }
        if let Some(known) = self.ledger.history().transaction(&digest) {
            return Ok(Outcome::Known(known.clone()));
        }
        let execution = self.simulate(transaction)?;
        let signed = transaction.signed().clone();
        Ok(Outcome::New(self.push(digest, signed, execution)))
    }

    /// Executes a transaction and forgets it.
    ///
    /// # Errors
    ///
    /// As [`Batch::execute`].
    pub fn simulate(&self, transaction: &VerifiedTransaction) -> Result<Execution, Rejection> {
        let unsigned = &transaction.signed().transaction;
        let inputs = resolve(unsigned, self, self.context())?;
        execute(self.environment(), unsigned, transaction.digest(), &inputs)
    }

    /// Pretends that an object exists, for a simulation.
    pub fn suppose(&mut self, object: Option<Arc<StoredObject>>) {
        self.overlay.live.extend(object.map(|object| (object.object().object_id(), object)));
    }

    /// What transactions of this batch must agree with.
    pub fn context(&self) -> Context {
        Context {
            chain_id: self.ledger.chain_id(),
            epoch: self.ledger.epoch(),
            timestamp_ms: self.timestamp_ms,
        }
    }

    /// The number of transactions so far, the one that sets the clock included.
    pub fn len(&self) -> usize {
        self.executed.len()
    }

    /// True if there is nothing in the batch but the setting of the clock.
    pub fn is_empty(&self) -> bool {
        self.executed.len() <= 1
    }

    /// Makes this checkpoint the last of its epoch.
    pub fn end_epoch(&mut self) {
        self.ends_epoch = true;
    }

    /// Ends the checkpoint.
    pub fn seal(mut self) -> Arc<Checkpoint> {
        let tip = self.ledger.history().tip();
        let begins_epoch = tip.is_some_and(|tip| tip.summary.end_of_epoch_data.is_some());
        let mut gas = match tip {
            Some(tip) if !begins_epoch => tip.summary.epoch_rolling_gas_cost_summary.clone(),
            _ => GasCostSummary::default(),
        };
        for executed in &self.executed {
            add(&mut gas, executed.effects.gas_summary());
        }
        if self.ends_epoch {
            self.change_epoch(&gas);
        }
        let contents = CheckpointContents::new_v1(
            self.executed
                .iter()
                .map(|executed| {
                    CheckpointTransactionInfo::new(
                        executed.digest,
                        executed.effects_digest,
                        executed.signed.signatures.clone(),
                    )
                })
                .collect(),
        );
        let before = tip.map_or(0, |tip| tip.summary.network_total_transactions);
        let summary = CheckpointSummary {
            epoch: self.ledger.epoch(),
            sequence_number: self.sequence_number(),
            network_total_transactions: before + self.executed.len() as u64,
            content_digest: contents.digest(),
            previous_digest: tip.map(|tip| tip.digest),
            epoch_rolling_gas_cost_summary: gas,
            timestamp_ms: self.timestamp_ms,
            checkpoint_commitments: Vec::new(),
            end_of_epoch_data: self.ends_epoch.then(|| EndOfEpochData {
                next_epoch_committee: Vec::new(),
                next_epoch_protocol_version: PROTOCOL_VERSION,
                epoch_commitments: Vec::new(),
            }),
            version_specific_data: Vec::new(),
        };
        Arc::new(Checkpoint {
            digest: summary.digest(),
            summary,
            contents,
            transactions: self.executed.into_iter().map(Arc::new).collect(),
        })
    }

    fn sequence_number(&self) -> u64 {
        self.ledger.history().tip().map_or(0, |tip| tip.summary.sequence_number + 1)
    }

    fn environment(&self) -> Environment<'_> {
        let (epoch, epoch_timestamp_ms) = (self.ledger.epoch(), self.ledger.epoch_start_ms());
        Environment { vm: self.vm, source: self, epoch, epoch_timestamp_ms }
    }

    fn push(&mut self, digest: Digest, signed: SignedTransaction, execution: Execution) -> usize {
        let index = self.executed.len();
        for object in &execution.written {
            let id = object.object().object_id();
            self.overlay.removed.remove(&id);
            self.overlay.live.insert(id, object.clone());
        }
        if let TransactionEffects::V2(effects) = &execution.effects {
            for changed in &effects.changed_objects {
                if changed.output_state == ObjectOut::NotExist {
                    self.overlay.live.remove(&changed.object_id);
                    self.overlay.removed.insert(changed.object_id, effects.lamport_version);
                }
            }
        }
        self.by_digest.insert(digest, index);
        self.executed.push(ExecutedTransaction {
            digest,
            signed,
            effects_digest: execution.effects.digest(),
            effects: execution.effects,
            events: execution.events,
            written: execution.written,
            checkpoint: self.sequence_number(),
            index: index as u64,
            timestamp_ms: self.timestamp_ms,
        });
        index
    }

    /// Does what Sui does at the start of a consensus commit: sets `0x6` to the commit's time.
    fn set_clock(&mut self) {
        let Some(clock) = self.ledger.objects().live(&CLOCK) else { return };
        let transaction =
            system_transaction(TransactionKind::ConsensusCommitPrologue(ConsensusCommitPrologue {
                epoch: self.ledger.epoch(),
                round: self.sequence_number(),
                commit_timestamp_ms: self.timestamp_ms,
            }));
        let digest = transaction.digest();
        let lamport_version = clock.object().version() + 1;
        let change = Change::Write {
            type_: clock_type(),
            has_public_transfer: false,
            contents: clock_contents(self.timestamp_ms),
            owner: NewOwner::Unchanged,
            created: false,
        };
        let stamp = Stamp { transaction: digest, lamport: lamport_version };
        let before = |_: &Address| Some(clock.clone());
        let Some(settled) = settle(Changes::from([(CLOCK, change)]), stamp, before, |_, _| 0) else {
            return;
        };
        let effects = TransactionEffects::V2(Box::new(TransactionEffectsV2 {
            status: ExecutionStatus::Success,
            epoch: self.ledger.epoch(),
            gas_used: GasCostSummary::default(),
            transaction_digest: digest,
            gas_object_index: None,
            events_digest: None,
            dependencies: vec![clock.object().previous_transaction()],
            lamport_version,
            changed_objects: settled.changed,
            unchanged_consensus_objects: Vec::new(),
            auxiliary_data_digest: None,
        }));
        let written = settled.written;
        let execution = Execution { effects, events: None, written, outputs: Vec::new() };
        self.push(digest, SignedTransaction { transaction, signatures: Vec::new() }, execution);
    }

    /// The system transaction that ends an epoch. It changes nothing here: there are no validators,
    /// no storage fund and no system state.
    fn change_epoch(&mut self, gas: &GasCostSummary) {
        let change = EndOfEpochTransactionKind::ChangeEpoch(ChangeEpoch {
            epoch: self.ledger.epoch() + 1,
            protocol_version: PROTOCOL_VERSION,
            storage_charge: gas.storage_cost,
            computation_charge: gas.computation_cost,
            storage_rebate: gas.storage_rebate,
            non_refundable_storage_fee: gas.non_refundable_storage_fee,
            epoch_start_timestamp_ms: self.timestamp_ms,
            system_packages: Vec::new(),
        });
        let transaction = system_transaction(TransactionKind::EndOfEpoch(vec![change]));
        let digest = transaction.digest();
        let effects = TransactionEffects::V2(Box::new(TransactionEffectsV2 {
            status: ExecutionStatus::Success,
            epoch: self.ledger.epoch(),
            gas_used: GasCostSummary::default(),
            transaction_digest: digest,
            gas_object_index: None,
            events_digest: None,
            dependencies: Vec::new(),
            lamport_version: 1,
            changed_objects: Vec::new(),
            unchanged_consensus_objects: Vec::new(),
            auxiliary_data_digest: None,
        }));
        let execution = Execution { effects, events: None, written: Vec::new(), outputs: Vec::new() };
        self.push(digest, SignedTransaction { transaction, signatures: Vec::new() }, execution);
    }
}

fn add(total: &mut GasCostSummary, one: &GasCostSummary) {
    total.computation_cost = total.computation_cost.saturating_add(one.computation_cost);
    total.storage_cost = total.storage_cost.saturating_add(one.storage_cost);
    total.storage_rebate = total.storage_rebate.saturating_add(one.storage_rebate);
    total.non_refundable_storage_fee =
        total.non_refundable_storage_fee.saturating_add(one.non_refundable_storage_fee);
}
