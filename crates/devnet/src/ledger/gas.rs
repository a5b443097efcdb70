//! What execution costs.
//!
//! The schedule is Sui's as its public protocol configuration states it (version 120): computation in
//! units, rounded up to whole thousands and bought at the gas price; storage at 76 MIST for each of 100
//! units a byte, of which 99 % come back when the byte is freed. What bytecode and native functions use
//! is counted in the interpreter (`vm::gas`). `docs/gas.md` says where this departs from a validator.

use sui_sdk_types::{Address, GasCostSummary, MovePackage, Object, ObjectData, StructTag, TypeTag};

use crate::vm::INTERNAL_PER_UNIT;

/// MIST per unit of computation: the reference gas price of this chain.
pub const REFERENCE_GAS_PRICE: u64 = 1_000;
/// The highest gas price accepted.
pub const MAX_GAS_PRICE: u64 = 50_000_000_000;
/// The smallest budget accepted, in units of computation at the transaction's own gas price.
pub const MIN_BUDGET_UNITS: u64 = 1_000;
/// The largest budget accepted, in MIST.
pub const MAX_BUDGET: u64 = 50_000_000_000_000;

/// Most units of computation that a transaction may use.
const MAX_UNITS: u64 = 5_000_000;
/// Units of computation are rounded up to a multiple of this.
const ROUNDING_STEP: u64 = 1_000;
/// Internal units for each byte of an object that a transaction names.
const READ_PER_BYTE: u64 = 15;
/// Internal units for each byte of a package that is published.
const PUBLISH_PER_BYTE: u64 = 80;
/// MIST per byte of stored object: 100 units of storage at 76 MIST.
const STORAGE_MIST_PER_BYTE: u64 = 100 * 76;
/// Share of a storage rebate that comes back, in basis points.
const REBATE_BPS: u128 = 9_900;
const BPS: u128 = 10_000;

/// Bytes of owner, previous transaction and rebate, which every object has.
const METADATA: usize = 40 + 32 + 8;
/// Bytes of version and "may be transferred by anybody", which every Move object has.
const VERSION_AND_TRANSFER: usize = 8 + 1;

/// Most instructions that any transaction may execute, whatever it pays: about a second's work. Beyond
/// the price of that many Sui's schedule hardly lets anybody go.
pub const MAX_INSTRUCTIONS: u64 = 50_000_000;

/// Internal units that a transaction with this budget and price may use.
pub fn limit(budget: u64, price: u64) -> u64 {
    (budget / price.max(1)).min(MAX_UNITS) * INTERNAL_PER_UNIT
}

/// Internal units for reading objects of `bytes` bytes together.
pub fn read_cost(bytes: usize) -> u64 {
    READ_PER_BYTE.saturating_mul(bytes as u64)
}

/// Internal units for publishing modules of `bytes` bytes together.
pub fn publish_cost(bytes: usize) -> u64 {
    PUBLISH_PER_BYTE.saturating_mul(bytes as u64)
}

/// MIST for the computation of one transaction that used `internal` units; `None` if that is more than
/// its budget leaves room for.
pub fn computation_cost(internal: u64, price: u64, budget: u64) -> Option<u64> {
    let units = (internal / INTERNAL_PER_UNIT).max(1).div_ceil(ROUNDING_STEP) * ROUNDING_STEP;
    Some(units.saturating_mul(price)).filter(|cost| *cost < budget)
}

/// MIST locked up for storing an object of `bytes` bytes.
pub fn storage_cost(bytes: usize) -> u64 {
    (bytes as u64).saturating_mul(STORAGE_MIST_PER_BYTE)
}

/// Size of an object, as storage is charged for.
pub fn object_size(object: &Object) -> usize {
    match object.data() {
        ObjectData::Struct(object) => struct_size(object.object_type(), object.contents().len()),
        ObjectData::Package(package) => package_size(package),
    }
}

/// Size of an object of a type whose bytes are `contents` long.
pub fn struct_size(type_: &StructTag, contents: usize) -> usize {
    METADATA + VERSION_AND_TRANSFER + type_size(type_) + contents
}

/// Size of a package.
pub fn package_size(package: &MovePackage) -> usize {
    const ID: usize = Address::LENGTH;
    let modules = package.modules.iter().map(|(name, bytes)| name.as_str().len() + bytes.len());
    let origins = package.type_origin_table.iter();
    let origins =
        origins.map(|origin| origin.module_name.as_str().len() + origin.struct_name.as_str().len() + ID);
    // Each link names two packages and a version.
    let links = package.linkage_table.len() * (ID + ID + 8);
    METADATA + 8 + modules.sum::<usize>() + origins.sum::<usize>() + links
}

/// Bytes of a type as objects keep it: coins and SUI have short forms.
fn type_size(type_: &StructTag) -> usize {
    let written = |size: bcs::Result<usize>| size.unwrap_or(0);
    match type_.is_coin() {
        Some(TypeTag::Struct(money)) if **money == StructTag::sui() => 1,
        Some(money) => 1 + written(bcs::serialized_size(money)),
        None => 1 + written(bcs::serialized_size(type_)),
    }
}

/// The gas summary of a transaction that paid `computation` and `storage`, and freed objects in
/// which `freed` MIST were locked up.
pub fn summary(computation: u64, storage: u64, freed: u64) -> GasCostSummary {
    let back = ((u128::from(freed) * REBATE_BPS + BPS / 2) / BPS) as u64;
    GasCostSummary::new(computation, storage, back, freed - back)
}

/// Whether a budget pays for what storage costs more than it frees, besides the computation.
pub fn affordable(summary: &GasCostSummary, budget: u64) -> bool {
    let left = budget.saturating_sub(summary.computation_cost);
    summary.storage_cost.saturating_sub(summary.storage_rebate) <= left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn computation_is_rounded_up_to_thousands() {
        let cost = |units: u64| computation_cost(units * INTERNAL_PER_UNIT, 1, u64::MAX);
        for (units, rounded) in
            [(0, 1_000), (1, 1_000), (1_000, 1_000), (1_001, 2_000), (5_000_000, 5_000_000)]
        {
            assert_eq!(cost(units), Some(rounded));
        }
        assert_eq!(computation_cost(0, 1, 1_001), Some(1_000));
        assert_eq!(computation_cost(0, 1, 1_000), None, "nothing would be left for storage");
    }

    #[test]
    fn freed_storage_is_split_without_loss() {
        for freed in [0, 1, 49, 50, 99, 100, 101, 988_000, u64::MAX] {
            let summary = summary(0, 0, freed);
            assert_eq!(summary.storage_rebate + summary.non_refundable_storage_fee, freed);
        }
        assert_eq!(summary(0, 0, 988_000).storage_rebate, 978_120, "what a coin gives back on Sui");
    }

    #[test]
    fn a_coin_of_sui_costs_what_it_costs_on_sui() {
        assert_eq!(storage_cost(struct_size(&StructTag::gas_coin(), 40)), 988_000);
    }
}
