use serde::{Deserialize, Serialize};

/// The version of [`Claims`] that this crate mints and reads.
pub const VERSION: u8 = 1;

/// What a proof says. Its BCS is 129 bytes: the fields in this order, integers little-endian.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// [`VERSION`].
    pub version: u8,
    /// Object id of the seal token on chain.
    pub token_id: [u8; 32],
    /// The token's seal on chain; it changes with every key rotation and renewal that asks for it.
    pub seal: [u8; 32],
    /// The one cluster that may accept this: SHA-256 of its CA certificate in DER.
    pub audience: [u8; 32],
    /// Start of validity, milliseconds since the Unix epoch.
    pub not_before_ms: u64,
    /// End of validity (exclusive), milliseconds since the Unix epoch.
    pub not_after_ms: u64,
    /// Random, so that two proofs of one millisecond differ.
    pub nonce: [u8; 16],
}

impl Claims {
    /// Length of the BCS encoding.
    pub(crate) const BYTES: usize = 1 + 32 + 32 + 32 + 8 + 8 + 16;

    pub(crate) fn to_bcs(&self) -> Vec<u8> {
        bcs::to_bytes(self).expect("fixed-size fields always encode")
    }
}
