use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

/// Replaces `path` by `bytes`, mode 0600: readers see the old or the new content, never a part, and after
/// the return the new content survives a power cut.
///
/// # Errors
/// The file system's.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, bytes)?;
    fs::rename(&temporary, path).inspect_err(|_| remove_quietly(&temporary))?;
    sync_parent(path)
}

/// Creates `path` with `bytes`, mode 0600, unless it exists; `false` when somebody else was first.
pub(crate) fn create_new(path: &Path, bytes: &[u8]) -> io::Result<bool> {
    let temporary = write_beside(path, bytes)?;
    // Unlike rename, a link never replaces what is there.
    let linked = fs::hard_link(&temporary, path);
    remove_quietly(&temporary);
    match linked {
        Ok(()) => sync_parent(path).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut unique = [0; 8];
    SystemRandom::new().fill(&mut unique).map_err(|_| io::Error::other("no random bytes"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", hex::encode(unique)));
    let temporary = path.with_file_name(temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.inspect_err(|_| remove_quietly(&temporary))?;
    Ok(temporary)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

/// Best effort: the error that led here is the one worth reporting.
fn remove_quietly(path: &Path) {
    let _ = fs::remove_file(path);
}
