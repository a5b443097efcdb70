use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey};
use rand::TryRngCore as _;
use sui_crypto::SuiSigner as _;
use sui_crypto::ed25519::Ed25519PrivateKey;
use sui_sdk_types::{Address, Ed25519PublicKey, Transaction, UserSignature};
use zeroize::{Zeroize, Zeroizing};

use crate::KeystoreError;

/// An ed25519 key pair of a wallet, a node or a verifier.
///
/// The secret is wiped from memory on drop and never printed.
#[derive(Clone)]
pub struct Keypair {
    // Wipes itself on drop (ed25519-dalek's `zeroize` feature).
    key: SigningKey,
}

impl Keypair {
    /// Makes a new key pair from the operating system's randomness.
    ///
    /// # Errors
    /// [`KeystoreError::Randomness`] when the operating system gives none.
    pub fn generate() -> Result<Keypair, KeystoreError> {
        let mut secret = Zeroizing::new([0u8; 32]);
        rand::rngs::OsRng
            .try_fill_bytes(secret.as_mut())
            .map_err(|error| KeystoreError::Randomness(error.to_string()))?;
        Ok(Keypair::from_secret(&secret))
    }

    /// The key pair of a 32-byte ed25519 seed.
    pub fn from_secret(secret: &[u8; 32]) -> Keypair {
        Keypair { key: SigningKey::from_bytes(secret) }
    }

    /// Reads a `suiprivkey1…` string as `sui keytool export` prints it.
    ///
    /// # Errors
    /// [`KeystoreError::Secret`] when it is not one or holds another kind of key. The text itself is
    /// never part of the error.
    pub fn from_bech32(text: &str) -> Result<Keypair, KeystoreError> {
        let key = Ed25519PrivateKey::from_suiprivkey(text.trim())
            .map_err(|error| KeystoreError::Secret(reason(&error)))?;
        Keypair::from_sui(&key)
    }

    /// The `suiprivkey1…` form, which `sui keytool import` reads.
    ///
    /// # Errors
    /// [`KeystoreError::Secret`] when it cannot be encoded.
    pub fn to_bech32(&self) -> Result<Zeroizing<String>, KeystoreError> {
        self.sui().to_suiprivkey().map(Zeroizing::new).map_err(|error| KeystoreError::Secret(reason(&error)))
    }

    /// The Sui address: blake2b-256 of flag and public key.
    pub fn address(&self) -> Address {
        Ed25519PublicKey::new(self.public_key()).derive_address()
    }

    /// The ed25519 public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    /// Signs bytes as they are, without an intent.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// The key for other rooms' primitives, e.g. `seal_token::Proof::mint`.
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }

    pub(crate) fn sign_as_sender(&self, transaction: &Transaction) -> Result<UserSignature, crate::Error> {
        self.sui().sign_transaction(transaction).map_err(|error| crate::Error::Build(reason(&error)))
    }

    /// One entry of `sui.keystore`: base64 of flag ‖ secret.
    pub(crate) fn to_entry(&self) -> Zeroizing<String> {
        Zeroizing::new(self.sui().to_base64())
    }

    fn sui(&self) -> Ed25519PrivateKey {
        let secret = Zeroizing::new(self.key.to_bytes());
        Ed25519PrivateKey::new(*secret)
    }

    fn from_sui(key: &Ed25519PrivateKey) -> Result<Keypair, KeystoreError> {
        // The wrapper gives its bytes only in an encoded form.
        use base64::Engine as _;
        let text = Zeroizing::new(key.to_base64());
        let mut payload = base64::engine::general_purpose::STANDARD
            .decode(text.as_bytes())
            .map_err(|_| KeystoreError::Secret("the key cannot be re-encoded".into()))?;
        let secret = payload
            .get(1..33)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(Zeroizing::new)
            .ok_or_else(|| KeystoreError::Secret("the key is not 32 bytes long".into()));
        payload.zeroize();
        Ok(Keypair::from_secret(&*secret?))
    }
}

pub(crate) fn reason(error: &sui_crypto::SignatureError) -> String {
    use std::error::Error as _;
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keypair").field("address", &self.address()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_suis_own_tools_has_suis_address() {
        // Published test vectors of Sui's TypeScript SDK.
        let vectors = [
            (
                "suiprivkey1qrwsjvr6gwaxmsvxk4cfun99ra8uwxg3c9pl0nhle7xxpe4s80y05ctazer",
                "0xa2d14fad60c56049ecf75246a481934691214ce413e6a8ae2fe6834c173a6133",
            ),
            (
                "suiprivkey1qzdvpa77ct272ultqcy20dkw78dysnfyg90fhcxkdm60el0qht9mvzlsh4j",
                "0x1ada6e6f3f3e4055096f606c746690f1108fcc2ca479055cc434a3e1d3f758aa",
            ),
        ];
        for (text, address) in vectors {
            assert_eq!(Keypair::from_bech32(text).unwrap().address().to_string(), address);
        }
    }

    #[test]
    fn bech32_round_trip() {
        let pair = Keypair::from_secret(&[7; 32]);
        let text = pair.to_bech32().unwrap();
        assert!(text.starts_with("suiprivkey1"));
        assert_eq!(Keypair::from_bech32(&text).unwrap().address(), pair.address());
    }

    #[test]
    fn neither_debug_nor_errors_show_the_secret() {
        let pair = Keypair::from_secret(&[0xab; 32]);
        assert!(!format!("{pair:?}").contains("abab"));
        let mut text = pair.to_bech32().unwrap().to_string();
        text.replace_range(20..21, if &text[20..21] == "q" { "p" } else { "q" });
        let message = Keypair::from_bech32(&text).unwrap_err().to_string();
        assert!(!message.contains(&text[15..]), "{message}");
    }

    #[test]
    fn address_is_blake2b_of_flag_and_key() {
        let pair = Keypair::from_secret(&[1; 32]);
        let mut hasher = sui_sdk_types::hash::Hasher::new();
        hasher.update([0u8]);
        hasher.update(pair.public_key());
        assert_eq!(pair.address().inner(), hasher.finalize().inner());
    }
}
