//! `0x1::vector`. Compiled code has instructions for these; they are called only by name.

use super::super::error::Primitive;
use super::super::fault::{Fault, Step};
use super::super::machine::Machine;
use super::super::types::Type;
use super::super::value::{Children, Value};

const WRONG_TYPE: Fault = Fault::BadCode("an operand of the wrong type");

fn len(machine: &Machine<'_>, reference: &super::super::value::Ref) -> Step<usize> {
    match machine.value_at(reference)? {
        Value::Bytes(bytes) => Ok(bytes.len()),
        Value::Vector(values) => Ok(values.0.len()),
        _ => Err(WRONG_TYPE),
    }
}

fn position(length: usize, index: u64) -> Step<usize> {
    let index = usize::try_from(index).ok().filter(|&index| index < length);
    index.ok_or(Fault::Primitive(Primitive::IndexOutOfBounds))
}

/// `empty<T>(): vector<T>`
pub(super) fn empty(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    machine.push(match types {
        [Type::U8] => Value::Bytes(Vec::new()),
        _ => Value::Vector(Children::default()),
    })
}

/// `length<T>(&vector<T>): u64`
pub(super) fn length(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let reference = machine.pop_ref()?;
    let length = len(machine, &reference)?;
    machine.push(Value::U64(length as u64))
}

/// `borrow<T>(&vector<T>, u64): &T` and `borrow_mut`
pub(super) fn borrow(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let index = machine.pop_u64()?;
    let reference = machine.pop_ref()?;
    let index = position(len(machine, &reference)?, index)?;
    let index = u32::try_from(index).map_err(|_| WRONG_TYPE)?;
    machine.push(Value::Ref(reference.part(index)?))
}

/// `push_back<T>(&mut vector<T>, T)`
pub(super) fn push_back(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let value = machine.pop()?;
    let reference = machine.pop_ref()?;
    match (machine.value_at_mut(&reference)?, value) {
        (Value::Bytes(bytes), Value::U8(byte)) => bytes.push(byte),
        (Value::Vector(values), value) => values.0.push(value),
        _ => return Err(WRONG_TYPE),
    }
    Ok(())
}

/// `pop_back<T>(&mut vector<T>): T`
pub(super) fn pop_back(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let reference = machine.pop_ref()?;
    let last = match machine.value_at_mut(&reference)? {
        Value::Bytes(bytes) => bytes.pop().map(Value::U8),
        Value::Vector(values) => values.0.pop(),
        _ => return Err(WRONG_TYPE),
    };
    machine.push(last.ok_or(Fault::Primitive(Primitive::EmptyVector))?)
}

/// `destroy_empty<T>(vector<T>)`
pub(super) fn destroy_empty(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let empty = match machine.pop()? {
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Vector(values) => values.0.is_empty(),
        _ => return Err(WRONG_TYPE),
    };
    if empty { Ok(()) } else { Err(Fault::Primitive(Primitive::VectorLength)) }
}

/// `swap<T>(&mut vector<T>, u64, u64)`
pub(super) fn swap(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let (b, a) = (machine.pop_u64()?, machine.pop_u64()?);
    let reference = machine.pop_ref()?;
    let length = len(machine, &reference)?;
    let (a, b) = (position(length, a)?, position(length, b)?);
    match machine.value_at_mut(&reference)? {
        Value::Bytes(bytes) => bytes.swap(a, b),
        Value::Vector(values) => values.0.swap(a, b),
        _ => return Err(WRONG_TYPE),
    }
    Ok(())
}
