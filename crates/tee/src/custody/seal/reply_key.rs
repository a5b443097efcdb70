use std::fmt;

use blstrs::{G1Affine, G1Projective, G2Affine};
use group::Curve;
use group::prime::PrimeCurveAffine;
use zeroize::Zeroizing;

use super::IdentityKey;
use super::curve::{G1_BYTES, G2_BYTES, g1, random_scalar, scalar};
use crate::TeeError;
use crate::custody::CustodyError;

/// The key to which one key server encrypts its answer: ElGamal over G1. Made for one request, wiped when dropped, never printed.
pub struct ReplyKey(Zeroizing<[u8; 32]>);

impl ReplyKey {
    /// A new one.
    ///
    /// # Errors
    /// [`TeeError::Random`].
    pub fn generate() -> Result<Self, TeeError> {
        random_scalar().map(|(_, bytes)| Self(bytes))
    }

    /// The public half in G1, to which the server encrypts.
    #[must_use]
    pub fn public(&self) -> [u8; G1_BYTES] {
        let secret = scalar(&self.0).unwrap_or_default();
        (G1Affine::generator() * secret).to_affine().to_compressed()
    }

    /// The public half in G2, by which others can verify what the server encrypted.
    #[must_use]
    pub fn verification(&self) -> [u8; G2_BYTES] {
        let secret = scalar(&self.0).unwrap_or_default();
        (G2Affine::generator() * secret).to_affine().to_compressed()
    }

    /// What the server encrypted.
    ///
    /// # Errors
    /// [`CustodyError::Malformed`] when it is no encryption of a key.
    pub fn open(&self, encrypted: [&[u8]; 2]) -> Result<IdentityKey, CustodyError> {
        let wrong =
            || CustodyError::Malformed { what: "an encrypted key", why: "no points of G1".to_owned() };
        let [first, second] = encrypted.map(g1);
        let (first, second) = (first.ok_or_else(wrong)?, second.ok_or_else(wrong)?);
        let secret = scalar(&self.0).ok_or_else(wrong)?;
        let key = (G1Projective::from(second) - first * secret).to_affine();
        if bool::from(key.is_identity()) { Err(wrong()) } else { Ok(IdentityKey::new(&key)) }
    }
}

impl fmt::Debug for ReplyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplyKey(..)")
    }
}
