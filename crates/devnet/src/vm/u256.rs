//! 256-bit integers.

/// Move's `u256`.
pub(crate) type U256 = bnum::types::U256;

/// From little-endian bytes, as in BCS.
pub(crate) fn from_le(bytes: [u8; 32]) -> U256 {
    let mut digits = [0u64; 4];
    for (digit, chunk) in digits.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *digit = u64::from_le_bytes(*chunk);
    }
    U256::from_digits(digits)
}

/// To little-endian bytes, as in BCS.
pub(crate) fn to_le(value: &U256) -> [u8; 32] {
    let mut bytes = [0u8; 32];
    for (chunk, digit) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(value.digits()) {
        *chunk = digit.to_le_bytes();
    }
    bytes
}

/// From big-endian bytes, as in addresses.
pub(crate) fn from_be(mut bytes: [u8; 32]) -> U256 {
    bytes.reverse();
    from_le(bytes)
}

/// To big-endian bytes, as in addresses.
pub(crate) fn to_be(value: &U256) -> [u8; 32] {
    let mut bytes = to_le(value);
    bytes.reverse();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_ordered_as_move_orders_them() {
        let mut bytes = [0; 32];
        bytes[0] = 5;
        bytes[31] = 0x80;
        let value = from_le(bytes);
        assert_eq!(value, U256::from(5u8) + (U256::ONE << 255));
        assert_eq!(to_le(&value), bytes);
        bytes.reverse();
        assert_eq!(from_be(bytes), value);
        assert_eq!(to_be(&value), bytes);
    }
}
