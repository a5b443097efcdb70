//! GF(2⁸) with the polynomial x⁸ + x⁴ + x³ + x + 1 (FIPS 197, section 4): in constant time, because the operands are secrets and
//! tables would show them to whoever shares the cache.

/// The product.
pub(super) fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (a, 0);
    for bit in 0..8 {
        product ^= a & mask(b >> bit);
        a = (a << 1) ^ (0x1b & mask(a >> 7));
    }
    product
}

/// The inverse, a²⁵⁴; zero's is zero.
pub(super) fn inverse(a: u8) -> u8 {
    let (mut power, mut inverse) = (a, 1);
    // 254 is every bit but the lowest.
    for _ in 1..8 {
        power = multiply(power, power);
        inverse = multiply(inverse, power);
    }
    inverse
}

/// All ones when the lowest bit is set.
fn mask(bit: u8) -> u8 {
    0u8.wrapping_sub(bit & 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition: polynomials over GF(2), multiplied and then divided.
    fn by_definition(a: u8, b: u8) -> u8 {
        let mut product =
            (0..8).filter(|bit| b >> bit & 1 == 1).fold(0u16, |sum, bit| sum ^ u16::from(a) << bit);
        for bit in (8..16).rev() {
            if product >> bit & 1 == 1 {
                product ^= 0x11b << (bit - 8);
            }
        }
        product as u8
    }

    #[test]
    fn every_product_and_every_inverse() {
        // FIPS 197, 4.2: {57} · {83} = {c1}; {57} · {13} = {fe}.
        assert_eq!((multiply(0x57, 0x83), multiply(0x57, 0x13)), (0xc1, 0xfe));
        for a in 0..=255 {
            for b in 0..=255 {
                assert_eq!(multiply(a, b), by_definition(a, b), "{a} * {b}");
            }
            assert_eq!(multiply(a, inverse(a)), u8::from(a != 0), "{a}");
        }
    }
}
