use std::fmt;

use blstrs::{G1Affine, G2Affine};
use group::prime::PrimeCurveAffine;
use sha3::{Digest, Sha3_256};
use zeroize::Zeroizing;

use super::curve::{G1_BYTES, G2_BYTES, g1, g2, hash_to_g1, pairing};
use crate::custody::CustodyError;

const IDENTITY: &[u8] = b"SUI-SEAL-IBE-BLS12381-00";
const MASK: &[u8] = b"SUI-SEAL-IBE-BLS12381-H2-00";
const POSSESSION: &[u8] = b"SUI-SEAL-IBE-BLS12381-POP-00";

/// Public key of a Seal key server: of Boneh and Franklin's identity-based encryption (CRYPTO 2001, BasicIdent) over BLS12-381.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerKey(pub(super) G2Affine);

impl ServerKey {
    /// From a compressed point of G2.
    ///
    /// # Errors
    /// [`CustodyError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CustodyError> {
        let why = || format!("{} bytes that are no point of G2", bytes.len());
        g2(bytes)
            .map(Self)
            .ok_or_else(|| CustodyError::Malformed { what: "a key server's public key", why: why() })
    }

    /// As a compressed point.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; G2_BYTES] {
        self.0.to_compressed()
    }

    /// Whether `proof`, of `GET /v1/service`, shows that the server of the key server object `object` has the secret half.
    #[must_use]
    pub fn is_possessed(&self, object: &[u8; 32], proof: &[u8]) -> bool {
        let said = hash_to_g1(&[POSSESSION, &self.to_bytes(), object]);
        g1(proof).is_some_and(|proof| self.made(&proof, &said))
    }

    /// Whether `point` is `base` times the secret half.
    pub(super) fn made(&self, point: &G1Affine, base: &G1Affine) -> bool {
        pairing(point, &G2Affine::generator()) == pairing(base, &self.0)
    }
}

/// What a key server derives for one identity. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct IdentityKey(Zeroizing<[u8; G1_BYTES]>);

impl IdentityKey {
    pub(super) fn new(point: &G1Affine) -> Self {
        Self(Zeroizing::new(point.to_compressed()))
    }

    /// From a compressed point of G1.
    ///
    /// # Errors
    /// [`CustodyError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CustodyError> {
        let why = "no point of G1".to_owned();
        g1(bytes)
            .map(|point| Self::new(&point))
            .ok_or(CustodyError::Malformed { what: "a key of an identity", why })
    }

    /// Whether it is the one that the server with `key` derives for `id`: e(self, g2) = e(H(id), key).
    #[must_use]
    pub fn is_of(&self, id: &[u8], key: &ServerKey) -> bool {
        g1(&self.0[..]).is_some_and(|point| key.made(&point, &identity(id)))
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> [u8; G1_BYTES] {
        *self.0
    }

    /// The mask of the share at `index`, from the encryption's nonce.
    pub(super) fn mask(&self, nonce: &G2Affine, id: &[u8], place: Place<'_>) -> Option<Zeroizing<[u8; 32]>> {
        let shared = pairing(&g1(&self.0[..])?, nonce).to_bendian();
        Some(mask(&Zeroizing::new(shared), nonce, id, place))
    }
}

impl fmt::Debug for IdentityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityKey(..)")
    }
}

/// Which share it is: the key server's object and the index.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) server: &'a [u8; 32],
    pub(super) index: u8,
}

pub(super) fn identity(id: &[u8]) -> G1Affine {
    hash_to_g1(&[IDENTITY, id])
}

/// SHA3-256 over what encryptor and server can both work out, and what it is for.
pub(super) fn mask(shared: &[u8; 576], nonce: &G2Affine, id: &[u8], place: Place<'_>) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha3_256::new();
    hash.update(MASK);
    hash.update(shared);
    hash.update(nonce.to_compressed());
    hash.update(identity(id).to_compressed());
    hash.update(place.server);
    hash.update([place.index]);
    Zeroizing::new(hash.finalize().into())
}
