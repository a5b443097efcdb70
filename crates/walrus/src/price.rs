use crate::encoding::{Encoding, EncodingError};

/// What storing costs, in FROST (1 WAL = 1,000,000,000 FROST). The network's price of the day is in Walrus's system
/// object on Sui and is voted on every epoch; the amount that a publisher really paid is in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// For each started MiB of encoded size, each epoch.
    pub storage: u64,
    /// For each started MiB of encoded size, once.
    pub write: u64,
}

const MIB: u64 = 1 << 20;

impl Price {
    /// What a blob of `length` bytes costs for `epochs`, in FROST.
    ///
    /// # Errors
    /// [`EncodingError::TooLarge`].
    pub fn of(&self, encoding: &Encoding, length: u64, epochs: u32) -> Result<u128, EncodingError> {
        let units = u128::from(encoding.encoded_length(length)?.div_ceil(MIB));
        Ok(units * (u128::from(self.storage) * u128::from(epochs) + u128::from(self.write)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_blobs_cost_what_63_mib_cost() {
        let price = Price { storage: 1_000, write: 20_000 };
        let encoding = Encoding::default();
        assert_eq!(price.of(&encoding, 0, 1), Ok(63 * 21_000));
        assert_eq!(price.of(&encoding, 445_556, 1), Ok(63 * 21_000));
        assert_eq!(price.of(&encoding, 445_557, 1), Ok(65 * 21_000));
        assert_eq!(price.of(&encoding, 1, 53), Ok(63 * 73_000));
    }
}
