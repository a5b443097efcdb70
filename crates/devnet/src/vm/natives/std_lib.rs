//! Encoding, strings and addresses.

use super::super::codec;
use super::super::fault::{Fault, Step};
use super::super::machine::{Machine, resolve};
use super::super::types::Type;
use super::super::u256;
use super::super::value::{Place, Value, bytes_cost};

/// Abort code of `address::from_bytes` for bytes that are no address.
const ADDRESS_PARSE_ERROR: u64 = 0;

const WRONG_TYPE: Fault = Fault::BadCode("an operand of the wrong type");

/// `0x1::bcs::to_bytes<T>(&T): vector<u8>`
pub(super) fn to_bytes(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let reference = machine.pop_ref()?;
    let bytes = match resolve(&machine.locals, &machine.slots, &reference)? {
        Place::Value(value) => codec::encode(value, &mut machine.fuel)?,
        Place::Byte(byte) => vec![byte],
    };
    machine.meter.deduct(2 * bytes.len().max(1) as u64)?;
    machine.push(Value::Bytes(bytes))
}

/// `0x1::debug::print<T>(&T)`, which prints nothing on a chain.
pub(super) fn print(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.pop_ref().map(drop)
}

/// `0x1::debug::print_stack_trace()`, likewise.
pub(super) fn print_stack_trace(_: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    Ok(())
}

/// The string referred to, which the caller knows to be UTF-8.
fn text<'m>(machine: &'m Machine<'_>, reference: &super::super::value::Ref) -> Step<&'m str> {
    std::str::from_utf8(machine.bytes_at(reference)?).map_err(|_| Fault::BadCode("a string is not UTF-8"))
}

/// `0x1::string::internal_check_utf8(&vector<u8>): bool`
pub(super) fn check_utf8(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let reference = machine.pop_ref()?;
    let bytes = machine.bytes_at(&reference)?;
    let (length, ok) = (bytes.len(), std::str::from_utf8(bytes).is_ok());
    machine.spend(bytes_cost(length))?;
    machine.meter.deduct(2 * length as u64)?;
    machine.push(Value::Bool(ok))
}

/// `0x1::string::internal_is_char_boundary(&vector<u8>, u64): bool`
pub(super) fn is_char_boundary(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let index = machine.pop_u64()?;
    let reference = machine.pop_ref()?;
    let text = text(machine, &reference)?;
    let (cost, ok) =
        (bytes_cost(text.len()), usize::try_from(index).is_ok_and(|index| text.is_char_boundary(index)));
    machine.spend(cost)?;
    machine.push(Value::Bool(ok))
}

/// `0x1::string::internal_sub_string(&vector<u8>, u64, u64): vector<u8>`
pub(super) fn sub_string(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let (end, start) = (machine.pop_u64()?, machine.pop_u64()?);
    let reference = machine.pop_ref()?;
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let bytes = range.and_then(|(start, end)| machine.bytes_at(&reference).ok()?.get(start..end));
    let bytes = bytes.ok_or(WRONG_TYPE)?.to_vec();
    machine.spend(bytes_cost(bytes.len()))?;
    machine.meter.deduct(2 * bytes.len() as u64)?;
    machine.push(Value::Bytes(bytes))
}

/// `0x1::string::internal_index_of(&vector<u8>, &vector<u8>): u64`: the length if there is none.
pub(super) fn index_of(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let needle = machine.pop_ref()?;
    let hay = machine.pop_ref()?;
    let (hay, needle) = (text(machine, &hay)?, text(machine, &needle)?);
    let (length, index) = (hay.len() + needle.len(), hay.find(needle).unwrap_or(hay.len()));
    machine.spend(bytes_cost(length))?;
    machine.meter.deduct(2 * length as u64)?;
    machine.push(Value::U64(index as u64))
}

/// `0x2::address::to_u256(address): u256`
pub(super) fn address_to_u256(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let address = machine.pop_address()?;
    machine.push(Value::U256(u256::from_be(address.into_inner())))
}

/// `0x2::address::from_u256(u256): address`
pub(super) fn address_from_u256(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let Value::U256(value) = machine.pop()? else { return Err(WRONG_TYPE) };
    machine.push(Value::Address(u256::to_be(&value)))
}

/// `0x2::address::from_bytes(vector<u8>): address`
pub(super) fn address_from_bytes(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let bytes = machine.pop_bytes()?;
    let address = <[u8; 32]>::try_from(bytes).map_err(|_| Fault::Abort(ADDRESS_PARSE_ERROR))?;
    machine.push(Value::Address(address))
}
