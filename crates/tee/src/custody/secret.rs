use std::fmt;
use std::io;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::sealed_file::{self, SealedError};
use crate::{SealingKey, TeeError};

const PURPOSE: &str = "k3s-daas/cluster-secret";

/// The 32 bytes from which every key of a cluster's state comes, whatever machine it is on. Wiped when dropped; never printed.
///
/// On a machine it lies in a file that is sealed under the platform's key ([`Self::read`], [`Self::write`]). Whoever has it reads the cluster's state
/// and its CA keys; it is not the enclave's signing key, which each machine makes for itself.
#[derive(Clone)]
pub struct ClusterSecret(Zeroizing<[u8; 32]>);

impl ClusterSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`TeeError::Random`].
    pub fn generate() -> Result<Self, TeeError> {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new().fill(&mut bytes[..]).map_err(|_| TeeError::Random)?;
        Ok(Self(bytes))
    }

    /// Wraps what a release gave.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// Takes a platform's key itself for the secret: that of state that was sealed before there were cluster secrets.
    #[must_use]
    pub fn adopt(local: &SealingKey) -> Self {
        Self(local.bytes().clone())
    }

    /// The root of the cluster's keys.
    #[must_use]
    pub fn root(&self) -> SealingKey {
        SealingKey::from_bytes(*self.0)
    }

    /// A public value that only this secret has; it says nothing about the secret.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        *self.root().derive("k3s-daas/cluster-secret/commitment", b"").as_bytes()
    }

    /// Opens the file at `path` with the platform's key; `None` when there is none.
    ///
    /// # Errors
    /// When it does not open, or holds something else.
    pub fn read(path: &Path, local: &SealingKey) -> Result<Option<Self>, TeeError> {
        let sealed = |source| TeeError::Sealed { path: path.to_owned(), source };
        let bytes = match sealed_file::read(path, local, PURPOSE) {
            Err(SealedError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(sealed)?,
        };
        let length = bytes.len();
        let bytes = <[u8; 32]>::try_from(&bytes[..])
            .map_err(|_| TeeError::KeyLength { path: path.to_owned(), length })?;
        Ok(Some(Self(Zeroizing::new(bytes))))
    }

    /// Seals it at `path` under the platform's key.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, path: &Path, local: &SealingKey) -> Result<(), TeeError> {
        sealed_file::write(path, local, PURPOSE, &self.0[..])
            .map_err(|source| TeeError::Sealed { path: path.to_owned(), source })
    }

    pub(super) fn bytes(&self) -> &Zeroizing<[u8; 32]> {
        &self.0
    }
}

impl fmt::Debug for ClusterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClusterSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lies_sealed_and_opens_under_the_same_platform_key_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cluster.secret");
        let (ours, other) = (SealingKey::from_bytes([1; 32]), SealingKey::from_bytes([2; 32]));
        assert!(ClusterSecret::read(&path, &ours).unwrap().is_none());
        let secret = ClusterSecret::generate().unwrap();
        secret.write(&path, &ours).unwrap();
        let read = ClusterSecret::read(&path, &ours).unwrap().unwrap();
        assert_eq!(read.commitment(), secret.commitment());
        let on_disk = std::fs::read(&path).unwrap();
        assert!(!on_disk.windows(32).any(|window| window == &secret.bytes()[..]));
        let refused = ClusterSecret::read(&path, &other).unwrap_err();
        assert!(matches!(refused, TeeError::Sealed { source: SealedError::WrongKey, .. }), "{refused}");
    }

    #[test]
    fn an_adopted_key_is_the_root_that_it_was() {
        let local = SealingKey::from_bytes([9; 32]);
        let root = ClusterSecret::adopt(&local).root();
        assert_eq!(root.derive("store", b"x").as_bytes(), local.derive("store", b"x").as_bytes());
    }
}
