use ring::aead::{AES_256_GCM, LessSafeKey, Nonce, UnboundKey};
use tee::SealingKey;

use super::header::{Header, Kind};

/// Derives the key of each file.
#[derive(Clone)]
pub(crate) struct Keyring {
    root: SealingKey,
}

impl Keyring {
    pub(crate) fn new(root: SealingKey) -> Self {
        Self { root }
    }

    /// The key for the contents of the file that `header` begins.
    pub(crate) fn file_key(&self, header: &Header) -> LessSafeKey {
        let purpose = match header.kind {
            Kind::Segment => "k3s-daas/store/segment",
            Kind::Snapshot => "k3s-daas/store/snapshot",
        };
        let key = self.root.derive(purpose, &header.key_context());
        let unbound = UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("a derived key has 256 bits");
        LessSafeKey::new(unbound)
    }

    /// Bytes that tell whether a file was sealed under this root, and nothing else about it.
    pub(crate) fn check(&self, header: &Header) -> [u8; 16] {
        let key = self.root.derive("k3s-daas/store/key-check", &header.key_context());
        let mut check = [0; 16];
        check.copy_from_slice(&key.as_bytes()[..16]);
        check
    }
}

/// The nonce of part `number` of a file. The header itself uses [`HEADER_NONCE`].
pub(super) fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// No part has this number.
pub(super) const HEADER_NONCE: u64 = u64::MAX;
