//! What execution costs here.
//!
//! This is a schedule of our own. It has Sui's shape (computation at the gas price, storage per
//! byte, a rebate when storage is freed) so that clients, budgets and refunds behave, but its
//! amounts are not Sui's and must not be used to estimate a fee on a public network.

use sui_sdk_types::GasCostSummary;

/// MIST per unit of computation: the reference gas price of this chain.
pub const REFERENCE_GAS_PRICE: u64 = 1_000;
/// The highest gas price accepted.
pub const MAX_GAS_PRICE: u64 = 100_000;
/// The smallest budget accepted, in units of computation at the transaction's own gas price.
pub const MIN_BUDGET_UNITS: u64 = BASE_UNITS;
/// The largest budget accepted, in MIST.
pub const MAX_BUDGET: u64 = 50_000_000_000;

/// Units every transaction costs.
const BASE_UNITS: u64 = 1_000;
/// Bytecode instructions per further unit.
const INSTRUCTIONS_PER_UNIT: u64 = 100;
/// MIST per byte of stored object.
const STORAGE_MIST_PER_BYTE: u64 = 7_600;
/// Share of a storage rebate that is kept, in basis points.
const NON_REFUNDABLE_BPS: u64 = 100;

/// Most instructions that any transaction may execute: about a second's work.
const MAX_INSTRUCTIONS: u64 = 50_000_000;

/// Most instructions that a transaction with this budget and price may execute.
pub fn instruction_limit(budget: u64, price: u64) -> u64 {
    let units = budget / price.max(1);
    let paid = units.saturating_sub(BASE_UNITS).saturating_add(1).saturating_mul(INSTRUCTIONS_PER_UNIT);
    paid.min(MAX_INSTRUCTIONS)
}

/// MIST for the computation of one transaction.
pub fn computation_cost(instructions: u64, price: u64) -> u64 {
    (BASE_UNITS + instructions / INSTRUCTIONS_PER_UNIT).saturating_mul(price)
}

/// MIST locked up for storing an object of `bytes` bytes.
pub fn storage_cost(bytes: usize) -> u64 {
    (bytes as u64).saturating_mul(STORAGE_MIST_PER_BYTE)
}

/// The gas summary of a transaction that paid `computation` and `storage`, and freed objects in
/// which `freed` MIST were locked up.
pub fn summary(computation: u64, storage: u64, freed: u64) -> GasCostSummary {
    let kept = (u128::from(freed) * u128::from(NON_REFUNDABLE_BPS)).div_ceil(10_000) as u64;
    GasCostSummary::new(computation, storage, freed - kept, kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_budget_is_what_the_budget_pays_for() {
        for budget in [1_000_000, 1_000_999, 5_000_000] {
            let limit = instruction_limit(budget, REFERENCE_GAS_PRICE);
            assert!(computation_cost(limit - 1, REFERENCE_GAS_PRICE) <= budget);
            assert!(computation_cost(limit, REFERENCE_GAS_PRICE) > budget);
        }
    }

    #[test]
    fn freed_storage_is_split_without_loss() {
        for freed in [0, 1, 99, 100, 101, u64::MAX] {
            let summary = summary(0, 0, freed);
            assert_eq!(summary.storage_rebate + summary.non_refundable_storage_fee, freed);
        }
    }
}
