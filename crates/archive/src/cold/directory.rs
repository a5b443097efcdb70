use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;

use super::{ColdError, ColdStore, gently};

/// Pieces as files of a directory, on another disk or a mounted share. Names are SHA-256 in hexadecimal.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Keeps pieces in `path`, which is made if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: PathBuf) -> Result<Self, ColdError> {
        fs::create_dir_all(&path).map_err(ColdError::io("make", &path))?;
        Ok(Self { path })
    }

    fn file(&self, name: &str) -> Result<PathBuf, ColdError> {
        Ok(self.path.join(format!("{}.piece", digest_name(name, &self.place())?)))
    }

    fn missing(&self, name: &str) -> ColdError {
        ColdError::Missing { place: self.place(), name: name.to_owned() }
    }
}

#[async_trait]
impl ColdStore for Directory {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn name(&self, piece: &[u8]) -> Result<String, ColdError> {
        Ok(hex::encode(gently::digest(piece)))
    }

    async fn put(&self, name: &str, piece: Bytes) -> Result<(), ColdError> {
        let path = self.file(name)?;
        gently::in_background(move || gently::write_durably(&path, &piece)).await
    }

    async fn get(&self, name: &str, most: usize) -> Result<Bytes, ColdError> {
        let path = self.file(name)?;
        let read = on_a_thread(move || match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(most as u64).read_to_end(&mut bytes).map_err(ColdError::io("read", &path))?;
                Ok(Some(bytes.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ColdError::io("read", &path)(error)),
        });
        read.await?.ok_or_else(|| self.missing(name))
    }

    async fn remove(&self, name: &str) -> Result<(), ColdError> {
        let path = self.file(name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ColdError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// `name`, if it is a digest: names come from elsewhere, and must not lead elsewhere.
pub(super) fn digest_name<'a>(name: &'a str, place: &str) -> Result<&'a str, ColdError> {
    if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(name);
    }
    Err(ColdError::Name { place: place.to_owned(), name: name.chars().take(64).collect() })
}

/// Whole or not at all, and durable.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), ColdError> {
    tee::write_durably(path, bytes).map_err(ColdError::io("write", path))
}

pub(super) async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ColdError> + Send + 'static,
) -> Result<T, ColdError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(ColdError::io("finish", Path::new("work on a file"))(io::Error::other(error))),
    }
}
