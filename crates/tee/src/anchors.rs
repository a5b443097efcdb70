use crate::PublicKey;

/// SHA-256 of the ARK certificates (DER) of Milan, Genoa and Turin, as AMD's key server hands them out at
/// `https://kdsintf.amd.com/vcek/v1/<product>/cert_chain`.
const AMD: [&str; 3] = [
    "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
    "4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
    "1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
];
/// SHA-256 of AWS's Nitro enclaves root G1 (DER), as AWS publishes it beside the certificate in "Verifying the root
/// of trust" of the Nitro enclaves user guide.
const AWS: &str = "641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b";

/// Whom a verifier trusts. [`Anchors::default`] knows the makers' own roots; TPMs and Arm platforms have no root
/// that all share, so theirs are given.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Anchors {
    /// Intel's SGX root certificate (DER) where it is not the production one, as in tests.
    pub intel: Option<Vec<u8>>,
    /// SHA-256 of AMD's root certificates (ARK).
    pub amd: Vec<[u8; 32]>,
    /// SHA-256 of AWS's Nitro root certificate.
    pub nitro: Vec<[u8; 32]>,
    /// Roots of TPM attestation keys: certificates, DER.
    pub roots: Vec<Vec<u8>>,
    /// Keys trusted as they are: TPM attestation keys, initial attestation keys of Arm platforms.
    pub keys: Vec<TrustedKey>,
}

/// A key that somebody vouched for out of band.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The key.
    pub key: PublicKey,
    /// The public area (TPMT_PUBLIC) that the key was pinned with: then the evidence must name the very same, with the
    /// same attributes.
    pub tpm_public: Option<Vec<u8>>,
    /// Only tokens of this instance may be signed by it (PSA and CCA); any, when none.
    pub instance_id: Option<Vec<u8>>,
    /// Only tokens of this implementation may be signed by it (PSA and CCA); any, when none.
    pub implementation_id: Option<Vec<u8>>,
}

impl Default for Anchors {
    fn default() -> Self {
        Self {
            intel: None,
            amd: AMD.map(fingerprint).to_vec(),
            nitro: vec![fingerprint(AWS)],
            roots: Vec::new(),
            keys: Vec::new(),
        }
    }
}

/// A SHA-256 that is a constant of this crate.
pub(crate) fn fingerprint(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).expect("such constants are 64 hexadecimal digits");
    bytes
}
