use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use tee::SealingKey;

/// The keys of the cold tier, derived from the secrets that seal the store.
#[derive(Clone, Debug)]
pub struct ColdKeys {
    /// The first seals and opens, the others only open.
    roots: Vec<SealingKey>,
}

const PIECE: &str = "k3s-daas/archive/piece";
const CHECK: &str = "k3s-daas/archive/key-check";

impl ColdKeys {
    /// Seals and opens under `root`.
    #[must_use]
    pub fn new(root: SealingKey) -> Self {
        Self { roots: vec![root] }
    }

    /// Opens what was sealed under these, too.
    #[must_use]
    pub fn with_older(mut self, older: impl IntoIterator<Item = SealingKey>) -> Self {
        self.roots.extend(older);
        self
    }

    /// The key of a new piece, and bytes that tell it from others.
    pub(super) fn sealing(&self, salt: &[u8; 32]) -> (LessSafeKey, [u8; 16]) {
        (key(&self.roots[0], salt), check(&self.roots[0], salt))
    }

    /// The key of a piece with these check bytes, if it is among ours.
    pub(super) fn opening(&self, salt: &[u8; 32], expected: &[u8]) -> Option<LessSafeKey> {
        let root = self.roots.iter().find(|root| check(root, salt) == expected)?;
        Some(key(root, salt))
    }
}

fn key(root: &SealingKey, salt: &[u8; 32]) -> LessSafeKey {
    let key = root.derive(PIECE, salt);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("a derived key has 256 bits"))
}

fn check(root: &SealingKey, salt: &[u8; 32]) -> [u8; 16] {
    let mut check = [0; 16];
    check.copy_from_slice(&root.derive(CHECK, salt).as_bytes()[..16]);
    check
}
