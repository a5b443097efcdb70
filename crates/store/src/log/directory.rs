use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::StoreError;
use crate::disk::{Disk, DiskFile, DiskLock, DiskStream};

/// No segment is longer; a file above is not ours.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// The data directory, held by an exclusive lock until it is released.
#[derive(Debug)]
pub(crate) struct Directory {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    lock: Mutex<Option<Box<dyn DiskLock>>>,
}

/// What a directory holds, in order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) segments: Vec<u64>,
    pub(crate) snapshots: Vec<u64>,
}

impl Directory {
    /// Makes the directory if need be and locks it.
    pub(crate) fn open(disk: Arc<dyn Disk>, path: &Path) -> Result<Self, StoreError> {
        disk.create_dir(path).map_err(StoreError::io("create", path))?;
        let lock_path = path.join("LOCK");
        let lock = disk.lock(&lock_path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => StoreError::Locked(path.to_owned()),
            _ => StoreError::io("lock", &lock_path)(error),
        })?;
        Ok(Self { disk, path: path.to_owned(), lock: Mutex::new(Some(lock)) })
    }

    /// Lets others open the directory; nothing may be written here any more.
    pub(crate) fn release(&self) {
        self.lock.lock().take();
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn segment(&self, number: u64) -> PathBuf {
        self.path.join(format!("{number:016x}.log"))
    }

    pub(crate) fn snapshot(&self, sequence: u64) -> PathBuf {
        self.path.join(format!("{sequence:016x}.snap"))
    }

    /// Segments and snapshots; unfinished files are removed on the way, so nobody may be writing one.
    pub(crate) fn list(&self) -> Result<Listing, StoreError> {
        let mut listing = Listing::default();
        for path in self.disk.list(&self.path).map_err(StoreError::io("list", &self.path))? {
            let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 16);
            let number = stem.and_then(|stem| u64::from_str_radix(stem, 16).ok());
            match (path.extension().and_then(|extension| extension.to_str()), number) {
                (Some("log"), Some(number)) => listing.segments.push(number),
                (Some("snap"), Some(number)) => listing.snapshots.push(number),
                (Some("tmp"), _) => self.remove(&path)?,
                _ => {}
            }
        }
        listing.segments.sort_unstable();
        listing.snapshots.sort_unstable();
        Ok(listing)
    }

    /// A file that is not there yet under the name it will have.
    pub(crate) fn create_temporary(&self, target: &Path) -> Result<(Box<dyn DiskFile>, PathBuf), StoreError> {
        let path = target.with_extension("tmp");
        Ok((self.disk.create(&path).map_err(StoreError::io("create", &path))?, path))
    }

    /// Bytes that can still be written here.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes(&self.path)
    }

    /// Gives a durable file its name, durably.
    pub(crate) fn publish(&self, temporary: &Path, target: &Path) -> Result<(), StoreError> {
        self.disk.rename(temporary, target).map_err(StoreError::io("rename", temporary))?;
        self.sync()
    }

    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync_dir(&self.path).map_err(StoreError::io("sync", &self.path))
    }

    /// Opens a file of the directory.
    pub(crate) fn open_file(&self, path: &Path) -> Result<Box<dyn DiskFile>, StoreError> {
        self.disk.open(path).map_err(StoreError::io("open", path))
    }

    /// Reads a whole segment.
    pub(crate) fn read_segment(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        let bytes = self.read(&self.segment(number), MAX_SEGMENT_BYTES + 1)?;
        if bytes.len() as u64 > MAX_SEGMENT_BYTES {
            return Err(StoreError::Tampered { segment: number, offset: MAX_SEGMENT_BYTES });
        }
        Ok(bytes)
    }

    /// Reads the first bytes of a file, fewer when it is shorter.
    pub(crate) fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, StoreError> {
        let file = self.open_file(path)?;
        let length = file.len().map_err(StoreError::io("read", path))?.min(most);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let read = DiskStream::new(file).take(most).read_to_end(&mut bytes);
        read.map_err(StoreError::io("read", path))?;
        Ok(bytes)
    }

    /// Cuts a segment after its last whole record, `tail`, and makes that durable.
    ///
    /// If the process that wrote it died of a failed sync, the record can be read and yet be gone after a power cut,
    /// and another sync does not help: after a failure the system takes what it could not write for written.
    pub(crate) fn end_segment(&self, number: u64, bytes: u64, tail: &[u8]) -> Result<(), StoreError> {
        let path = self.segment(number);
        let file = self.open_file(&path)?;
        let written = file.write_all_at(tail, bytes - tail.len() as u64);
        let ended = written.and_then(|()| file.set_len(bytes)).and_then(|()| file.sync());
        ended.map_err(StoreError::io("end", &path))
    }

    /// Removes a file that may be gone already.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }
}
