//! `0x2::tx_context`.

use super::super::fault::Step;
use super::super::machine::Machine;
use super::super::objects;
use super::super::types::Type;
use super::super::value::{Children, Value};

/// `native_sender(): address`
pub(super) fn sender(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.push(Value::Address(machine.context.sender.into_inner()))
}

/// `native_epoch(): u64`
pub(super) fn epoch(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.push(Value::U64(machine.context.epoch))
}

/// `native_epoch_timestamp_ms(): u64`
pub(super) fn epoch_timestamp_ms(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.push(Value::U64(machine.context.epoch_timestamp_ms))
}

/// `native_rgp(): u64`
pub(super) fn reference_gas_price(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.push(Value::U64(machine.context.reference_gas_price))
}

/// `native_gas_price(): u64`
pub(super) fn gas_price(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.push(Value::U64(machine.context.gas_price))
}

/// `native_gas_budget(): u64`
pub(super) fn gas_budget(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.push(Value::U64(machine.context.gas_budget))
}

/// `native_ids_created(): u64`
pub(super) fn ids_created(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.push(Value::U64(machine.objects.ids_created()))
}

/// `native_sponsor(): vector<address>`: none or one.
pub(super) fn sponsor(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let sponsor = machine.context.sponsor.map(|sponsor| Value::Address(sponsor.into_inner()));
    machine.push(Value::Vector(Children(sponsor.into_iter().collect())))
}

/// `fresh_id(): address`
pub(super) fn fresh_id(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    machine.objects.check_room()?;
    let id = machine.objects.fresh_id(&machine.context.digest);
    machine.push(Value::Address(id.into_inner()))
}

/// `derive_id(tx_hash: vector<u8>, ids_created: u64): address`
pub(super) fn derive_id(machine: &mut Machine<'_>, _: &[Type]) -> Step<()> {
    let index = machine.pop_u64()?;
    let digest = machine.pop_bytes()?;
    machine.push(Value::Address(objects::derive_id(&digest, index).into_inner()))
}
