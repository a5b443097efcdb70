//! The commands of a programmable transaction, one after the other.

use std::collections::BTreeSet;

use sui_sdk_types::{
    Address, Argument, Command, CommandArgumentError, ExecutionError, MakeMoveVector, MergeCoins, MoveCall,
    SplitCoins, StructTag, TransferObjects, TypeTag,
};

use super::machine::Machine;
use super::outcome::{Leftovers, Moved, check_unused};
use super::slot::{ArgumentResult, Origin, Slot, State, at};
use super::{CommandOutputs, Failure, Request};
use crate::ledger::changes::NewOwner;
use crate::ledger::{ResolvedInput, StoredObject, coin};
use crate::vm::Passing;

/// A programmable transaction half way.
pub(super) struct Executor<'a, 'm> {
    machine: &'m mut Machine<'a>,
    request: &'m Request<'m>,
    gas: Slot,
    gas_owner: Option<Address>,
    inputs: Vec<Slot>,
    results: Vec<Vec<Slot>>,
    sent: Vec<Moved>,
}

/// Where an argument is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Gas,
    Input(usize),
    Result(usize, usize),
}

type Step<T> = Result<T, ExecutionError>;

impl<'a, 'm> Executor<'a, 'm> {
    pub(super) fn new(machine: &'m mut Machine<'a>, request: &'m Request<'m>) -> Self {
        let gas_id = request.inputs.gas.first().map_or(Address::ZERO, |coin| coin.object().object_id());
        let spendable = request.inputs.gas_balance.saturating_sub(request.gas_budget);
        let gas_tag = TypeTag::Struct(Box::new(StructTag::gas_coin()));
        let gas = Slot::value(Origin::Gas, gas_tag, coin::contents(gas_id, spendable), false);
        let inputs = request.inputs.resolved.iter().map(input_slot).collect();
        let (results, sent) = (Vec::new(), Vec::new());
        Self { machine, request, gas, gas_owner: None, inputs, results, sent }
    }

    /// Runs all commands.
    pub(super) fn run(mut self) -> Result<Leftovers, Failure> {
        self.machine
            .charge(self.request.read_cost)
            .map_err(|error| Failure { error: Box::new(error), command: None })?;
        let mut outputs = Vec::new();
        for (index, command) in self.request.transaction.commands.iter().enumerate() {
            let fail = |error| Failure { error: Box::new(error), command: Some(index as u64) };
            let (results, output) = self.command(command).map_err(fail)?;
            self.results.push(results);
            outputs.push(output);
        }
        let Self { machine, gas, gas_owner, inputs, results, sent, .. } = self;
        check_unused(&results, |tag| machine.abilities(tag).map(|abilities| abilities.drop))
            .map_err(|error| Failure { error: Box::new(error), command: None })?;
        Ok(Leftovers { gas, gas_owner, inputs, sent, outputs })
    }

    fn command(&mut self, command: &Command) -> Step<(Vec<Slot>, CommandOutputs)> {
        let results = match command {
            Command::MoveCall(call) => return self.move_call(call),
            Command::TransferObjects(transfer) => {
                self.transfer(transfer)?;
                Vec::new()
            }
            Command::SplitCoins(split) => self.split(split)?,
            Command::MergeCoins(merge) => {
                self.merge(merge)?;
                Vec::new()
            }
            Command::MakeMoveVector(make) => vec![self.make_vector(make)?],
            Command::Publish(publish) => {
                let (tag, bytes) = self.machine.publish(&publish.modules, &publish.dependencies)?;
                vec![self.result(tag, bytes)?]
            }
            Command::Upgrade(upgrade) => {
                let ticket_tag = super::upgrade::ticket_tag();
                let ticket = self.take(upgrade.ticket, &ticket_tag).map_err(at(0))?;
                let (tag, bytes) = self.machine.upgrade(upgrade, &ticket)?;
                vec![self.result(tag, bytes)?]
            }
            _ => return Err(ExecutionError::FeatureNotYetSupported),
        };
        let output = CommandOutputs { returned: returned(&results), mutated: Vec::new() };
        Ok((results, output))
    }

    fn move_call(&mut self, call: &MoveCall) -> Step<(Vec<Slot>, CommandOutputs)> {
        let signature = self.machine.signature(call)?;
        if signature.params.len() != call.arguments.len() {
            return Err(ExecutionError::ArityMismatch);
        }
        let mut arguments = Vec::with_capacity(call.arguments.len());
        let mut mutable = Vec::new();
        let mut borrowed = BTreeSet::new();
        let mut moved = BTreeSet::new();
        for (index, (argument, parameter)) in call.arguments.iter().zip(&signature.params).enumerate() {
            let place = self.place(*argument).map_err(at(index))?;
            let tag = &parameter.ty;
            let exclusive = parameter.passing == Passing::MutableReference;
            let by_value = parameter.passing == Passing::Value;
            let clash = mutable.iter().any(|(_, _, other)| *other == place)
                || (exclusive && borrowed.contains(&place))
                || (!by_value && moved.contains(&place));
            if clash {
                return Err(at(index)(CommandArgumentError::InvalidValueUsage));
            }
            arguments.push(if by_value {
                if borrowed.contains(&place) && !self.can_copy(place) {
                    return Err(at(index)(CommandArgumentError::InvalidValueUsage));
                }
                let bytes = self.take(*argument, tag).map_err(at(index))?;
                if !self.can_copy(place) {
                    moved.insert(place);
                }
                bytes
            } else {
                let bytes = self.borrow(place, tag, exclusive).map_err(at(index))?;
                if exclusive {
                    mutable.push((*argument, tag.clone(), place));
                } else {
                    borrowed.insert(place);
                }
                bytes
            });
        }
        let outcome = self.machine.call(call, &signature, &arguments)?;
        let mut output = CommandOutputs::default();
        for ((argument, tag, place), bytes) in mutable.into_iter().zip(outcome.mutated) {
            let copy = self.machine.abilities(&tag)?.copy;
            output.mutated.push((argument, tag.clone(), bytes.clone()));
            if let Some(slot) = self.slot(place) {
                slot.state = State::Value { tag, bytes, copy };
            }
        }
        let mut results = Vec::with_capacity(outcome.returned.len());
        for (tag, bytes) in outcome.returned {
            results.push(self.result(tag, bytes)?);
        }
        output.returned = returned(&results);
        Ok((results, output))
    }

    fn transfer(&mut self, transfer: &TransferObjects) -> Step<()> {
        let last = transfer.objects.len();
        let to = self.take(transfer.address, &TypeTag::Address).map_err(at(last))?;
        let to = Address::from_bytes(&to).map_err(|_| at(last)(CommandArgumentError::InvalidBcsBytes))?;
        for (index, argument) in transfer.objects.iter().enumerate() {
            let place = self.place(*argument).map_err(at(index))?;
            if place == Place::Gas {
                // The coin pays after the last command, so only its owner changes here.
                if self.gas_owner.replace(to).is_some() {
                    return Err(at(index)(CommandArgumentError::InvalidValueUsage));
                }
                continue;
            }
            let shared = matches!(self.slot(place).map(|slot| slot.origin), Some(Origin::Shared(_)));
            if shared {
                return Err(ExecutionError::ConsensusObjectOperationNotAllowed);
            }
            let (tag, bytes) = self.take_any(place).map_err(at(index))?;
            let abilities = self.machine.abilities(&tag)?;
            let TypeTag::Struct(type_) = tag else {
                return Err(at(index)(CommandArgumentError::InvalidTransferObject));
            };
            if !(abilities.key && abilities.store) {
                return Err(ExecutionError::InvalidTransferObject);
            }
            let id = object_id(&bytes).ok_or(ExecutionError::InvariantViolation)?;
            self.sent.push(Moved {
                id,
                owner: NewOwner::Address(to),
                type_: *type_,
                has_public_transfer: true,
                contents: bytes,
            });
        }
        Ok(())
    }

    fn split(&mut self, split: &SplitCoins) -> Step<Vec<Slot>> {
        let place = self.place(split.coin).map_err(at(0))?;
        let (tag, id, mut balance) = self.coin(place).map_err(at(0))?;
        let mut coins = Vec::with_capacity(split.amounts.len());
        for (index, argument) in split.amounts.iter().enumerate() {
            let bytes = self.take(*argument, &TypeTag::U64).map_err(at(index + 1))?;
            let amount = bytes
                .as_slice()
                .try_into()
                .map(u64::from_le_bytes)
                .map_err(|_| at(index + 1)(CommandArgumentError::InvalidBcsBytes))?;
            balance = balance.checked_sub(amount).ok_or(ExecutionError::InsufficientCoinBalance)?;
            let new = self.machine.fresh_id();
            coins.push(Slot::value(Origin::Result, tag.clone(), coin::contents(new, amount), false));
        }
        self.set_coin(place, tag, id, balance);
        Ok(coins)
    }

    fn merge(&mut self, merge: &MergeCoins) -> Step<()> {
        let place = self.place(merge.coin).map_err(at(0))?;
        let (tag, id, mut balance) = self.coin(place).map_err(at(0))?;
        for (index, argument) in merge.coins_to_merge.iter().enumerate() {
            if self.place(*argument).map_err(at(index + 1))? == place {
                return Err(at(index + 1)(CommandArgumentError::InvalidValueUsage));
            }
            let bytes = self.take(*argument, &tag).map_err(at(index + 1))?;
            let (Some(merged), Some(amount)) = (object_id(&bytes), coin::balance(&bytes)) else {
                return Err(at(index + 1)(CommandArgumentError::TypeMismatch));
            };
            balance = balance.checked_add(amount).ok_or(ExecutionError::CoinBalanceOverflow)?;
            self.machine.delete_id(merged);
        }
        self.set_coin(place, tag, id, balance);
        Ok(())
    }

    fn make_vector(&mut self, make: &MakeMoveVector) -> Step<Slot> {
        let mut element = make.type_.clone();
        let mut bytes = uleb(make.elements.len());
        for (index, argument) in make.elements.iter().enumerate() {
            let tag = match &element {
                Some(tag) => tag.clone(),
                None => {
                    let place = self.place(*argument).map_err(at(index))?;
                    let tag = self.slot(place).and_then(|slot| slot.tag().cloned());
                    let no_object = CommandArgumentError::InvalidMakeMoveVecNonObjectArgument;
                    let tag = tag.ok_or_else(|| at(index)(no_object.clone()))?;
                    if !self.machine.abilities(&tag)?.key {
                        return Err(at(index)(no_object));
                    }
                    tag
                }
            };
            bytes.extend(self.take(*argument, &tag).map_err(at(index))?);
            element = Some(tag);
        }
        let element = element.ok_or(ExecutionError::ArityMismatch)?;
        self.result(TypeTag::Vector(Box::new(element)), bytes)
    }

    fn result(&mut self, tag: TypeTag, bytes: Vec<u8>) -> Step<Slot> {
        let copy = self.machine.abilities(&tag)?.copy;
        Ok(Slot::value(Origin::Result, tag, bytes, copy))
    }

    /// The coin in a place that may be changed: type, identifier, balance.
    fn coin(&mut self, place: Place) -> ArgumentResult<(TypeTag, Address, u64)> {
        let slot = self.slot(place).ok_or(CommandArgumentError::InvalidValueUsage)?;
        slot.check_mutable()?;
        let (tag, bytes) = slot.read()?;
        if !coin::is_coin(tag) {
            return Err(CommandArgumentError::TypeMismatch);
        }
        let (id, balance) =
            object_id(bytes).zip(coin::balance(bytes)).ok_or(CommandArgumentError::TypeMismatch)?;
        Ok((tag.clone(), id, balance))
    }

    fn set_coin(&mut self, place: Place, tag: TypeTag, id: Address, balance: u64) {
        if let Some(slot) = self.slot(place) {
            let bytes = coin::contents(id, balance);
            slot.state = State::Value { tag, bytes, copy: false };
        }
    }

    /// Uses an argument by value as a `tag`.
    fn take(&mut self, argument: Argument, tag: &TypeTag) -> ArgumentResult<Vec<u8>> {
        let place = self.place(argument)?;
        if place == Place::Gas {
            return Err(CommandArgumentError::InvalidGasCoinUsage);
        }
        if let Some(Slot { state: State::Untyped(bytes), origin }) = self.slot(place) {
            let (bytes, origin) = (bytes.clone(), *origin);
            return self.read_untyped(origin, tag, bytes);
        }
        let slot = self.slot(place).ok_or(CommandArgumentError::InvalidValueUsage)?;
        if slot.tag().is_some_and(|found| found != tag) {
            return Err(CommandArgumentError::TypeMismatch);
        }
        self.take_any(place).map(|(_, bytes)| bytes)
    }

    fn take_any(&mut self, place: Place) -> ArgumentResult<(TypeTag, Vec<u8>)> {
        self.slot(place).ok_or(CommandArgumentError::InvalidValueUsage)?.take()
    }

    fn borrow(&mut self, place: Place, tag: &TypeTag, mutable: bool) -> ArgumentResult<Vec<u8>> {
        let slot = self.slot(place).ok_or(CommandArgumentError::InvalidValueUsage)?;
        if mutable {
            slot.check_mutable()?;
        }
        if let State::Untyped(bytes) = &slot.state {
            let (bytes, origin) = (bytes.clone(), slot.origin);
            return self.read_untyped(origin, tag, bytes);
        }
        let (found, bytes) = slot.read()?;
        if found == tag { Ok(bytes.to_vec()) } else { Err(CommandArgumentError::TypeMismatch) }
    }

    /// Checks that untyped bytes are a `tag`.
    fn read_untyped(&mut self, origin: Origin, tag: &TypeTag, bytes: Vec<u8>) -> ArgumentResult<Vec<u8>> {
        if origin == Origin::Receiving {
            return if super::machine::is_receiving(tag) {
                Ok(bytes)
            } else {
                Err(CommandArgumentError::TypeMismatch)
            };
        }
        super::pure::check(tag, &bytes)?;
        Ok(bytes)
    }

    fn can_copy(&mut self, place: Place) -> bool {
        match self.slot(place).map(|slot| &slot.state) {
            Some(State::Untyped(_)) => true,
            Some(State::Value { copy, .. }) => *copy,
            _ => false,
        }
    }

    fn place(&self, argument: Argument) -> ArgumentResult<Place> {
        match argument {
            Argument::Gas => Ok(Place::Gas),
            Argument::Input(index) => {
                let place = usize::from(index);
                if place < self.inputs.len() {
                    Ok(Place::Input(place))
                } else {
                    Err(CommandArgumentError::IndexOutOfBounds { index })
                }
            }
            Argument::Result(result) => match self.results.get(usize::from(result)) {
                None => Err(CommandArgumentError::IndexOutOfBounds { index: result }),
                Some(values) if values.len() == 1 => Ok(Place::Result(usize::from(result), 0)),
                Some(_) => Err(CommandArgumentError::InvalidResultArity { result }),
            },
            Argument::NestedResult(result, subresult) => {
                let values = self
                    .results
                    .get(usize::from(result))
                    .ok_or(CommandArgumentError::IndexOutOfBounds { index: result })?;
                if usize::from(subresult) < values.len() {
                    Ok(Place::Result(usize::from(result), usize::from(subresult)))
                } else {
                    Err(CommandArgumentError::SecondaryIndexOutOfBounds { result, subresult })
                }
            }
        }
    }

    fn slot(&mut self, place: Place) -> Option<&mut Slot> {
        match place {
            Place::Gas => Some(&mut self.gas),
            Place::Input(index) => self.inputs.get_mut(index),
            Place::Result(result, value) => self.results.get_mut(result)?.get_mut(value),
        }
    }
}

/// The identifier that an object's bytes start with.
pub(super) fn object_id(bytes: &[u8]) -> Option<Address> {
    bytes.first_chunk::<{ Address::LENGTH }>().map(|id| Address::new(*id))
}

fn input_slot(input: &ResolvedInput) -> Slot {
    let object = |origin, stored: &StoredObject| match stored.object().as_struct() {
        Some(structure) => {
            let tag = TypeTag::Struct(Box::new(structure.object_type().clone()));
            Slot::value(origin, tag, structure.contents().to_vec(), false)
        }
        None => Slot { origin, state: State::Taken },
    };
    match input {
        ResolvedInput::Pure(bytes) => Slot { origin: Origin::Pure, state: State::Untyped(bytes.clone()) },
        ResolvedInput::Owned(stored) => object(Origin::Owned(stored.object().object_id()), stored),
        ResolvedInput::Immutable(stored) => object(Origin::ReadOnly, stored),
        ResolvedInput::Shared { object: stored, mutable: false } => object(Origin::ReadOnly, stored),
        ResolvedInput::Shared { object: stored, mutable: true } => {
            object(Origin::Shared(stored.object().object_id()), stored)
        }
        ResolvedInput::Receiving(stored) => {
            let mut bytes = stored.object().object_id().as_bytes().to_vec();
            bytes.extend_from_slice(&stored.object().version().to_le_bytes());
            Slot { origin: Origin::Receiving, state: State::Untyped(bytes) }
        }
    }
}

fn returned(results: &[Slot]) -> Vec<(TypeTag, Vec<u8>)> {
    results
        .iter()
        .filter_map(|slot| slot.read().ok())
        .map(|(tag, bytes)| (tag.clone(), bytes.to_vec()))
        .collect()
}

fn uleb(mut length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
