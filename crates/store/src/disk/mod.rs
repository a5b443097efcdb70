//! The file system as the store uses it: few operations, all of which can fail.
//!
//! [`SystemDisk`] is the real one. Everything that must survive a power cut goes through this trait, so that a disk
//! with faults can stand in for it: what a [`DiskFile`] was given is durable after [`DiskFile::sync`], a name after
//! [`Disk::sync_dir`], and nothing before.

mod stream;
mod system;

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

pub use stream::DiskStream;
pub use system::SystemDisk;

/// Directories and names.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Makes a directory and its parents, readable by the owner only. One that is there is left as it is.
    ///
    /// # Errors
    /// Of the file system.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock file `path` for this process until the result is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when somebody holds it; others of the file system.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// Everything in a directory, in no order.
    ///
    /// # Errors
    /// Of the file system.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;

    /// Makes an empty file, readable by the owner only; what had the name is gone.
    ///
    /// # Errors
    /// Of the file system.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]; others of the file system.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in the same directory; what had the name is gone.
    ///
    /// # Errors
    /// Of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Takes a name away. Who has the file open goes on using it.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]; others of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names of a directory durable.
    ///
    /// # Errors
    /// Of the file system; what is durable is then unknown.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;

    /// Bytes that can still be written to the file system of `path`.
    ///
    /// # Errors
    /// Of the file system.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// Held while a [`Disk::lock`] is.
pub trait DiskLock: Debug + Send {}

/// An open file.
#[allow(clippy::len_without_is_empty, reason = "a file's length can fail to be read")]
pub trait DiskFile: Debug + Send + Sync {
    /// Bytes of the file.
    ///
    /// # Errors
    /// Of the file system.
    fn len(&self) -> io::Result<u64>;

    /// Reads at a byte into the beginning of `buffer`; tells how much. 0 only at the end, or for an empty buffer.
    ///
    /// # Errors
    /// Of the file system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all `bytes` at a byte. What lies between the old end and `offset` is zeros.
    ///
    /// # Errors
    /// Of the file system; any part may have been written then.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file at least this long, with zeros, and its space certain, so that writes into it find room.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`]; [`io::ErrorKind::Unsupported`] where space cannot be reserved.
    fn reserve(&self, bytes: u64) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// Of the file system.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Returns when everything written is durable, with the length and whatever else it takes to read it back.
    ///
    /// # Errors
    /// Of the file system; what is durable is then unknown, and a later success proves nothing.
    fn sync(&self) -> io::Result<()>;
}
