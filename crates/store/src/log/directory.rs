use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};

use crate::StoreError;

/// No segment is longer; a file above is not ours.
const MAX_SEGMENT_BYTES: u64 = 1 << 30;

/// The data directory, held by an exclusive lock until it is released.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: Mutex<Option<File>>,
}

/// What a directory holds, in order.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) segments: Vec<u64>,
    pub(crate) snapshots: Vec<u64>,
}

impl Directory {
    /// Makes the directory if need be, locks it, and removes what was never finished.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(StoreError::io("create", path))?;
        let lock_path = path.join("LOCK");
        let options =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&lock_path);
        let lock = options.map_err(StoreError::io("open", &lock_path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::Locked(path.to_owned())),
            Err(error) => return Err(StoreError::io("lock", &lock_path)(error.into())),
        }
        Ok(Self { path: path.to_owned(), lock: Mutex::new(Some(lock)) })
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
        for entry in fs::read_dir(&self.path).map_err(StoreError::io("list", &self.path))? {
            let path = entry.map_err(StoreError::io("list", &self.path))?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 16);
            let number = stem.and_then(|stem| u64::from_str_radix(stem, 16).ok());
            match (path.extension().and_then(|extension| extension.to_str()), number) {
                (Some("log"), Some(number)) => listing.segments.push(number),
                (Some("snap"), Some(number)) => listing.snapshots.push(number),
                (Some("tmp"), _) => fs::remove_file(&path).map_err(StoreError::io("remove", &path))?,
                _ => {}
            }
        }
        listing.segments.sort_unstable();
        listing.snapshots.sort_unstable();
        Ok(listing)
    }

    /// A file that is not there yet under the name it will have.
    pub(crate) fn create_temporary(&self, target: &Path) -> Result<(File, PathBuf), StoreError> {
        let path = target.with_extension("tmp");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path);
        Ok((file.map_err(StoreError::io("create", &path))?, path))
    }

    /// Gives a durable file its name, durably.
    pub(crate) fn publish(&self, temporary: &Path, target: &Path) -> Result<(), StoreError> {
        fs::rename(temporary, target).map_err(StoreError::io("rename", temporary))?;
        self.sync()
    }

    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.path).and_then(|directory| directory.sync_all());
        synced.map_err(StoreError::io("sync", &self.path))
    }

    /// Reads a whole segment.
    pub(crate) fn read_segment(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        let path = self.segment(number);
        let mut bytes = Vec::new();
        let read =
            File::open(&path).and_then(|file| file.take(MAX_SEGMENT_BYTES + 1).read_to_end(&mut bytes));
        read.map_err(StoreError::io("read", &path))?;
        if bytes.len() as u64 > MAX_SEGMENT_BYTES {
            return Err(StoreError::Tampered { segment: number, offset: MAX_SEGMENT_BYTES });
        }
        Ok(bytes)
    }

    /// Cuts a segment after its last whole record.
    pub(crate) fn cut_segment(&self, number: u64, bytes: u64) -> Result<(), StoreError> {
        let path = self.segment(number);
        let cut = OpenOptions::new().write(true).open(&path).and_then(|file| {
            file.set_len(bytes)?;
            file.sync_all()
        });
        cut.map_err(StoreError::io("cut", &path))
    }

    /// Removes a file that may be gone already.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }
}
