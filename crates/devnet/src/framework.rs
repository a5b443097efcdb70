//! The Sui framework's compiled modules.
//!
//! They come from a file that `contracts/tools/framework.py` makes at set-up (`make setup`); see
//! there for where the bytes come from. The file is BCS of [`Framework`].

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Largest file that is read, bytes. The framework has about 100 KB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The modules of the packages `0x1` and `0x2`, each in Move's binary format.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Framework {
    /// The Move standard library, package `0x1`.
    pub std: Vec<Vec<u8>>,
    /// The Sui framework, package `0x2`.
    pub sui: Vec<Vec<u8>>,
}

impl fmt::Debug for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framework").field("std", &self.std.len()).field("sui", &self.sui.len()).finish()
    }
}

/// Why the framework's modules are not to be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameworkError {
    /// The file is not there.
    #[error("there is no {0}; `make setup` makes it")]
    Missing(PathBuf),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any framework is.
    #[error("{path} has {bytes} bytes, more than a framework has; remove it and run `make setup`")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file is something else.
    #[error("{path} is not a framework file; remove it and run `make setup`")]
    Format {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        #[source]
        source: bcs::Error,
    },
}

/// Reads the framework from `path`.
///
/// # Errors
///
/// If the file is missing, unreadable or not a framework file; each says what to do about it.
pub fn load(path: &Path) -> Result<Framework, FrameworkError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => FrameworkError::Missing(path.to_owned()),
        _ => FrameworkError::Io { path: path.to_owned(), source },
    };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > MAX_BYTES {
        return Err(FrameworkError::TooLarge { path: path.to_owned(), bytes });
    }
    let contents = std::fs::read(path).map_err(io)?;
    bcs::from_bytes(&contents).map_err(|source| FrameworkError::Format { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_says_how_to_make_it() {
        let error = load(Path::new("/nonexistent/framework.bcs")).unwrap_err();
        assert!(error.to_string().contains("make setup"), "{error}");
    }

    #[test]
    fn reads_what_the_script_writes_and_refuses_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("framework.bcs");
        std::fs::write(&path, [1, 2, 7, 8, 2, 1, 9, 0]).unwrap();
        let framework = load(&path).unwrap();
        assert_eq!(framework.std, [vec![7, 8]]);
        assert_eq!(framework.sui, [vec![9], vec![]]);

        std::fs::write(&path, [1, 2, 7, 8, 2, 1, 9, 0, 0]).unwrap();
        assert!(matches!(load(&path), Err(FrameworkError::Format { .. })));
    }
}
