use std::fmt;

use ring::hkdf;
use zeroize::Zeroizing;

/// Separates these derivations from any other use of the same platform secret.
const SALT: &[u8] = b"k3s-daas/sealing-key/v1";

/// The root of all keys of one measured program: what a platform releases for a [`crate::KeyPolicy`].
///
/// Never used directly; every purpose [derives](SealingKey::derive) its own [`Key`]. Wiped when dropped.
#[derive(Clone)]
pub struct SealingKey(Zeroizing<[u8; 32]>);

impl SealingKey {
    /// Wraps 32 secret bytes that a platform gave out.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn bytes(&self) -> &Zeroizing<[u8; 32]> {
        &self.0
    }

    /// Derives the key for `purpose` (what the key is for, fixed in code) in `context` (which one of
    /// them: a segment id, a file name) by HKDF-SHA256, RFC 5869.
    ///
    /// Different (purpose, context) pairs give independent keys: the purpose is length-prefixed, so
    /// `("ab", "c")` and `("a", "bc")` do not meet. Costs about a microsecond; derive per file or segment,
    /// not per record.
    pub fn derive(&self, purpose: &str, context: &[u8]) -> Key {
        let length = (purpose.len() as u64).to_be_bytes();
        let info: [&[u8]; 3] = [&length, purpose.as_bytes(), context];
        let mut bytes = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
            .extract(&self.0[..])
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut bytes[..]))
            .expect("32 bytes are one HKDF-SHA256 block");
        Key(bytes)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// A 256-bit key for one purpose. Wiped when dropped; never printed.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// The key itself, e.g. for AES-256-GCM.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fits_an_independent_computation() {
        // HKDF by its definition, from HMAC alone: PRK = HMAC(salt, ikm); T1 = HMAC(PRK, info ‖ 1).
        use ring::hmac;
        let hmac = |key: &[u8], data: &[u8]| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
        };
        let prk = hmac(b"k3s-daas/sealing-key/v1", &[7; 32]);
        let info = [&5u64.to_be_bytes()[..], b"store", b"seg", &[1]].concat();
        let key = SealingKey::from_bytes([7; 32]).derive("store", b"seg");
        assert_eq!(key.as_bytes()[..], hmac(&prk, &info)[..]);
    }

    #[test]
    fn debug_shows_no_byte() {
        let root = SealingKey::from_bytes([0xab; 32]);
        let key = root.derive("p", b"c");
        for shown in [format!("{root:?}"), format!("{key:?}")] {
            assert!(shown.ends_with("Key(..)"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn keys_differ_unless_root_purpose_and_context_agree(
            root in any::<[u8; 32]>(), other in any::<[u8; 32]>(),
            a in "[a-c]{0,3}", b in "[a-c]{0,3}", c in "[a-c]{0,3}", d in "[a-c]{0,3}",
        ) {
            let derive = |root, p: &str, c: &str| {
                *SealingKey::from_bytes(root).derive(p, c.as_bytes()).as_bytes()
            };
            let same = (&a, &b) == (&c, &d);
            prop_assert_eq!(derive(root, &a, &b) == derive(root, &c, &d), same);
            prop_assert_eq!(derive(root, &a, &b) == derive(other, &a, &b), root == other);
        }
    }
}
