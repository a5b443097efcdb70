//! Files that only code with the same [`SealingKey`] can read: AES-256-GCM with the purpose bound in.
//!
//! Layout, integers big-endian: magic `K3DSEAL\0`, version u16 = 1, key id [8], nonce [12], plaintext
//! length u64, ciphertext, tag [16]. The 38 bytes of header and the purpose are authenticated. The key id is
//! derived from the key and tells a wrong key from a damaged file; it reveals nothing about the key.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{SealingKey, durable};

const MAGIC: &[u8; 8] = b"K3DSEAL\0";
const VERSION: u16 = 1;
const KEY_ID: std::ops::Range<usize> = 10..18;
const NONCE: std::ops::Range<usize> = 18..30;
const HEADER: usize = 38;
const TAG: usize = 16;

/// The largest plaintext of a sealed file: 16 MiB. Keys and certificates are a thousandth of that.
pub const MAX_PLAINTEXT_BYTES: usize = 16 << 20;

/// Why a sealed file could not be written or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// It does not start as a sealed file does.
    #[error("not a sealed file")]
    NotSealed,
    /// A later version of this program wrote it.
    #[error(
        "sealed by a newer version of k3s-daas (format {found}, this one reads {VERSION}); upgrade to read it"
    )]
    NewerVersion {
        /// Format found.
        found: u16,
    },
    /// It ends early.
    #[error("sealed file is truncated: {have} of {want} bytes; restore it from a backup")]
    Truncated {
        /// Bytes there.
        have: u64,
        /// Bytes that should be.
        want: u64,
    },
    /// It was sealed under another key or for another purpose.
    #[error("sealed under another key: by other code, on another machine, or for another purpose")]
    WrongKey,
    /// It was sealed under this key and then changed.
    #[error("sealed file was changed after it was written; restore it from a backup")]
    Tampered,
    /// More than [`MAX_PLAINTEXT_BYTES`].
    #[error("{bytes} bytes are too many for a sealed file (at most {MAX_PLAINTEXT_BYTES})")]
    TooLarge {
        /// Bytes asked for or found.
        bytes: u64,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// The file system refused.
    #[error("file system error")]
    Io(#[from] io::Error),
}

/// Seals `plaintext` for `purpose` and replaces `path` by it atomically and durably, mode 0600.
pub fn write(path: &Path, key: &SealingKey, purpose: &str, plaintext: &[u8]) -> Result<(), SealedError> {
    let sealed = seal_bytes(key, purpose, plaintext)?;
    Ok(durable::replace(path, &sealed)?)
}

/// Reads and opens `path`; the plaintext is wiped when dropped.
pub fn read(path: &Path, key: &SealingKey, purpose: &str) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let file = File::open(path)?;
    let limit = (HEADER + MAX_PLAINTEXT_BYTES + TAG) as u64;
    let mut sealed = Vec::new();
    file.take(limit + 1).read_to_end(&mut sealed)?;
    open_bytes(key, purpose, &sealed)
}

/// Seals `plaintext` so that only [`open_bytes`] with the same key and purpose gives it back.
pub fn seal_bytes(key: &SealingKey, purpose: &str, plaintext: &[u8]) -> Result<Vec<u8>, SealedError> {
    if plaintext.len() > MAX_PLAINTEXT_BYTES {
        return Err(SealedError::TooLarge { bytes: plaintext.len() as u64 });
    }
    let mut nonce = [0; 12];
    SystemRandom::new().fill(&mut nonce).map_err(|_| SealedError::Random)?;

    let mut sealed = Vec::with_capacity(HEADER + plaintext.len() + TAG);
    sealed.extend_from_slice(MAGIC);
    sealed.extend_from_slice(&VERSION.to_be_bytes());
    sealed.extend_from_slice(&key_id(key, purpose));
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&(plaintext.len() as u64).to_be_bytes());
    let aad = Aad::from([&sealed[..], purpose.as_bytes()].concat());

    let mut body = Zeroizing::new(plaintext.to_vec());
    let tag = cipher(key, purpose)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, &mut body)
        .map_err(|_| SealedError::TooLarge { bytes: plaintext.len() as u64 })?;
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what [`seal_bytes`] made.
pub fn open_bytes(key: &SealingKey, purpose: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let have = sealed.len() as u64;
    let known = sealed.len().min(MAGIC.len());
    if sealed[..known] != MAGIC[..known] {
        return Err(SealedError::NotSealed);
    }
    if let Some(&[high, low]) = sealed.get(8..10) {
        let found = u16::from_be_bytes([high, low]);
        if found > VERSION {
            return Err(SealedError::NewerVersion { found });
        }
        if found != VERSION {
            return Err(SealedError::NotSealed);
        }
    }
    let Some((header, body)) = sealed.split_at_checked(HEADER) else {
        return Err(SealedError::Truncated { have, want: (HEADER + TAG) as u64 });
    };
    let mut length = [0; 8];
    length.copy_from_slice(&header[NONCE.end..]);
    let length = u64::from_be_bytes(length);
    if length > MAX_PLAINTEXT_BYTES as u64 {
        return Err(SealedError::TooLarge { bytes: length });
    }
    let want = HEADER as u64 + length + TAG as u64;
    if have < want {
        return Err(SealedError::Truncated { have, want });
    }
    if header[KEY_ID] != key_id(key, purpose) {
        return Err(SealedError::WrongKey);
    }

    let mut nonce = [0; 12];
    nonce.copy_from_slice(&header[NONCE]);
    let aad = Aad::from([header, purpose.as_bytes()].concat());
    let mut plaintext = Zeroizing::new(body.to_vec());
    let opened = cipher(key, purpose)
        .open_in_place(Nonce::assume_unique_for_key(nonce), aad, &mut plaintext)
        .map_err(|_| SealedError::Tampered)?
        .len();
    plaintext.truncate(opened);
    Ok(plaintext)
}

fn cipher(key: &SealingKey, purpose: &str) -> LessSafeKey {
    let key = key.derive("sealed-file", purpose.as_bytes());
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_bytes()).expect("AES-256 takes 32 bytes"))
}

fn key_id(key: &SealingKey, purpose: &str) -> [u8; 8] {
    let mut id = [0; 8];
    id.copy_from_slice(&key.derive("sealed-file-key-id", purpose.as_bytes()).as_bytes()[..8]);
    id
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn key() -> SealingKey {
        SealingKey::from_bytes([5; 32])
    }

    #[test]
    fn survives_the_disk_with_tight_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.key");
        write(&path, &key(), "ca", b"one").unwrap();
        write(&path, &key(), "ca", b"two").unwrap();
        assert_eq!(read(&path, &key(), "ca").unwrap()[..], b"two"[..]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file was left");
    }

    #[test]
    fn each_failure_has_its_own_name() {
        let sealed = seal_bytes(&key(), "ca", b"secret").unwrap();
        let open = |bytes: &[u8]| open_bytes(&key(), "ca", bytes).unwrap_err();
        let mut newer = sealed.clone();
        newer[9] = 2;
        let mut changed = sealed.clone();
        changed[HEADER] ^= 1;

        assert!(matches!(open(b"-----BEGIN"), SealedError::NotSealed));
        assert!(matches!(open(&newer), SealedError::NewerVersion { found: 2 }));
        assert!(matches!(open(&changed), SealedError::Tampered));
        assert!(matches!(open(&[&sealed[..], b"x"].concat()), SealedError::Tampered));
        let other = SealingKey::from_bytes([6; 32]);
        assert!(matches!(open_bytes(&other, "ca", &sealed), Err(SealedError::WrongKey)));
        assert!(matches!(open_bytes(&key(), "cb", &sealed), Err(SealedError::WrongKey)));
        for end in 0..sealed.len() {
            assert!(matches!(open(&sealed[..end]), SealedError::Truncated { .. }), "cut at {end}");
        }
        assert!(matches!(
            seal_bytes(&key(), "ca", &vec![0; MAX_PLAINTEXT_BYTES + 1]),
            Err(SealedError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens(plaintext in prop::collection::vec(any::<u8>(), 0..300), purpose in ".{0,9}") {
            let sealed = seal_bytes(&key(), &purpose, &plaintext).unwrap();
            prop_assert_eq!(&open_bytes(&key(), &purpose, &sealed).unwrap()[..], &plaintext[..]);
            if plaintext.len() > 3 {
                prop_assert!(!sealed.windows(plaintext.len()).any(|window| window == plaintext));
            }
        }

        #[test]
        fn any_flipped_bit_is_refused(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut sealed = seal_bytes(&key(), "p", b"some plaintext").unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= 1 << bit;
            prop_assert!(open_bytes(&key(), "p", &sealed).is_err());
        }

        #[test]
        fn garbage_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..120), magic in any::<bool>()) {
            if magic {
                bytes.splice(0..0, [&MAGIC[..], &[0, 1]].concat());
            }
            prop_assert!(open_bytes(&key(), "p", &bytes).is_err());
        }
    }
}
