use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey, spki::der::pem::LineEnding};
use ed25519_dalek::{Signer, SigningKey};
use ring::rand::{SecureRandom, SystemRandom};
use seal_token::{Claims, Proof};
use zeroize::Zeroizing;

/// A PKCS#8 PEM of an ed25519 key has about 120 bytes.
const MAX_FILE_BYTES: u64 = 4096;

/// How far back a proof's window starts, for a gateway whose clock is behind.
const BACKDATED_MS: u64 = 5_000;

/// The key whose public half is in the seal token on chain: who has it is the node.
///
/// Kept as PKCS#8 PEM in a file of mode 0600, so that OpenSSL and others can read it. Wiped when dropped.
pub struct HolderKey(SigningKey);

/// Why the holder's key is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HolderKeyError {
    /// The file could not be read or written.
    #[error("cannot {action} the holder key {}", path.display())]
    Io {
        /// `read` or `create`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner may read the file.
    #[error("holder key {} may be read by others; run chmod 600 on it", path.display())]
    Permissions {
        /// The file.
        path: PathBuf,
    },
    /// The file is no key.
    #[error("{} is not an ed25519 private key in PKCS#8 PEM", path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

/// What a proof is for, apart from the key and the time.
#[derive(Clone, Copy, Debug)]
pub struct ProofScope {
    /// Object id of the seal token.
    pub token_id: [u8; 32],
    /// Its seal on chain now.
    pub seal: [u8; 32],
    /// SHA-256 of the cluster CA in DER.
    pub audience: [u8; 32],
}

impl HolderKey {
    /// Opens the key at `path`, making one there when the file does not exist.
    pub fn open_or_create(path: &Path) -> Result<Self, HolderKeyError> {
        match Self::open(path) {
            Err(HolderKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(path)?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    /// Opens the key at `path`.
    pub fn open(path: &Path) -> Result<Self, HolderKeyError> {
        let failed = |source| HolderKeyError::Io { action: "read", path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return Err(HolderKeyError::Permissions { path: path.to_owned() });
        }
        // Room from the start: growing would leave copies of the key in memory.
        let mut pem = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES as usize + 1));
        file.take(MAX_FILE_BYTES).read_to_end(&mut pem).map_err(failed)?;
        std::str::from_utf8(&pem)
            .ok()
            .and_then(|pem| SigningKey::from_pkcs8_pem(pem).ok())
            .map(Self)
            .ok_or_else(|| HolderKeyError::Format { path: path.to_owned() })
    }

    /// Where a new key lies until the chain knows it: `n1-next.key` for `n1.key`, as `k3s-daas token rotate` names it.
    pub(crate) fn next_file(path: &Path) -> PathBuf {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let extension = path.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
        path.with_file_name(format!("{stem}-next{}", extension.unwrap_or_default()))
    }

    /// The public half, as registered on chain.
    pub fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs what the node states; see [`chain::NodeStatement::message`].
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }

    /// A proof that is valid from a little before `now_ms` and for `window_ms` in all; no two are alike.
    pub fn mint(&self, scope: &ProofScope, now_ms: u64, window_ms: u64) -> Result<Proof, HolderKeyError> {
        let mut nonce = [0; 16];
        SystemRandom::new().fill(&mut nonce).map_err(|_| HolderKeyError::Random)?;
        let not_before_ms = now_ms.saturating_sub(BACKDATED_MS);
        let claims = Claims {
            version: seal_token::VERSION,
            token_id: scope.token_id,
            seal: scope.seal,
            audience: scope.audience,
            not_before_ms,
            not_after_ms: not_before_ms.saturating_add(window_ms),
            nonce,
        };
        Ok(Proof::mint(&self.0, claims))
    }
}

impl std::fmt::Debug for HolderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HolderKey({})", hex::encode(self.public_key()))
    }
}

fn create(path: &Path) -> Result<(), HolderKeyError> {
    let failed = |source| HolderKeyError::Io { action: "create", path: path.to_owned(), source };
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(&mut seed[..]).map_err(|_| HolderKeyError::Random)?;
    let pem = SigningKey::from_bytes(&seed)
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|_| HolderKeyError::Format { path: path.to_owned() })?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    // Complete before it has its name: a crash never leaves half a key behind.
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        // Unlike rename, a link never replaces a key that somebody else made meanwhile.
        match fs::hard_link(&temporary, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        fs::remove_file(&temporary)?;
        File::open(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
            .sync_all()
    };
    write().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: ProofScope = ProofScope { token_id: [1; 32], seal: [2; 32], audience: [3; 32] };

    #[test]
    fn is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/holder.pem");
        let made = HolderKey::open_or_create(&path).unwrap();
        assert_eq!(HolderKey::open_or_create(&path).unwrap().public_key(), made.public_key());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        assert!(!format!("{made:?}").contains(&hex::encode(made.0.to_bytes())));

        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(HolderKey::open(&path), Err(HolderKeyError::Permissions { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "not a key").unwrap();
        assert!(matches!(HolderKey::open_or_create(&path), Err(HolderKeyError::Format { .. })));
    }

    #[test]
    fn minted_proofs_verify_and_differ() {
        let dir = tempfile::tempdir().unwrap();
        let key = HolderKey::open_or_create(&dir.path().join("k")).unwrap();
        let record = seal_token::TokenRecord {
            token_id: [1; 32],
            public_key: key.public_key(),
            seal: [2; 32],
            expires_ms: u64::MAX,
            revoked: false,
            stake_covers_tier: true,
        };
        let limits = seal_token::Limits { max_window_ms: 60_000, max_clock_skew_ms: 0 };
        let (one, two) =
            (key.mint(&SCOPE, 100_000, 60_000).unwrap(), key.mint(&SCOPE, 100_000, 60_000).unwrap());
        assert_ne!(one, two);
        let at = |now| seal_token::verify(&one, &[3; 32], Some(&record), now, &limits);
        assert_eq!(at(95_000), Ok(()));
        assert_eq!(at(154_999), Ok(()));
        assert_eq!(at(155_000), Err(seal_token::Refusal::Expired));
    }
}
