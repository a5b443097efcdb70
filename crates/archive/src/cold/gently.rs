//! Work on pieces beside a store that serves: in short stretches, on a thread of low priority, and with little on its way to
//! the disk at any time, for a sync of the store's log waits for what is before it in the queue.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use store::Pace;

use super::ColdError;
use super::directory::on_a_thread;
use super::piece::piece_memory;

/// Hashed, copied or synced at a stretch.
const STEP_BYTES: usize = 128 << 10;

/// Does `work` on a thread of low priority.
pub(super) async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ColdError> + Send + 'static,
) -> Result<T, ColdError> {
    let thread = ColdError::io("begin", Path::new("a thread"));
    on_a_thread(move || store::in_background("snapshot", work).map_err(thread)?).await
}

/// SHA-256.
pub(super) fn digest(bytes: &[u8]) -> Vec<u8> {
    let (mut pace, mut hasher) = (Pace::default(), Sha256::new());
    for part in bytes.chunks(STEP_BYTES) {
        hasher.update(part);
        pace.step();
    }
    hasher.finalize().to_vec()
}

/// All of a piece's file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, ColdError> {
    let read = || {
        let mut pace = Pace::default();
        let file = File::open(path)?;
        let mut bytes = piece_memory(usize::try_from(file.metadata()?.len()).unwrap_or_default());
        while (&file).take(STEP_BYTES as u64).read_to_end(&mut bytes)? > 0 {
            pace.step();
        }
        Ok(bytes)
    };
    read().map_err(ColdError::io("read", path))
}

/// Writes a file that may be gone or torn after a power cut, and is whole after anything less.
pub(super) fn write_loosely(path: &Path, bytes: &[u8]) -> Result<(), ColdError> {
    parts(path, bytes, |_| Ok(())).map_err(ColdError::io("write", path))
}

/// Writes a file whole or not at all, and durable.
pub(super) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), ColdError> {
    let temporary = path.with_extension("part");
    let renamed = parts(&temporary, bytes, File::sync_data)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all());
    // What was not finished must not stay; the error that led here is the one worth reporting.
    renamed.inspect_err(|_| drop(fs::remove_file(&temporary))).map_err(ColdError::io("write", path))
}

fn parts(path: &Path, bytes: &[u8], keep: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
    let mut pace = Pace::default();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    for part in bytes.chunks(STEP_BYTES) {
        file.write_all(part)?;
        keep(&file)?;
        pace.step();
    }
    Ok(())
}
