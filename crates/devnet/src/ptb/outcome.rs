//! What became of every object, once all commands have run.

use std::collections::{BTreeMap, BTreeSet};

use sui_sdk_types::{Address, Event, ExecutionError, MovePackage, MoveStruct, StructTag, TypeTag};

use super::slot::{Origin, Slot, State};
use super::{CommandOutputs, Request, Success};
use crate::ledger::changes::{Change, Changes, NewOwner};
use crate::ledger::{ResolvedInput, coin};

/// An object that has a new owner or value.
pub(super) struct Moved {
    pub(super) id: Address,
    pub(super) owner: NewOwner,
    pub(super) type_: StructTag,
    pub(super) has_public_transfer: bool,
    pub(super) contents: Vec<u8>,
}

/// What the Move code of a transaction did to objects.
#[derive(Default)]
pub(super) struct Output {
    /// Objects given away, shared or frozen, and dynamic fields written.
    pub(super) moved: Vec<Moved>,
    /// Identifiers made and not deleted.
    pub(super) created: BTreeSet<Address>,
    /// Identifiers from before the transaction that were deleted.
    pub(super) deleted: BTreeSet<Address>,
    /// Live objects other than inputs that left their owner: dynamic fields removed, objects
    /// received.
    pub(super) detached: BTreeSet<Address>,
    /// Packages published.
    pub(super) packages: BTreeMap<Address, MovePackage>,
    /// Events in the order they were emitted.
    pub(super) events: Vec<Event>,
}

/// What the commands of a transaction left in their slots.
pub(super) struct Leftovers {
    pub(super) gas: Slot,
    pub(super) gas_owner: Option<Address>,
    pub(super) inputs: Vec<Slot>,
    /// Objects that commands gave away.
    pub(super) sent: Vec<Moved>,
    pub(super) outputs: Vec<CommandOutputs>,
}

/// Puts together what the commands and the code they called did.
///
/// # Errors
///
/// If a shared object was used by value and is neither shared again nor deleted.
pub(super) fn conclude(
    request: &Request<'_>,
    leftovers: Leftovers,
    output: Output,
) -> Result<Success, ExecutionError> {
    let Leftovers { gas, gas_owner, inputs, sent, outputs } = leftovers;
    let Output { moved, created, deleted, detached, packages, events } = output;
    let mut changes = Changes::new();
    let mut gone = detached;
    for (slot, input) in inputs.iter().zip(&request.inputs.resolved) {
        leave(slot, input, &mut changes, &mut gone);
    }
    for moved in sent.into_iter().chain(moved) {
        let created = created.contains(&moved.id);
        let Moved { id, owner, type_, has_public_transfer, contents } = moved;
        changes.insert(id, Change::Write { type_, has_public_transfer, contents, owner, created });
    }
    check_shared(&inputs, &changes, &deleted)?;
    for id in gone {
        let fate = if deleted.contains(&id) { Change::Delete } else { Change::Wrap };
        changes.entry(id).or_insert(fate);
    }
    for id in deleted.difference(&created) {
        // What is not among the objects that were there before was unwrapped first.
        changes.entry(*id).or_insert(Change::Delete);
    }
    changes.extend(packages.into_iter().map(|(id, package)| (id, Change::Package(package))));
    let spendable = request.inputs.gas_balance.saturating_sub(request.gas_budget);
    let left = gas.read().ok().and_then(|(_, bytes)| coin::balance(bytes)).unwrap_or(0);
    Ok(Success {
        changes,
        gas_taken: spendable.saturating_sub(left),
        gas_added: left.saturating_sub(spendable),
        gas_owner,
        events,
        outputs,
    })
}

/// Refuses to lose a result that must not be lost.
///
/// # Errors
///
/// `UnusedValueWithoutDrop` for the first such value, or what `can_drop` says.
pub(super) fn check_unused(
    results: &[Vec<Slot>],
    mut can_drop: impl FnMut(&TypeTag) -> Result<bool, ExecutionError>,
) -> Result<(), ExecutionError> {
    for (result, values) in results.iter().enumerate() {
        for (subresult, slot) in values.iter().enumerate() {
            if let State::Value { tag, .. } = &slot.state
                && !can_drop(tag)?
            {
                let index = |index| u16::try_from(index).unwrap_or(u16::MAX);
                return Err(ExecutionError::UnusedValueWithoutDrop {
                    result: index(result),
                    subresult: index(subresult),
                });
            }
        }
    }
    Ok(())
}

/// Writes an input that is still there back to its owner, or notes that it is gone.
fn leave(slot: &Slot, input: &ResolvedInput, changes: &mut Changes, gone: &mut BTreeSet<Address>) {
    let Some(before) = input.mutable_object() else { return };
    let id = before.object().object_id();
    match &slot.state {
        State::Value { tag: TypeTag::Struct(type_), bytes, .. } => {
            let has_public_transfer =
                before.object().as_struct().is_some_and(MoveStruct::has_public_transfer);
            let write = Change::Write {
                type_: (**type_).clone(),
                has_public_transfer,
                contents: bytes.clone(),
                owner: NewOwner::Unchanged,
                created: false,
            };
            changes.insert(id, write);
        }
        _ => {
            gone.insert(id);
        }
    }
}

fn check_shared(
    inputs: &[Slot],
    changes: &Changes,
    deleted: &BTreeSet<Address>,
) -> Result<(), ExecutionError> {
    for slot in inputs {
        let Slot { origin: Origin::Shared(id), state: State::Taken } = slot else { continue };
        let shared_again = matches!(changes.get(id), Some(Change::Write { owner: NewOwner::Shared, .. }));
        if !shared_again && !deleted.contains(id) {
            return Err(ExecutionError::ConsensusObjectOperationNotAllowed);
        }
    }
    Ok(())
}
