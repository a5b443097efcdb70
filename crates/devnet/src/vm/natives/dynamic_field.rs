//! `0x2::dynamic_field`: objects that other objects own.

use sui_sdk_types::Address;

use super::super::codec;
use super::super::fault::{Fault, Step};
use super::super::gas;
use super::super::machine::{Machine, object_id};
use super::super::objects::ChildHandle;
use super::super::types::Type;
use super::super::value::{Ref, Root, Value};

/// Abort codes of the module.
const FIELD_ALREADY_EXISTS: u64 = 0;
const FIELD_DOES_NOT_EXIST: u64 = 1;
const FIELD_TYPE_MISMATCH: u64 = 2;

const NO_TYPE: Fault = Fault::BadCode("a type argument is missing");

/// `hash_type_and_key<K>(parent: address, K): address`
pub(super) fn hash_type_and_key(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let key = machine.pop()?;
    let parent = machine.pop_address()?;
    machine.meter.deduct(2 * (type_size(types) + tag_size(types) + gas::size(&key)))?;
    let key = codec::encode(&key, &mut machine.fuel)?;
    let tag = types.first().and_then(Type::tag).ok_or(NO_TYPE)?;
    let id = parent.derive_dynamic_child_id(&tag, &key);
    machine.push(Value::Address(id.into_inner()))
}

/// `add_child_object<T>(parent: address, T)`
pub(super) fn add(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let value = machine.pop()?;
    let parent = machine.pop_address()?;
    let id = object_id(&value)?;
    machine.meter.deduct(gas::size(&value) + 10 * (type_size(types) + tag_size(types)))?;
    if machine.child(parent, id)?.is_some() {
        return Err(Fault::Abort(FIELD_ALREADY_EXISTS));
    }
    machine.add_child(parent, types.first().ok_or(NO_TYPE)?, value)
}

/// `borrow_child_object<T>(&UID, address): &T` and `borrow_child_object_mut`
pub(super) fn borrow(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let id = machine.pop_address()?;
    let uid = machine.pop_ref()?;
    let parent = machine.id_at(&uid)?;
    machine.meter.deduct(10 * type_size(types))?;
    let child = find(machine, parent, id, types)?;
    let size = machine.slots.get(child.slot as usize).map_or(0, gas::size);
    machine.meter.deduct(size)?;
    machine.push(Value::Ref(Ref::new(Root::Slot(child.slot))))
}

/// `remove_child_object<T>(parent: address, address): T`
pub(super) fn remove(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let id = machine.pop_address()?;
    let parent = machine.pop_address()?;
    find(machine, parent, id, types)?;
    let value = machine.remove_child(id)?;
    machine.meter.deduct(2 * type_size(types) + gas::size(&value))?;
    machine.push(value)
}

/// `has_child_object(parent: address, address): bool`
pub(super) fn has(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let id = machine.pop_address()?;
    let parent = machine.pop_address()?;
    let found = machine.child(parent, id)?.is_some();
    machine.push(Value::Bool(found))
}

/// `has_child_object_with_ty<T>(parent: address, address): bool`
pub(super) fn has_with_type(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    let id = machine.pop_address()?;
    let parent = machine.pop_address()?;
    machine.meter.deduct(2 * (type_size(types) + tag_size(types)))?;
    let child = machine.child(parent, id)?;
    let ty = types.first().ok_or(NO_TYPE)?;
    machine.push(Value::Bool(child.is_some_and(|child| child.ty == *ty)))
}

/// Size of the type argument.
fn type_size(types: &[Type]) -> u64 {
    types.first().map_or(0, |ty| ty.nodes() as u64)
}

/// Size of its name, approximately.
fn tag_size(types: &[Type]) -> u64 {
    types.first().map_or(0, Type::tag_size)
}

fn find(machine: &mut Machine<'_>, parent: Address, id: Address, types: &[Type]) -> Step<ChildHandle> {
    let child = machine.child(parent, id)?.ok_or(Fault::Abort(FIELD_DOES_NOT_EXIST))?;
    if child.ty == *types.first().ok_or(NO_TYPE)? {
        Ok(child)
    } else {
        Err(Fault::Abort(FIELD_TYPE_MISMATCH))
    }
}
