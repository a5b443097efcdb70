//! Anchors: what the world outside the data directory knows about it, so that an old copy is told from the latest.

use std::io;
use std::path::PathBuf;

use prost::Message;
use tee::SealingKey;
use tee::sealed_file::{self, SealedError};

/// A state of the log that was durable once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorPoint {
    /// Which store.
    pub store_id: [u8; 16],
    /// Last record of the log.
    pub sequence: u64,
    /// etcd revision after it.
    pub revision: i64,
    /// Hash over all records up to it.
    pub chain: [u8; 32],
}

/// Keeps the latest [`AnchorPoint`] where whoever can replace the data directory cannot replace it too.
///
/// Points only grow. The store calls `store` about once a second while there are writes, before it drops log that
/// a snapshot covers, and on close; never before the point is durable on its own disk.
pub trait Anchor: Send + Sync + 'static {
    /// The latest point, if there is any.
    ///
    /// # Errors
    /// It cannot be read, or is not authentic.
    fn load(&self) -> Result<Option<AnchorPoint>, AnchorError>;

    /// Replaces the latest point.
    ///
    /// # Errors
    /// It is not certain that the point is kept.
    fn store(&self, point: &AnchorPoint) -> Result<(), AnchorError>;
}

/// Why an anchor failed.
#[derive(Debug, thiserror::Error)]
#[error("anchor {place}")]
pub struct AnchorError {
    /// Where the anchor is.
    pub place: String,
    /// What happened.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// An anchor in a sealed local file, for the case that the data directory is copied back without it.
///
/// It protects only as far as the file is kept apart from the directory; the anchor on chain is the one that
/// nobody can turn back.
pub struct FileAnchor {
    path: PathBuf,
    key: SealingKey,
}

impl FileAnchor {
    const PURPOSE: &str = "k3s-daas/store/anchor";

    /// An anchor in `path`, sealed under `key`.
    pub fn new(path: PathBuf, key: SealingKey) -> Self {
        Self { path, key }
    }

    fn error(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AnchorError {
        AnchorError { place: self.path.display().to_string(), source: source.into() }
    }
}

impl Anchor for FileAnchor {
    fn load(&self) -> Result<Option<AnchorPoint>, AnchorError> {
        let bytes = match sealed_file::read(&self.path, &self.key, Self::PURPOSE) {
            Ok(bytes) => bytes,
            Err(SealedError::Io(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(error)),
        };
        let wire = Wire::decode(bytes.as_slice()).map_err(|error| self.error(error))?;
        match (wire.store_id.try_into(), wire.chain.try_into()) {
            (Ok(store_id), Ok(chain)) => {
                Ok(Some(AnchorPoint { store_id, sequence: wire.sequence, revision: wire.revision, chain }))
            }
            _ => Err(self.error("wrong length of an id")),
        }
    }

    fn store(&self, point: &AnchorPoint) -> Result<(), AnchorError> {
        let wire = Wire {
            store_id: point.store_id.to_vec(),
            sequence: point.sequence,
            revision: point.revision,
            chain: point.chain.to_vec(),
        };
        sealed_file::write(&self.path, &self.key, Self::PURPOSE, &wire.encode_to_vec())
            .map_err(|error| self.error(error))
    }
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Wire {
    #[prost(bytes = "vec", tag = "1")]
    store_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    sequence: u64,
    #[prost(int64, tag = "3")]
    revision: i64,
    #[prost(bytes = "vec", tag = "4")]
    chain: Vec<u8>,
}
