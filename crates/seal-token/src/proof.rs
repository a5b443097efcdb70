use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::{Claims, Malformed, Refusal, VERSION};

/// What the holder's key signs before the claims, so that a proof is never a signature over anything else.
pub const INTENT_PREFIX: &[u8] = b"k3s-daas/seal-proof/v1\0";

const SIGNATURE_BYTES: usize = 64;
const PROOF_BYTES: usize = Claims::BYTES + SIGNATURE_BYTES;

/// Length of every proof as a string.
pub const PROOF_CHARS: usize = (PROOF_BYTES * 4).div_ceil(3);

/// Claims with the holder's signature over [`INTENT_PREFIX`] and their BCS.
///
/// `Display` and `FromStr` are the bearer string: base64url without padding of the claims' BCS and the
/// signature. There is exactly one string for a proof. `Debug` leaves the signature out, for whoever has it can
/// use it until the window closes.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// What is claimed.
    pub claims: Claims,
    /// ed25519, RFC 8032.
    pub signature: [u8; SIGNATURE_BYTES],
}

impl Proof {
    /// Signs `claims` as they are.
    pub fn mint(key: &SigningKey, claims: Claims) -> Self {
        let signature = key.sign(&signed_bytes(&claims)).to_bytes();
        Self { claims, signature }
    }

    /// Strict verification: no small-order keys, no malleable signatures.
    pub(crate) fn is_signed_by(&self, public_key: &[u8; 32]) -> bool {
        let signature = Signature::from_bytes(&self.signature);
        VerifyingKey::from_bytes(public_key)
            .and_then(|key| key.verify_strict(&signed_bytes(&self.claims), &signature))
            .is_ok()
    }
}

fn signed_bytes(claims: &Claims) -> Vec<u8> {
    [INTENT_PREFIX, &claims.to_bcs()].concat()
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.claims.to_bcs()[..], &self.signature].concat();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("claims", &self.claims).finish_non_exhaustive()
    }
}

impl FromStr for Proof {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        if text.len() != PROOF_CHARS {
            return Err(Malformed::Length { found: text.len(), expected: PROOF_CHARS }.into());
        }
        // This engine also refuses padding and set bits beyond the last byte.
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Malformed::Encoding)?;
        let (claims, signature) = bytes.split_at_checked(Claims::BYTES).ok_or(Malformed::Encoding)?;
        let claims: Claims = bcs::from_bytes(claims).map_err(|_| Malformed::Encoding)?;
        if claims.version != VERSION {
            return Err(Malformed::Version { found: claims.version }.into());
        }
        let signature = signature.try_into().map_err(|_| Malformed::Encoding)?;
        Ok(Self { claims, signature })
    }
}
