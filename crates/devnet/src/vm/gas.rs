//! What running bytecode costs, in Sui's internal units: thousandths of a unit of computation.
//!
//! The schedule is Sui's, as its public protocol configuration states it (gas model 11, protocol
//! version 120): every instruction costs one for itself, one for each value it pushes and one for each
//! byte of what it pushes; each of the three is multiplied by a factor that grows with how much the
//! transaction has used. Native functions cost what [`natives`](super::natives) says.
//!
//! Sizes of *types*, which a few native functions are charged by, are approximate.

use super::error::Resource;
use super::fault::{Fault, Step};
use super::value::Value;

/// Internal units in a unit of computation.
pub const INTERNAL_PER_UNIT: u64 = 1_000;

/// Size of a reference, in bytes.
pub(crate) const REFERENCE: u64 = 8;
/// Size of a struct besides its fields.
pub(crate) const STRUCT: u64 = 2;
/// Size of a vector that is packed, besides its elements.
pub(crate) const VECTOR: u64 = 8;
/// Size of a number of up to 64 bits.
pub(crate) const BYTE: u64 = 8;
/// Size of a vector that is copied, besides its elements.
const COPIED_VECTOR: u64 = 2;

/// From how many on, and how dear each is then.
type Tiers = &'static [(u64, u64)];

const INSTRUCTIONS: Tiers =
    &[(0, 1), (20_000, 2), (50_000, 10), (100_000, 50), (200_000, 100), (10_000_000, 1_000)];
const HEIGHT: Tiers = &[(0, 1), (1_000, 2), (10_000, 10)];
const SIZE: Tiers = &[(0, 1), (100_000, 2), (500_000, 5), (1_000_000, 100), (100_000_000, 1_000)];

/// What a transaction has used so far.
#[derive(Debug)]
pub(crate) struct Meter {
    used: u64,
    limit: u64,
    instructions: Tiered,
    height: Tiered,
    size: Tiered,
}

#[derive(Debug)]
struct Tiered {
    tiers: Tiers,
    count: u64,
    factor: u64,
}

impl Tiered {
    fn new(tiers: Tiers) -> Self {
        Self { tiers, count: 0, factor: 1 }
    }

    fn add(&mut self, more: u64) {
        self.count = self.count.saturating_add(more);
        while let [(_, _), (start, factor), ..] = *self.tiers {
            if self.count <= start {
                break;
            }
            self.factor = factor;
            self.tiers = &self.tiers[1..];
        }
    }
}

impl Meter {
    pub(crate) fn new(limit: u64) -> Self {
        let (instructions, height, size) =
            (Tiered::new(INSTRUCTIONS), Tiered::new(HEIGHT), Tiered::new(SIZE));
        Self { used: 0, limit, instructions, height, size }
    }

    /// Internal units used so far; at most the limit.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Charges for instructions that push `pushes` values of `size` bytes together, and then pop `pops`.
    pub(crate) fn charge(&mut self, instructions: u64, pushes: u64, pops: u64, size: u64) -> Step<()> {
        self.height.add(pushes);
        self.instructions.add(instructions);
        self.size.add(size);
        let cost = (self.instructions.factor * instructions)
            .saturating_add(self.size.factor.saturating_mul(size))
            .saturating_add(self.height.factor.saturating_mul(pushes));
        self.deduct(cost)?;
        self.height.count = self.height.count.saturating_sub(pops);
        Ok(())
    }

    /// Charges a fixed amount.
    pub(crate) fn deduct(&mut self, cost: u64) -> Step<()> {
        match self.used.checked_add(cost).filter(|used| *used <= self.limit) {
            Some(used) => {
                self.used = used;
                Ok(())
            }
            None => {
                self.used = self.limit;
                Err(Fault::OutOf(Resource::Gas))
            }
        }
    }
}

/// Bytes that a value counts for.
pub(crate) fn size(value: &Value) -> u64 {
    /// Deeper values cannot be made by code that was compiled; what they hold is not counted.
    const MAX_DEPTH: usize = super::value::MAX_DEPTH;
    fn all(values: &[Value], depth: usize) -> u64 {
        if depth > MAX_DEPTH { 0 } else { values.iter().map(|value| size_at(value, depth)).sum() }
    }
    fn size_at(value: &Value, depth: usize) -> u64 {
        match value {
            Value::Gone => 0,
            Value::Bool(_) | Value::U8(_) | Value::U16(_) | Value::U32(_) | Value::U64(_) => BYTE,
            Value::U128(..) => 16,
            Value::U256(_) | Value::Address(_) => 32,
            Value::Ref(_) => REFERENCE,
            Value::Bytes(bytes) => COPIED_VECTOR + bytes.len() as u64,
            Value::Vector(values) => COPIED_VECTOR + all(&values.0, depth + 1),
            Value::Struct(values) => STRUCT + all(&values.0, depth + 1),
            Value::Variant(variant) => STRUCT + all(&variant.fields.0, depth + 1),
        }
    }
    size_at(value, 0)
}

/// Bytes of a constant in its module, about.
pub(crate) fn constant_size(value: &Value) -> u64 {
    match value {
        Value::Bytes(bytes) => 1 + bytes.len() as u64,
        Value::Vector(values) => 1 + values.0.iter().map(constant_size).sum::<u64>(),
        other => size(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_is_executed_the_dearer_it_is() {
        let mut meter = Meter::new(u64::MAX);
        let mut spent = |times: u64| {
            let before = meter.used();
            (0..times).for_each(|_| meter.charge(1, 0, 0, 0).expect("no limit"));
            meter.used() - before
        };
        assert_eq!(spent(20_000), 20_000);
        assert_eq!(spent(30_000), 60_000);
        assert_eq!(spent(1), 10);
    }

    #[test]
    fn popped_values_do_not_count_for_the_height() {
        let mut meter = Meter::new(u64::MAX);
        for _ in 0..5_000 {
            meter.charge(0, 1, 1, 0).expect("no limit");
        }
        assert_eq!(meter.used(), 5_000);
    }

    #[test]
    fn the_limit_can_be_used_up_but_not_passed() {
        let mut meter = Meter::new(10);
        meter.deduct(10).expect("as much as there is");
        assert!(matches!(meter.deduct(1), Err(Fault::OutOf(Resource::Gas))));
        assert_eq!(meter.used(), 10);
        let mut meter = Meter::new(10);
        assert!(meter.charge(1, 1, 0, 9).is_err());
        assert_eq!(meter.used(), 10);
    }
}
