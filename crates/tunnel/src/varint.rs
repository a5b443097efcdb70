//! Signed integers as Go's `encoding/binary` writes them: zigzag, then seven bits a byte, lowest first.

/// The longest varint, bytes.
const MAX_BYTES: usize = 10;

/// Appends `value`.
pub(crate) fn put(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Takes one from the front of `input`; `None` when it is cut off or does not fit 64 bits.
pub(crate) fn take(input: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for (at, byte) in input.iter().copied().enumerate().take(MAX_BYTES) {
        if at == MAX_BYTES - 1 && byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            *input = &input[at + 1..];
            return Some((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn is_gos_encoding() {
        // From the documentation of encoding/binary and of protocol buffers' sint64.
        for (value, bytes) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (63, &[0x7e]),
            (-64, &[0x7f]),
            (64, &[0x80, 1]),
            (15_000, &[0xb0, 0xea, 1]),
            (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]),
        ] {
            let mut out = Vec::new();
            put(&mut out, value);
            assert_eq!(out, bytes, "{value}");
        }
        assert_eq!(take(&mut &[0x80u8; 11][..]), None, "too long");
        assert_eq!(
            take(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2][..]),
            None,
            "too large"
        );
    }

    proptest! {
        #[test]
        fn comes_back(value: i64, rest: Vec<u8>) {
            let mut out = Vec::new();
            put(&mut out, value);
            out.extend_from_slice(&rest);
            let mut input = &out[..];
            prop_assert_eq!(take(&mut input), Some(value));
            prop_assert_eq!(input, &rest[..]);
        }
    }
}
