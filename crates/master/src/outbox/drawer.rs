use std::io;
use std::path::{Path, PathBuf};

use tee::SealingKey;
use tee::sealed_file::{self, SealedError};

use crate::enclave::private_dir;
use crate::error::MasterError;

/// Sealed files by key in one directory: each is replaced whole and is durable when a call returns.
///
/// A file opens only under the key that it was written for, so nothing is taken for something else.
#[derive(Clone)]
pub(crate) struct Drawer {
    dir: PathBuf,
    sealing: SealingKey,
}

const SUFFIX: &str = ".sealed";

impl Drawer {
    pub(crate) fn open(dir: &Path, sealing: &SealingKey) -> Result<Self, MasterError> {
        Ok(Self { dir: private_dir(dir)?, sealing: sealing.clone() })
    }

    pub(crate) fn put(&self, key: &str, content: &[u8]) -> Result<(), MasterError> {
        let path = self.path(key)?;
        sealed_file::write(&path, &self.sealing, &purpose(key), content)
            .map_err(|source| MasterError::Sealed { path, source })
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Vec<u8>>, MasterError> {
        let path = self.path(key)?;
        match sealed_file::read(&path, &self.sealing, &purpose(key)) {
            // What is kept here is sealed so that nobody changes it; it is no secret.
            Ok(content) => Ok(Some(content.to_vec())),
            Err(SealedError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MasterError::Sealed { path, source }),
        }
    }

    /// What is not there need not be removed.
    pub(crate) fn remove(&self, key: &str) -> Result<(), MasterError> {
        let path = self.path(key)?;
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(MasterError::Io { action: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    /// Every key, in order.
    pub(crate) fn keys(&self) -> Result<Vec<String>, MasterError> {
        let io = |source| MasterError::Io { action: "read", path: self.dir.clone(), source };
        let mut keys = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(io)? {
            let name = entry.map_err(io)?.file_name();
            keys.extend(name.to_str().and_then(|name| name.strip_suffix(SUFFIX)).map(str::to_owned));
        }
        keys.sort();
        Ok(keys)
    }

    fn path(&self, key: &str) -> Result<PathBuf, MasterError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if key.is_empty() || key.len() > 200 || !key.bytes().all(good) {
            return Err(MasterError::Ended(format!("{key:?} is no key of a sealed file")));
        }
        Ok(self.dir.join(format!("{key}{SUFFIX}")))
    }
}

fn purpose(key: &str) -> String {
    format!("k3s-daas/drawer/{key}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_by_key_and_takes_nothing_for_something_else() {
        let dir = tempfile::tempdir().unwrap();
        let drawer = Drawer::open(dir.path(), &SealingKey::from_bytes([1; 32])).unwrap();
        drawer.put("b", b"two").unwrap();
        drawer.put("a", b"one").unwrap();
        drawer.put("a", b"one again").unwrap();
        assert_eq!(drawer.keys().unwrap(), ["a", "b"]);
        assert_eq!(drawer.get("a").unwrap().unwrap()[..], *b"one again");
        assert!(drawer.get("c").unwrap().is_none());
        std::fs::copy(dir.path().join("a.sealed"), dir.path().join("c.sealed")).unwrap();
        assert!(matches!(drawer.get("c"), Err(MasterError::Sealed { .. })));
        drawer.remove("c").unwrap();
        drawer.remove("c").unwrap();
        for bad in ["", "../a", "a/b", "a.b"] {
            assert!(drawer.put(bad, b"").is_err(), "{bad:?}");
        }
    }
}
