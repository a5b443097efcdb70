use ring::aead::{AES_256_GCM, LessSafeKey, Nonce, UnboundKey};
use tee::SealingKey;

use super::header::{Header, Kind};

/// Derives the key of each file.
#[derive(Clone)]
pub(crate) struct Keyring {
    /// The first seals and opens, the others only open.
    roots: Vec<SealingKey>,
}

impl Keyring {
    pub(crate) fn new(root: SealingKey) -> Self {
        Self { roots: vec![root] }
    }

    /// Opens what was sealed under these roots, too.
    #[must_use]
    pub(crate) fn with_older(mut self, older: impl IntoIterator<Item = SealingKey>) -> Self {
        self.roots.extend(older);
        self
    }

    /// The key for the contents of the file that `header` begins.
    pub(crate) fn file_key(&self, header: &Header) -> LessSafeKey {
        let purpose = match header.kind {
            Kind::Segment => "k3s-daas/store/segment",
            Kind::Snapshot => "k3s-daas/store/snapshot",
        };
        let key = self.roots[header.root].derive(purpose, &header.key_context());
        let unbound = UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("a derived key has 256 bits");
        LessSafeKey::new(unbound)
    }

    /// Bytes that tell whether a file was sealed under the root of its header, and nothing else about it.
    pub(crate) fn check(&self, header: &Header) -> [u8; 16] {
        check(&self.roots[header.root], header)
    }

    /// The root under which a file with these check bytes was sealed, as an index.
    pub(super) fn root_of(&self, header: &Header, expected: [u8; 16]) -> Option<usize> {
        self.roots.iter().position(|root| check(root, header) == expected)
    }
}

fn check(root: &SealingKey, header: &Header) -> [u8; 16] {
    let key = root.derive("k3s-daas/store/key-check", &header.key_context());
    let mut check = [0; 16];
    check.copy_from_slice(&key.as_bytes()[..16]);
    check
}

/// The nonce of part `number` of a file. The header itself uses [`HEADER_NONCE`].
pub(super) fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

/// No part has this number.
pub(super) const HEADER_NONCE: u64 = u64::MAX;
