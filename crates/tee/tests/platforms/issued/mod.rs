//! Evidence that these tests issue themselves, under roots of their own: for what no recorded piece shows.

pub(crate) mod arm;
pub(crate) mod snp;
pub(crate) mod tpm;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair as _,
};
use tee::{Anchors, Collateral, Evidence, PlatformKind, Policy};

use crate::cases::Case;

/// November 2023.
pub(crate) const NOW: u64 = 1_700_000_000;

/// A key that signs evidence: r ‖ s.
pub(crate) struct Signer(EcdsaKeyPair, pub(crate) KeyPair);

impl Signer {
    pub(crate) fn p256() -> Self {
        Self::new(&ECDSA_P256_SHA256_FIXED_SIGNING, KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
    }

    pub(crate) fn p384() -> Self {
        Self::new(&ECDSA_P384_SHA384_FIXED_SIGNING, KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap())
    }

    fn new(algorithm: &'static EcdsaSigningAlgorithm, pair: KeyPair) -> Self {
        let random = SystemRandom::new();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, &pair.serialize_der(), &random).unwrap(), pair)
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.0.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }

    /// The uncompressed point.
    pub(crate) fn point(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The key as a file of it would be read.
    pub(crate) fn trusted(&self) -> Vec<tee::TrustedKey> {
        crate::cases::keys(self.1.public_key_pem().as_bytes())
    }
}

pub(crate) fn case(name: &'static str, part: &'static str, evidence: Evidence) -> Case {
    Case {
        name,
        evidence,
        part,
        collateral: Collateral::default(),
        anchors: Anchors::default(),
        now: NOW,
        policy: Policy::genuine(),
    }
}

pub(crate) fn evidence<const N: usize>(platform: PlatformKind, parts: [(&str, Vec<u8>); N]) -> Evidence {
    Evidence::new(platform, parts.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect())
}
