//! Objects: identifiers, ownership, events.

use super::super::codec;
use super::super::error::Resource;
use super::super::fault::{Fault, Step};
use super::super::gas;
use super::super::machine::{Machine, object_id};
use super::super::output::{EmittedEvent, NewOwner};
use super::super::types::Type;
use super::super::value::Value;

/// Abort code of `share_object` for an object that is neither new nor shared.
const SHARED_NON_NEW_OBJECT: u64 = 0;
/// Abort code of `receive` for an object of another type.
const RECEIVING_TYPE_MISMATCH: u64 = 2;
/// Abort code of `receive` for an object that is not there.
const UNABLE_TO_RECEIVE: u64 = 3;

const NO_TYPE: Fault = Fault::BadCode("a type argument is missing");

/// `0x2::object::borrow_uid<T>(&T): &UID`
pub(super) fn borrow_uid(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let reference = machine.pop_ref()?.part(0)?;
    machine.push(Value::Ref(reference))
}

/// `0x2::object::delete_impl(address)`
pub(super) fn delete(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let id = machine.pop_address()?;
    machine.objects.record_deleted(id);
    Ok(())
}

/// `0x2::object::record_new_uid(address)`
pub(super) fn record_new(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let id = machine.pop_address()?;
    machine.objects.check_room()?;
    machine.objects.record_new(id);
    Ok(())
}

/// `0x2::transfer::transfer_impl<T>(T, address)`
pub(super) fn transfer(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let to = machine.pop_address()?;
    let value = machine.pop()?;
    machine.give(types.first().ok_or(NO_TYPE)?, &value, NewOwner::Address(to))
}

/// `0x2::transfer::freeze_object_impl<T>(T)`
pub(super) fn freeze(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let value = machine.pop()?;
    machine.give(types.first().ok_or(NO_TYPE)?, &value, NewOwner::Immutable)
}

/// `0x2::transfer::share_object_impl<T>(T)`
pub(super) fn share(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let value = machine.pop()?;
    let id = object_id(&value)?;
    if !machine.objects.is_new(&id) && !machine.loader.backing.is_shared(id) {
        return Err(Fault::Abort(SHARED_NON_NEW_OBJECT));
    }
    machine.give(types.first().ok_or(NO_TYPE)?, &value, NewOwner::Shared)
}

/// `0x2::transfer::receive_impl<T>(parent: address, ID, version: u64): T`
pub(super) fn receive(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let version = machine.pop_u64()?;
    let id = object_id(&machine.pop()?)?;
    let parent = machine.pop_address()?;
    let (ty, value) = machine.receive(parent, id, version)?.ok_or(Fault::Abort(UNABLE_TO_RECEIVE))?;
    if ty != *types.first().ok_or(NO_TYPE)? {
        return Err(Fault::Abort(RECEIVING_TYPE_MISMATCH));
    }
    machine.meter.deduct(2 * ty.nodes() as u64 + gas::size(&value))?;
    machine.push(value)
}

/// `0x2::event::emit<T>(T)`
pub(super) fn emit(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let value = machine.pop()?;
    let tag_size = types.first().map_or(0, Type::tag_size);
    machine.meter.deduct(2 * gas::size(&value) + 5 * tag_size)?;
    let contents = codec::encode(&value, &mut machine.fuel)?;
    machine.meter.deduct(10 * contents.len() as u64)?;
    let ty = types.first().and_then(Type::struct_tag).ok_or(NO_TYPE)?;
    let (package, module) = machine.entry.clone().ok_or(Fault::OutOf(Resource::Events))?;
    let sender = machine.context.sender;
    machine.objects.emit(EmittedEvent { package, module, sender, ty, contents })
}
