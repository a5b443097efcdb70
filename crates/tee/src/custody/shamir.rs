use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::field::{inverse, multiply};
use crate::TeeError;

/// One share of 32 secret bytes: a point of each of 32 polynomials over GF(2⁸) (Shamir, "How to share a secret", 1979). Fewer
/// than the threshold say nothing at all about the secret. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct Share {
    /// Where the polynomials were evaluated: 1 for the first holder.
    pub(super) index: u8,
    pub(super) values: Zeroizing<[u8; 32]>,
}

impl Share {
    /// Which holder's share it is, from 1.
    #[must_use]
    pub fn index(&self) -> u8 {
        self.index
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Share({}, ..)", self.index)
    }
}

/// `count` shares of which any `threshold` give the secret back. The caller has checked that 1 ≤ threshold ≤ count.
pub(super) fn split(secret: &[u8; 32], threshold: u8, count: u8) -> Result<Vec<Share>, TeeError> {
    let mut coefficients = Zeroizing::new(vec![[0u8; 32]; usize::from(threshold)]);
    coefficients[0] = *secret;
    for coefficient in coefficients.iter_mut().skip(1) {
        SystemRandom::new().fill(coefficient).map_err(|_| TeeError::Random)?;
    }
    Ok((1..=count).map(|index| evaluate(&coefficients, index)).collect())
}

/// The secret of shares with different indices. Of too few, or of wrong ones, it is some other value: whoever calls compares
/// a commitment.
pub(super) fn combine(shares: &[&Share]) -> Zeroizing<[u8; 32]> {
    let mut secret = Zeroizing::new([0; 32]);
    for share in shares {
        // Lagrange's polynomial of this point, at zero; subtraction is addition is exclusive or.
        let weight = shares.iter().filter(|other| other.index != share.index).fold(1, |weight, other| {
            multiply(weight, multiply(other.index, inverse(other.index ^ share.index)))
        });
        for (byte, value) in secret.iter_mut().zip(share.values.iter()) {
            *byte ^= multiply(weight, *value);
        }
    }
    secret
}

/// Horner's scheme, for each of the 32 bytes.
fn evaluate(coefficients: &[[u8; 32]], index: u8) -> Share {
    let mut values = Zeroizing::new([0; 32]);
    for coefficient in coefficients.iter().rev() {
        for (value, byte) in values.iter_mut().zip(coefficient) {
            *value = multiply(*value, index) ^ byte;
        }
    }
    Share { index, values }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_polynomial_by_hand() {
        // 0x42 + 0x57 x: at 0x83 the second term is 0xc1 (FIPS 197, 4.2).
        let share = evaluate(&[[0x42; 32], [0x57; 32]], 0x83);
        assert_eq!(*share.values, [0x42 ^ 0xc1; 32]);
        let other = evaluate(&[[0x42; 32], [0x57; 32]], 0x13);
        assert_eq!(*combine(&[&share, &other]), [0x42; 32]);
    }

    #[test]
    fn one_share_less_fits_every_secret_equally() {
        // Two of three known, of one byte: each of the 256 secrets has exactly one polynomial through the two points, so the
        // third share takes each value once.
        let shares = split(&[7; 32], 3, 3).unwrap();
        let mut thirds: Vec<u8> = (0..=255u8)
            .map(|secret| {
                let zero = Share { index: 0, values: Zeroizing::new([secret; 32]) };
                let points = [&zero, &shares[0], &shares[1]];
                // The value at 3 is the combination at zero of points moved by 3.
                let moved: Vec<Share> = points
                    .iter()
                    .map(|share| Share { index: share.index ^ 3, values: share.values.clone() })
                    .collect();
                combine(&moved.iter().collect::<Vec<_>>())[0]
            })
            .collect();
        thirds.sort_unstable();
        thirds.dedup();
        assert_eq!(thirds.len(), 256);
    }

    proptest! {
        #[test]
        fn any_threshold_of_them_is_the_secret_and_fewer_are_not(
            secret in any::<[u8; 32]>(), threshold in 1u8..9, more in 0u8..9, order in any::<u64>(),
        ) {
            let mut shares = split(&secret, threshold, threshold + more).unwrap();
            let turn = order as usize % shares.len();
            shares.rotate_left(turn);
            let chosen: Vec<&Share> = shares.iter().take(usize::from(threshold)).collect();
            prop_assert_eq!(*combine(&chosen), secret);
            prop_assert_eq!(*combine(&shares.iter().collect::<Vec<_>>()), secret);
            if threshold > 1 {
                prop_assert_ne!(*combine(&chosen[1..]), secret);
            }
        }
    }
}
