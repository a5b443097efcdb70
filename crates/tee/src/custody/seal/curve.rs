//! BLS12-381 as Seal uses it: public keys and nonces in G2, identities and their keys in G1, both compressed.

use blst::blst_fp12;
use blstrs::{G1Affine, G1Projective, G2Affine, Scalar};
use group::Curve;
use group::prime::PrimeCurveAffine;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::TeeError;

pub(super) const G1_BYTES: usize = 48;
pub(super) const G2_BYTES: usize = 96;

/// Ciphersuite of hashing to G1 (RFC 9380, 8.8.1, with the tag of the BLS signature draft).
const SUITE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

/// The point of G1 that stands for `parts`, one after the other.
pub(super) fn hash_to_g1(parts: &[&[u8]]) -> G1Affine {
    G1Projective::hash_to_curve(&parts.concat(), SUITE, &[]).to_affine()
}

/// A point of G1 other than zero, which would pair with everything to one.
pub(super) fn g1(bytes: &[u8]) -> Option<G1Affine> {
    let point = Option::<G1Affine>::from(G1Affine::from_compressed(bytes.try_into().ok()?))?;
    (!bool::from(point.is_identity())).then_some(point)
}

/// The same, of G2.
pub(super) fn g2(bytes: &[u8]) -> Option<G2Affine> {
    let point = Option::<G2Affine>::from(G2Affine::from_compressed(bytes.try_into().ok()?))?;
    (!bool::from(point.is_identity())).then_some(point)
}

/// A scalar, big-endian.
pub(super) fn scalar(bytes: &[u8; 32]) -> Option<Scalar> {
    Scalar::from_bytes_be(bytes).into()
}

/// A random scalar, big-endian, with its bytes.
pub(super) fn random_scalar() -> Result<(Scalar, Zeroizing<[u8; 32]>), TeeError> {
    let mut bytes = Zeroizing::new([0; 32]);
    loop {
        SystemRandom::new().fill(&mut bytes[..]).map_err(|_| TeeError::Random)?;
        // The order has 255 bits: nine of ten are below it.
        bytes[0] &= 0x7f;
        if let Some(scalar) = scalar(&bytes) {
            return Ok((scalar, bytes));
        }
    }
}

/// e(p, q), in the form in which Seal hashes it.
pub(super) fn pairing(p: &G1Affine, q: &G2Affine) -> blst_fp12 {
    blst_fp12::miller_loop(q.as_ref(), p.as_ref()).final_exp()
}
