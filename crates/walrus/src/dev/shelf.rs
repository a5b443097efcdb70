use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::blob_id::BlobId;

/// Blobs in a directory, each with a record of the epochs it is kept for. Told what time it is.
#[derive(Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    epoch_ms: u64,
    /// When epoch 1 began.
    origin_ms: u64,
}

/// How long a blob is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) start_epoch: u32,
    /// The first in which it is gone.
    pub(super) end_epoch: u32,
    pub(super) deletable: bool,
}

#[derive(Deserialize, Serialize)]
struct Origin {
    origin_ms: u64,
}

/// What the directory made impossible.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShelfError {
    /// Reading or writing.
    #[error("{path}: {source}")]
    Io {
        /// Of the file.
        path: PathBuf,
        /// The system's.
        source: io::Error,
    },
    /// A record that nobody here wrote.
    #[error("{path} is no record of walrus-dev: {source}")]
    Record {
        /// Of the file.
        path: PathBuf,
        /// What is wrong with its JSON.
        source: serde_json::Error,
    },
}

impl Shelf {
    pub(super) fn open(dir: PathBuf, epoch: Duration, now_ms: u64) -> Result<Self, ShelfError> {
        fs::create_dir_all(&dir).map_err(|source| ShelfError::Io { path: dir.clone(), source })?;
        let path = dir.join("origin.json");
        let origin = match read_json::<Origin>(&path)? {
            Some(origin) => origin,
            None => {
                let origin = Origin { origin_ms: now_ms };
                write_json(&path, &origin)?;
                origin
            }
        };
        Ok(Self { dir, epoch_ms: (epoch.as_millis() as u64).max(1), origin_ms: origin.origin_ms })
    }

    /// The first epoch is 1.
    pub(super) fn epoch(&self, now_ms: u64) -> u32 {
        let epoch = now_ms.saturating_sub(self.origin_ms) / self.epoch_ms + 1;
        u32::try_from(epoch).unwrap_or(u32::MAX)
    }

    /// The record of a blob that is still kept.
    pub(super) fn record(&self, id: &BlobId, now_ms: u64) -> Result<Option<Record>, ShelfError> {
        let record = read_json::<Record>(&self.record_path(id))?;
        Ok(record.filter(|record| record.end_epoch > self.epoch(now_ms)))
    }

    pub(super) fn blob(&self, id: &BlobId, now_ms: u64) -> Result<Option<Bytes>, ShelfError> {
        if self.record(id, now_ms)?.is_none() {
            return Ok(None);
        }
        let path = self.blob_path(id);
        fs::read(&path).map(|blob| Some(blob.into())).map_err(|source| ShelfError::Io { path, source })
    }

    /// The blob first: a blob without a record is not there.
    pub(super) fn keep(&self, id: &BlobId, blob: &[u8], record: Record) -> Result<(), ShelfError> {
        write(&self.blob_path(id), blob)?;
        write_json(&self.record_path(id), &record)
    }

    fn blob_path(&self, id: &BlobId) -> PathBuf {
        self.dir.join(format!("{id}.blob"))
    }

    fn record_path(&self, id: &BlobId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, ShelfError> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .map(Some)
            .map_err(|source| ShelfError::Record { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ShelfError::Io { path: path.to_owned(), source }),
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ShelfError> {
    let text =
        serde_json::to_vec(value).map_err(|source| ShelfError::Record { path: path.to_owned(), source })?;
    write(path, &text)
}

/// Whole or not at all, and durable.
fn write(path: &Path, bytes: &[u8]) -> Result<(), ShelfError> {
    let failed = |source| ShelfError::Io { path: path.to_owned(), source };
    let beside = path.with_extension("new");
    let mut file = File::create(&beside).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed)
}
