//! Names of types, and one-time witnesses.

use std::fmt::Write;

use sui_sdk_types::Address;

use super::super::fault::{Fault, Step};
use super::super::machine::Machine;
use super::super::types::{Datatype, Type};
use super::super::value::{Value, bytes_cost};

/// Abort code of `defining_id` and `original_id` for types that no module defines.
const NON_MODULE_TYPE: u64 = 0;

const NO_TYPE: Fault = Fault::BadCode("a type without a name");

/// Which address stands for a datatype's package.
type PackageOf = fn(&Datatype) -> Address;

fn defining(datatype: &Datatype) -> Address {
    datatype.origin
}

fn original(datatype: &Datatype) -> Address {
    datatype.original
}

/// The type as Move writes it: full addresses without `0x`, no spaces.
fn write(ty: &Type, package: PackageOf, out: &mut String) -> Step<()> {
    let end = match ty {
        Type::Bool => "bool",
        Type::U8 => "u8",
        Type::U16 => "u16",
        Type::U32 => "u32",
        Type::U64 => "u64",
        Type::U128 => "u128",
        Type::U256 => "u256",
        Type::Address => "address",
        Type::Signer => "signer",
        Type::Param(_) | Type::Reference(_) | Type::MutableReference(_) => return Err(NO_TYPE),
        Type::Vector(of) => {
            out.push_str("vector<");
            write(&of.ty, package, out)?;
            ">"
        }
        Type::Datatype(instance) => {
            let Datatype { module, name, .. } = &*instance.datatype;
            let address = hex::encode(package(&instance.datatype).as_bytes());
            write!(out, "{address}::{}::{}", module.as_str(), name.as_str()).map_err(|_| NO_TYPE)?;
            for (index, arg) in instance.args.iter().enumerate() {
                out.push(if index == 0 { '<' } else { ',' });
                write(arg, package, out)?;
            }
            if instance.args.is_empty() { "" } else { ">" }
        }
    };
    out.push_str(end);
    Ok(())
}

fn name(machine: &mut Machine<'_>, types: &[Type], package: PackageOf) -> Step<()> {
    let mut out = String::new();
    write(types.first().ok_or(NO_TYPE)?, package, &mut out)?;
    machine.spend(bytes_cost(out.len()))?;
    machine.meter.deduct(2 * out.len() as u64)?;
    let ascii = Value::string(out.into_bytes());
    machine.push(Value::Struct(vec![ascii].into()))
}

fn id(machine: &mut Machine<'_>, types: &[Type], package: PackageOf) -> Step<()> {
    let datatype = types.first().and_then(Type::as_datatype).ok_or(Fault::Abort(NON_MODULE_TYPE))?;
    machine.push(Value::Address(package(datatype).into_inner()))
}

/// `0x1::type_name::with_defining_ids<T>(): TypeName`
pub(super) fn with_defining_ids(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    name(machine, types, defining)
}

/// `0x1::type_name::with_original_ids<T>(): TypeName`
pub(super) fn with_original_ids(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    name(machine, types, original)
}

/// `0x1::type_name::defining_id<T>(): address`
pub(super) fn defining_id(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    id(machine, types, defining)
}

/// `0x1::type_name::original_id<T>(): address`
pub(super) fn original_id(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    id(machine, types, original)
}

/// `0x2::types::is_one_time_witness<T>(&T): bool`: a struct named like its module in capitals, with
/// one field, a bool.
pub(super) fn is_one_time_witness(machine: &mut Machine<'_>, types: &[Type]) -> Step<()> {
    machine.pop_ref()?;
    let witness = types.first().and_then(Type::as_datatype).is_some_and(names_witness);
    machine.push(Value::Bool(witness))
}

/// Whether a datatype is its module's one-time witness.
pub(crate) fn names_witness(datatype: &Datatype) -> bool {
    datatype.name.as_str() == datatype.module.as_str().to_ascii_uppercase()
        && !datatype.is_enum
        && datatype.params.is_empty()
        && matches!(datatype.variants(), [fields] if *fields == [Type::Bool])
}
