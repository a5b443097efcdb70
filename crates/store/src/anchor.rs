//! Anchors: what the world outside the data directory knows about it, so that an old copy is told from the latest.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prost::Message;
use tee::SealingKey;
use tee::sealed_file;

use crate::disk::{Disk, DiskStream};

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
    disk: Arc<dyn Disk>,
    path: PathBuf,
    key: SealingKey,
}

impl FileAnchor {
    const PURPOSE: &str = "k3s-daas/store/anchor";

    /// No anchor file is longer, by far.
    const MAX_BYTES: u64 = 4096;

    /// An anchor in `path`, sealed under `key`.
    pub fn new(disk: Arc<dyn Disk>, path: PathBuf, key: SealingKey) -> Self {
        Self { disk, path, key }
    }

    /// Readers see the old or the new content, and the new one survives a power cut.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path.with_extension("tmp");
        let file = self.disk.create(&temporary)?;
        file.write_all_at(bytes, 0)?;
        file.sync()?;
        self.disk.rename(&temporary, &self.path)?;
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.disk.sync_dir(parent.unwrap_or(Path::new(".")))
    }

    fn error(&self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> AnchorError {
        AnchorError { place: self.path.display().to_string(), source: source.into() }
    }
}

impl Anchor for FileAnchor {
    fn load(&self) -> Result<Option<AnchorPoint>, AnchorError> {
        let mut sealed = Vec::new();
        let read = self
            .disk
            .open(&self.path)
            .and_then(|file| DiskStream::new(file).take(Self::MAX_BYTES).read_to_end(&mut sealed));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| self.error(error))?,
        };
        let opened = sealed_file::open_bytes(&self.key, Self::PURPOSE, &sealed);
        let bytes = opened.map_err(|error| self.error(error))?;
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
        let sealed = sealed_file::seal_bytes(&self.key, Self::PURPOSE, &wire.encode_to_vec());
        self.replace(&sealed.map_err(|error| self.error(error))?).map_err(|error| self.error(error))
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
