//! A disk that says "durable" before it has written: the last write to each file is still in this process's memory.
//! A store on it loses acknowledged writes when it is killed, which the suites must notice.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use store::disk::{Disk, DiskFile, DiskLock, SystemDisk};

#[derive(Debug)]
pub(crate) struct LazyDisk;

impl Disk for LazyDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_dir(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        SystemDisk.lock(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        SystemDisk.list(directory)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(LazyFile { file: SystemDisk.create(path)?, late: Mutex::default() }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        SystemDisk.open(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }

    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(directory)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        SystemDisk.free_bytes(path)
    }
}

#[derive(Debug)]
struct LazyFile {
    file: Box<dyn DiskFile>,
    late: Mutex<Late>,
}

#[derive(Debug, Default)]
struct Late {
    /// Whether the file has its first bytes.
    begun: bool,
    /// The write that waits for the next one.
    write: Option<(Vec<u8>, u64)>,
}

impl LazyFile {
    fn catch_up(&self) -> io::Result<()> {
        let late = self.late.lock().map_err(|_| io::Error::other("poisoned"))?.write.take();
        late.map_or(Ok(()), |(bytes, offset)| self.file.write_all_at(&bytes, offset))
    }
}

impl DiskFile for LazyFile {
    fn len(&self) -> io::Result<u64> {
        self.catch_up()?;
        self.file.len()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.catch_up()?;
        self.file.read_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.catch_up()?;
        let mut late = self.late.lock().map_err(|_| io::Error::other("poisoned"))?;
        if std::mem::replace(&mut late.begun, true) {
            late.write = Some((bytes.to_vec(), offset));
            return Ok(());
        }
        // The header is written: a file without one is not opened again at all.
        self.file.write_all_at(bytes, offset)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.file.reserve(bytes)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.catch_up()?;
        self.file.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}
