use std::io;
use std::path::Path;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use ed25519_dalek::{Signer, SigningKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::sealed_file::{self, SealedError};
use crate::{SealingKey, TeeError};

const PURPOSE: &str = "enclave-key";

/// The enclave's ed25519 identity: registered on chain, kept in a sealed file or in memory alone, never outside the TEE.
pub struct EnclaveKey(SigningKey);

impl EnclaveKey {
    /// Opens the key sealed at `path`, or makes one there when the file does not exist.
    ///
    /// A file that is there but does not open is an error and stays as it is: a new key would need a new
    /// registration on chain.
    pub fn open_or_create(path: &Path, sealing: &SealingKey) -> Result<Self, TeeError> {
        match sealed_file::read(path, sealing, PURPOSE) {
            Ok(bytes) => {
                let length = bytes.len();
                let bytes = <[u8; 32]>::try_from(&bytes[..])
                    .map_err(|_| TeeError::KeyLength { path: path.to_owned(), length })?;
                Ok(Self(SigningKey::from_bytes(&Zeroizing::new(bytes))))
            }
            Err(SealedError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = random()?;
                sealed_file::write(path, sealing, PURPOSE, &bytes[..])
                    .map_err(|source| TeeError::Sealed { path: path.to_owned(), source })?;
                Ok(Self(SigningKey::from_bytes(&bytes)))
            }
            Err(source) => Err(TeeError::Sealed { path: path.to_owned(), source }),
        }
    }

    /// A key that is nowhere but in memory, for platforms that seal nothing: it has to be registered anew after each start.
    ///
    /// # Errors
    /// [`TeeError::Random`].
    pub fn ephemeral() -> Result<Self, TeeError> {
        Ok(Self(SigningKey::from_bytes(&*random()?)))
    }

    /// The public half, as registered on chain.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs [`intent_message`]`(intent, timestamp_ms, payload)`; the contract's `enclave::verify` checks it.
    pub fn sign(&self, intent: u8, timestamp_ms: u64, payload: &[u8]) -> [u8; 64] {
        self.0.sign(&intent_message(intent, timestamp_ms, payload)).to_bytes()
    }

    /// Signs `message` as a Sui address signs a personal message: over BLAKE2b-256 of the intent (3, 0, 0) and the message in BCS. No
    /// statement has that length, and no transaction that intent.
    pub fn sign_personal_message(&self, message: &str) -> [u8; 64] {
        let mut hash = Blake2b::<U32>::new();
        hash.update([3, 0, 0]);
        // BCS of a vector of bytes is BCS of a string.
        hash.update(bcs::to_bytes(message).unwrap_or_default());
        self.0.sign(&hash.finalize()).to_bytes()
    }
}

fn random() -> Result<Zeroizing<[u8; 32]>, TeeError> {
    let mut bytes = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut bytes[..]).map_err(|_| TeeError::Random)?;
    Ok(bytes)
}

impl std::fmt::Debug for EnclaveKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EnclaveKey({})", hex::encode(self.public_key()))
    }
}

/// The signed bytes: BCS of Nautilus' `IntentMessage<T> { intent: u8, timestamp_ms: u64, payload: T }`.
///
/// `payload` is the BCS of the `T` that the contract rebuilds, and goes in as it is (BCS of a struct is its
/// fields in a row, without a length).
pub fn intent_message(intent: u8, timestamp_ms: u64, payload: &[u8]) -> Vec<u8> {
    [&[intent][..], &timestamp_ms.to_le_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::{Signature, VerifyingKey};
    use serde::Serialize;

    use super::*;

    fn sealing(byte: u8) -> SealingKey {
        SealingKey::from_bytes([byte; 32])
    }

    #[test]
    fn stays_the_same_key_and_refuses_another_sealing_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("enclave.key");
        let made = EnclaveKey::open_or_create(&path, &sealing(1)).unwrap();
        let opened = EnclaveKey::open_or_create(&path, &sealing(1)).unwrap();
        assert_eq!(made.public_key(), opened.public_key());

        let before = std::fs::read(&path).unwrap();
        assert!(!before.windows(32).any(|window| window == made.0.to_bytes()));
        let error = EnclaveKey::open_or_create(&path, &sealing(2)).unwrap_err();
        assert!(matches!(error, TeeError::Sealed { source: SealedError::WrongKey, .. }), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn signs_the_bcs_of_an_intent_message() {
        #[derive(Serialize)]
        struct Payload {
            name: String,
            value: u64,
        }
        #[derive(Serialize)]
        struct IntentMessage {
            intent: u8,
            timestamp_ms: u64,
            payload: Payload,
        }
        let payload = || Payload { name: "n".into(), value: 3 };
        let message = IntentMessage { intent: 4, timestamp_ms: 99, payload: payload() };
        let bytes = bcs::to_bytes(&message).unwrap();
        assert_eq!(intent_message(4, 99, &bcs::to_bytes(&payload()).unwrap()), bytes);

        let dir = tempfile::tempdir().unwrap();
        let key = EnclaveKey::open_or_create(&dir.path().join("k"), &sealing(1)).unwrap();
        let signature = key.sign(4, 99, &bcs::to_bytes(&payload()).unwrap());
        VerifyingKey::from_bytes(&key.public_key())
            .unwrap()
            .verify_strict(&bytes, &Signature::from_bytes(&signature))
            .unwrap();
    }
}
