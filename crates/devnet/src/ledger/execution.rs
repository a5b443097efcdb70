//! Executes one transaction: runs it, charges for it, settles what it changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use sui_sdk_types::{
    Address, Command, ExecutionError, ExecutionStatus, GasCostSummary, ObjectIn, StructTag, Transaction,
    TransactionEffects, TransactionEffectsV2, TransactionEvents, TransactionKind, UnchangedConsensusKind,
    UnchangedConsensusObject,
};

use super::changes::{Change, Changes, NewOwner, Settled, Stamp, settle};
use super::inputs::{Inputs, ResolvedInput, programmable};
use super::objects::{ObjectSource, StoredObject};
use super::rejection::Rejection;
use super::{coin, gas};
use crate::ptb::{self, CommandOutputs};
use crate::vm::Vm;

/// What executing a transaction led to.
#[derive(Clone, Debug)]
pub struct Execution {
    /// The effects.
    pub effects: TransactionEffects,
    /// Events, if any.
    pub events: Option<TransactionEvents>,
    /// New versions of objects.
    pub written: Vec<Arc<StoredObject>>,
    /// Results of each command; empty when the transaction failed.
    pub outputs: Vec<CommandOutputs>,
}

/// What the transaction is executed in.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// The interpreter.
    pub vm: &'a Vm,
    /// Objects before the transaction.
    pub source: &'a dyn ObjectSource,
    /// The epoch.
    pub epoch: u64,
    /// When the epoch began, milliseconds since the Unix epoch.
    pub epoch_timestamp_ms: u64,
}

/// Executes `transaction`, whose inputs were resolved against `environment.source`.
///
/// # Errors
///
/// Only [`Rejection::Unsupported`] and [`Rejection::Malformed`], for what the executor cannot do at
/// all. A transaction that aborts is no error: it has effects that say so.
pub fn execute(
    environment: Environment<'_>,
    transaction: &Transaction,
    digest: sui_sdk_types::Digest,
    inputs: &Inputs,
) -> Result<Execution, Rejection> {
    let payment = &transaction.gas_payment;
    let request = ptb::Request {
        transaction: programmable(transaction)?,
        sender: transaction.sender,
        gas_owner: payment.owner,
        digest,
        epoch: environment.epoch,
        epoch_timestamp_ms: environment.epoch_timestamp_ms,
        gas_price: payment.price,
        gas_budget: payment.budget,
        inputs,
        gas_limit: gas::limit(payment.budget, payment.price),
        read_cost: gas::read_cost(named_bytes(transaction, inputs, environment.source)),
    };
    let run = ptb::run(environment.vm, environment.source, &request).map_err(Rejection::Unsupported)?;
    let cost = gas::computation_cost(run.gas, payment.price, payment.budget);
    let computation = cost.unwrap_or(payment.budget);
    let charge = Charge { environment, transaction, digest, inputs, computation };

    let mut failure = match run.outcome {
        Err(failure) => failure,
        Ok(_) if cost.is_none() => out_of_gas(),
        Ok(mut success) => {
            let events = std::mem::take(&mut success.events);
            let outputs = std::mem::take(&mut success.outputs);
            match charge.success(success)? {
                Some((settled, summary)) => {
                    let events = (!events.is_empty()).then_some(TransactionEvents(events));
                    let status = ExecutionStatus::Success;
                    return Ok(charge.conclude(status, settled, summary, events, outputs));
                }
                None => out_of_gas(),
            }
        }
    };
    if *failure.error == ExecutionError::InsufficientGas {
        failure.command = None;
    }
    let status = ExecutionStatus::Failure { error: *failure.error, command: failure.command };
    let (settled, summary) = charge.failure()?;
    Ok(charge.conclude(status, settled, summary, None, Vec::new()))
}

fn out_of_gas() -> ptb::Failure {
    ptb::Failure { error: Box::new(ExecutionError::InsufficientGas), command: None }
}

/// Bytes of all objects and packages that the transaction names, the framework excepted.
fn named_bytes(transaction: &Transaction, inputs: &Inputs, source: &dyn ObjectSource) -> usize {
    let objects = inputs.resolved.iter().filter_map(ResolvedInput::object).chain(&inputs.gas);
    let objects: usize = objects.map(|object| gas::object_size(object.object())).sum();
    let mut packages = BTreeSet::new();
    if let TransactionKind::ProgrammableTransaction(programmable) = &transaction.kind {
        for command in &programmable.commands {
            match command {
                Command::MoveCall(call) => {
                    packages.insert(call.package);
                }
                Command::Publish(publish) => packages.extend(&publish.dependencies),
                Command::Upgrade(upgrade) => {
                    packages.extend(&upgrade.dependencies);
                    packages.insert(upgrade.package);
                }
                _ => {}
            }
        }
    }
    let framework = [Address::from_static("0x1"), Address::TWO];
    let packages = packages.iter().filter(|id| !framework.contains(id)).filter_map(|id| source.live(id));
    objects + packages.map(|package| gas::object_size(package.object())).sum::<usize>()
}

struct Charge<'a> {
    environment: Environment<'a>,
    transaction: &'a Transaction,
    digest: sui_sdk_types::Digest,
    inputs: &'a Inputs,
    computation: u64,
}

impl Charge<'_> {
    /// Settles a successful run; `None` if the budget does not pay for its storage.
    fn success(&self, success: ptb::Success) -> Result<Option<(Settled, GasCostSummary)>, Rejection> {
        let mut changes = success.changes;
        self.touch_inputs(&mut changes);
        self.smash_gas(&mut changes, success.gas_owner);
        let summary = self.price(&changes);
        if !gas::affordable(&summary, self.transaction.gas_payment.budget) {
            return Ok(None);
        }
        let balance = self.inputs.gas_balance - success.gas_taken + success.gas_added;
        self.settle(changes, balance, &summary, true).map(|settled| Some((settled, summary)))
    }

    /// Settles a failed run: inputs get new versions, the gas coin pays, nothing else happens.
    fn failure(&self) -> Result<(Settled, GasCostSummary), Rejection> {
        let mut changes = Changes::new();
        self.touch_inputs(&mut changes);
        self.smash_gas(&mut changes, None);
        let mut summary = self.price(&changes);
        let budget = self.transaction.gas_payment.budget;
        let affordable = gas::affordable(&summary, budget);
        if !affordable {
            // All of the budget is gone, and nothing is locked up for the inputs any more.
            (summary.computation_cost, summary.storage_cost) = (budget, 0);
        }
        let settled = self.settle(changes, self.inputs.gas_balance, &summary, affordable)?;
        Ok((settled, summary))
    }

    /// Gives every mutable input a new version, whether or not the run changed it.
    fn touch_inputs(&self, changes: &mut Changes) {
        for object in self.inputs.resolved.iter().filter_map(ResolvedInput::mutable_object) {
            let id = object.object().object_id();
            if let std::collections::btree_map::Entry::Vacant(entry) = changes.entry(id)
                && let Some(touch) = Change::touch(object.object())
            {
                entry.insert(touch);
            }
        }
    }

    /// Merges all gas coins into the first, whose balance is set when costs are known.
    fn smash_gas(&self, changes: &mut Changes, new_owner: Option<Address>) {
        for (index, gas_coin) in self.inputs.gas.iter().enumerate() {
            let id = gas_coin.object().object_id();
            let change = if index == 0 {
                Change::Write {
                    type_: StructTag::gas_coin(),
                    has_public_transfer: true,
                    contents: coin::contents(id, 0),
                    owner: new_owner.map_or(NewOwner::Unchanged, NewOwner::Address),
                    created: false,
                }
            } else {
                Change::Delete
            };
            changes.insert(id, change);
        }
    }

    fn price(&self, changes: &Changes) -> GasCostSummary {
        let storage = changes.values().map(Change::storage_cost).sum();
        let freed = changes
            .keys()
            .filter_map(|id| self.environment.source.live(id))
            .map(|object| object.object().storage_rebate())
            .sum();
        gas::summary(self.computation, storage, freed)
    }

    /// Deducts the costs from `balance`, writes the gas coin and makes the objects; `stored` is whether
    /// their storage was paid for.
    fn settle(
        &self,
        mut changes: Changes,
        balance: u64,
        summary: &GasCostSummary,
        stored: bool,
    ) -> Result<Settled, Rejection> {
        let impossible = || Rejection::Unsupported("an outcome that makes no sense".to_owned());
        let gas_coin = self.inputs.gas.first().ok_or_else(impossible)?.object().object_id();
        let left = balance
            .checked_add(summary.storage_rebate)
            .and_then(|balance| balance.checked_sub(summary.gas_used()))
            .ok_or_else(impossible)?;
        if let Some(Change::Write { contents, .. }) = changes.get_mut(&gas_coin) {
            *contents = coin::contents(gas_coin, left);
        }
        let source = self.environment.source;
        let stamp = Stamp { transaction: self.digest, lamport: self.inputs.lamport };
        settle(
            changes,
            stamp,
            |id| source.live(id),
            |_, change| {
                if stored { change.storage_cost() } else { 0 }
            },
        )
        .ok_or_else(impossible)
    }

    fn conclude(
        &self,
        status: ExecutionStatus,
        settled: Settled,
        gas_used: GasCostSummary,
        events: Option<TransactionEvents>,
        outputs: Vec<CommandOutputs>,
    ) -> Execution {
        let gas_coin = self.inputs.gas.first().map(|coin| coin.object().object_id());
        let gas_object_index = settled
            .changed
            .iter()
            .position(|changed| Some(changed.object_id) == gas_coin)
            .and_then(|index| u32::try_from(index).ok());
        let mut dependencies = self.inputs.dependencies.clone();
        for changed in &settled.changed {
            if let ObjectIn::Exist { .. } = changed.input_state
                && let Some(object) = self.environment.source.live(&changed.object_id)
            {
                dependencies.insert(object.object().previous_transaction());
            }
        }
        let effects = TransactionEffects::V2(Box::new(TransactionEffectsV2 {
            status,
            epoch: self.environment.epoch,
            gas_used,
            transaction_digest: self.digest,
            gas_object_index,
            events_digest: events.as_ref().map(TransactionEvents::digest),
            dependencies: dependencies.into_iter().collect(),
            lamport_version: self.inputs.lamport,
            changed_objects: settled.changed,
            unchanged_consensus_objects: self.read_only_shared(),
            auxiliary_data_digest: None,
        }));
        Execution { effects, events, written: settled.written, outputs }
    }

    fn read_only_shared(&self) -> Vec<UnchangedConsensusObject> {
        let mut read: Vec<_> = self
            .inputs
            .resolved
            .iter()
            .filter_map(|input| match input {
                ResolvedInput::Shared { object, mutable: false } => Some(object),
                _ => None,
            })
            .map(|object| UnchangedConsensusObject {
                object_id: object.object().object_id(),
                kind: UnchangedConsensusKind::ReadOnlyRoot {
                    version: object.object().version(),
                    digest: object.digest(),
                },
            })
            .collect();
        read.sort_by_key(|object| object.object_id);
        read
    }
}
