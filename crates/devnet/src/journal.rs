//! The journal of a persistent chain: one checksummed record per checkpoint, fsynced before
//! anybody is told about the checkpoint.
//!
//! A record is `length: u32 LE ‖ check of the length: 4 bytes ‖ checksum: 16 bytes ‖ payload`, both
//! checks being prefixes of blake2b-256. A record that the end of the file cuts short, or whose
//! checksum fails with nothing after it, is what a crash leaves of an unacknowledged write: it is
//! cut off. Damage anywhere else is an error.
//!
//! A journal is written anew into a file beside it, which takes its place when it is whole on disk: a
//! crash leaves the one or the other.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sui_sdk_types::hash::Hasher;

use crate::error::JournalError;

const FILE: &str = "chain.journal";
const NEW_FILE: &str = "chain.journal.new";
const MAGIC: &[u8; 8] = b"DEVNETJ1";
const LENGTH: usize = 4;
const LENGTH_CHECK: usize = 4;
const CHECKSUM: usize = 16;
const HEADER: usize = LENGTH + LENGTH_CHECK + CHECKSUM;
/// Far above the largest checkpoint that can be made, far below what would exhaust memory.
const MAX_RECORD: usize = 256 << 20;

/// An open journal, at its end.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    length: u64,
    /// Its length when it was last written anew.
    compacted: u64,
}

impl Journal {
    /// Opens or makes the journal in `dir`, hands every record to `each` in order and cuts off a
    /// torn tail. `each` refuses a record with an error of its own, which ends the reading.
    ///
    /// # Errors
    ///
    /// [`JournalError`] as wrapped by `E`, or what `each` returned.
    pub(crate) fn open<E: From<JournalError>>(
        dir: &Path,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let path = dir.join(FILE);
        let io = |doing| {
            let path = path.clone();
            move |source| JournalError::Io { path, doing, source }
        };
        std::fs::create_dir_all(dir).map_err(io("cannot make the directory"))?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io("cannot open the journal"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(JournalError::Locked { path }.into());
            }
            Err(std::fs::TryLockError::Error(source)) => {
                return Err(io("cannot lock the journal")(source).into());
            }
        }
        let length = file.metadata().map_err(io("cannot read the journal's size"))?.len();
        let mut journal = Self { file, path: path.clone(), length, compacted: 0 };
        if length < MAGIC.len() as u64 {
            journal.begin()?;
            return Ok(journal);
        }
        let mut reader = BufReader::with_capacity(1 << 20, &journal.file);
        let mut magic = [0; MAGIC.len()];
        reader.read_exact(&mut magic).map_err(io("cannot read"))?;
        if &magic != MAGIC {
            return Err(JournalError::Format { path }.into());
        }
        let mut end = MAGIC.len() as u64;
        while let Some(payload) = read_record(&mut reader, &path, end, length)? {
            each(&payload)?;
            end += (HEADER + payload.len()) as u64;
        }
        if end < length {
            tracing::warn!(bytes = length - end, "cut a torn record off the end of the journal");
            journal.file.set_len(end).map_err(io("cannot cut the torn record"))?;
            journal.file.sync_all().map_err(io("cannot sync"))?;
        }
        journal.file.seek(SeekFrom::Start(end)).map_err(io("cannot seek"))?;
        journal.length = end;
        Ok(journal)
    }

    /// Appends one record and returns once it is on stable storage.
    ///
    /// # Errors
    ///
    /// When the record cannot be written and synced. The journal must not be used afterwards: what
    /// the disk holds is known again only after it was reopened.
    pub(crate) fn append(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        if payload.len() > MAX_RECORD {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "record too large");
            return Err(self.io("cannot append")(source));
        }
        let record = record(payload);
        self.file.write_all(&record).map_err(self.io("cannot append"))?;
        self.file.sync_data().map_err(self.io("cannot sync"))?;
        self.length += record.len() as u64;
        Ok(())
    }

    /// Bytes in it.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Whether it is longer than `least` and three times what it was when it was last written anew.
    pub(crate) fn is_longer_than(&self, least: u64) -> bool {
        self.length > least.max(3 * self.compacted)
    }

    /// Writes a journal with these records into `dir`.
    ///
    /// # Errors
    ///
    /// When there is one already, or it cannot be written.
    pub(crate) fn create(
        dir: &Path,
        records: &mut dyn Iterator<Item = Result<Vec<u8>, JournalError>>,
    ) -> Result<(), JournalError> {
        let path = dir.join(FILE);
        let io = |source| JournalError::Io { path: path.clone(), doing: "cannot make the directory", source };
        std::fs::create_dir_all(dir).map_err(io)?;
        if path.exists() {
            return Err(JournalError::Exists { path });
        }
        write_whole(dir, records).map(drop)
    }

    /// Replaces all records by these.
    ///
    /// # Errors
    ///
    /// When they cannot be written; the journal is then as it was, unless the last step failed: it must
    /// not be used afterwards.
    pub(crate) fn rewrite(
        &mut self,
        records: &mut dyn Iterator<Item = Result<Vec<u8>, JournalError>>,
    ) -> Result<(), JournalError> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        (self.file, self.length) = write_whole(dir, records)?;
        self.compacted = self.length;
        Ok(())
    }

    fn begin(&mut self) -> Result<(), JournalError> {
        self.file.set_len(0).map_err(self.io("cannot truncate"))?;
        self.file.seek(SeekFrom::Start(0)).map_err(self.io("cannot seek"))?;
        self.file.write_all(MAGIC).map_err(self.io("cannot write"))?;
        self.length = MAGIC.len() as u64;
        self.file.sync_all().map_err(self.io("cannot sync"))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(self.io("cannot sync the directory"))
    }

    fn io(&self, doing: &'static str) -> impl FnOnce(std::io::Error) -> JournalError + use<> {
        let path = self.path.clone();
        move |source| JournalError::Io { path, doing, source }
    }
}

/// A record as it is on disk.
fn record(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let mut record = Vec::with_capacity(HEADER + payload.len());
    record.extend_from_slice(&length);
    record.extend_from_slice(&checksum::<LENGTH_CHECK>(&length));
    record.extend_from_slice(&checksum::<CHECKSUM>(payload));
    record.extend_from_slice(payload);
    record
}

/// Writes a whole journal beside the one in `dir`, locks it and puts it in its place. Returns it, open
/// at its end, and its length.
fn write_whole(
    dir: &Path,
    records: &mut dyn Iterator<Item = Result<Vec<u8>, JournalError>>,
) -> Result<(File, u64), JournalError> {
    let path = dir.join(NEW_FILE);
    let io = |doing| {
        let path = path.clone();
        move |source| JournalError::Io { path, doing, source }
    };
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path);
    let file = file.map_err(io("cannot make the file"))?;
    file.try_lock().map_err(|_| JournalError::Locked { path: path.clone() })?;
    let mut writer = std::io::BufWriter::with_capacity(1 << 20, file);
    let mut length = MAGIC.len() as u64;
    writer.write_all(MAGIC).map_err(io("cannot write"))?;
    for payload in records {
        let payload = payload?;
        if payload.len() > MAX_RECORD {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, "record too large");
            return Err(io("cannot write")(source));
        }
        let record = record(&payload);
        length += record.len() as u64;
        writer.write_all(&record).map_err(io("cannot write"))?;
    }
    let file = writer.into_inner().map_err(|error| io("cannot write")(error.into_error()))?;
    file.sync_all().map_err(io("cannot sync"))?;
    std::fs::rename(&path, dir.join(FILE)).map_err(io("cannot rename"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("cannot sync the directory"))?;
    Ok((file, length))
}

/// Reads the record at `offset`; `None` at the end of the file or of what is whole in it.
fn read_record(
    reader: &mut impl Read,
    path: &Path,
    offset: u64,
    file_length: u64,
) -> Result<Option<Vec<u8>>, JournalError> {
    let io = |source| JournalError::Io { path: path.to_owned(), doing: "cannot read", source };
    let left = file_length.saturating_sub(offset);
    if left < HEADER as u64 {
        return Ok(None);
    }
    let mut header = [0; HEADER];
    reader.read_exact(&mut header).map_err(io)?;
    let (length, checks) = header.split_at(LENGTH);
    let (length_check, payload_check) = checks.split_at(LENGTH_CHECK);
    let size = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if checksum::<LENGTH_CHECK>(length) != length_check || size > MAX_RECORD {
        return Err(JournalError::Damaged { path: path.to_owned(), offset });
    }
    if size as u64 > left - HEADER as u64 {
        return Ok(None);
    }
    let mut payload = vec![0; size];
    reader.read_exact(&mut payload).map_err(io)?;
    if checksum::<CHECKSUM>(&payload) == payload_check {
        return Ok(Some(payload));
    }
    if (HEADER + size) as u64 == left {
        return Ok(None);
    }
    Err(JournalError::Damaged { path: path.to_owned(), offset })
}

fn checksum<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let digest = Hasher::digest(bytes).into_inner();
    std::array::from_fn(|i| digest[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(dir: &Path) -> Result<Vec<Vec<u8>>, JournalError> {
        let mut records = Vec::new();
        Journal::open(dir, |payload| {
            records.push(payload.to_vec());
            Ok::<_, JournalError>(())
        })?;
        Ok(records)
    }

    fn write(dir: &Path, payloads: &[&[u8]]) {
        let mut journal = Journal::open(dir, |_| Ok::<_, JournalError>(())).expect("open");
        for payload in payloads {
            journal.append(payload).expect("append");
        }
    }

    #[test]
    fn every_cut_leaves_a_prefix_of_whole_records() {
        let dir = tempfile::tempdir().expect("tempdir");
        let payloads: [&[u8]; 3] = [b"one", b"", b"three"];
        write(dir.path(), &payloads);
        let file = dir.path().join(FILE);
        let whole = std::fs::read(&file).expect("read");
        let mut ends = vec![MAGIC.len()];
        for payload in payloads {
            ends.push(ends[ends.len() - 1] + HEADER + payload.len());
        }
        for cut in MAGIC.len()..=whole.len() {
            std::fs::write(&file, &whole[..cut]).expect("write");
            let expected = ends.iter().filter(|end| **end <= cut).count() - 1;
            assert_eq!(records(dir.path()).expect("a torn tail is no error").len(), expected);
            let kept = std::fs::metadata(&file).expect("metadata").len();
            assert_eq!(kept as usize, ends[expected], "cut at {cut}");
        }
    }

    #[test]
    fn records_follow_a_cut_tail() {
        let dir = tempfile::tempdir().expect("tempdir");
        write(dir.path(), &[b"kept", b"torn"]);
        let file = dir.path().join(FILE);
        let whole = std::fs::read(&file).expect("read");
        std::fs::write(&file, &whole[..whole.len() - 1]).expect("write");
        write(dir.path(), &[b"after"]);
        assert_eq!(records(dir.path()).expect("open"), [b"kept".to_vec(), b"after".to_vec()]);
    }

    #[test]
    fn damage_before_the_end_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        write(dir.path(), &[b"one", b"two"]);
        let file = dir.path().join(FILE);
        let mut bytes = std::fs::read(&file).expect("read");
        let first = MAGIC.len();
        for at in first..first + HEADER + 3 {
            bytes[at] ^= 0x80;
            std::fs::write(&file, &bytes).expect("write");
            let refused = records(dir.path());
            assert!(
                matches!(refused, Err(JournalError::Damaged { offset, .. }) if offset == first as u64),
                "byte {at}"
            );
            bytes[at] ^= 0x80;
        }
    }

    #[test]
    fn a_rewrite_takes_the_place_of_all_records() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut journal = Journal::open(dir.path(), |_| Ok::<_, JournalError>(())).expect("open");
        (0..100u8).for_each(|n| journal.append(&[n; 100]).expect("append"));
        assert!(journal.is_longer_than(1_000));
        journal.rewrite(&mut [Ok(b"all".to_vec())].into_iter()).expect("rewrite");
        assert!(
            matches!(records(dir.path()), Err(JournalError::Locked { .. })),
            "the new file is locked too"
        );
        assert_eq!(journal.length(), std::fs::metadata(dir.path().join(FILE)).expect("metadata").len());
        assert!(!journal.is_longer_than(1));
        journal.append(b"more").expect("append");
        drop(journal);
        assert_eq!(records(dir.path()).expect("open"), [b"all".to_vec(), b"more".to_vec()]);
    }

    #[test]
    fn a_rewrite_that_breaks_off_changes_nothing() {
        let dir = tempfile::tempdir().expect("tempdir");
        let mut journal = Journal::open(dir.path(), |_| Ok::<_, JournalError>(())).expect("open");
        journal.append(b"old").expect("append");
        let source = std::io::Error::other("no space");
        let error = JournalError::Io { path: PathBuf::new(), doing: "cannot write", source };
        journal.rewrite(&mut [Ok(b"new".to_vec()), Err(error)].into_iter()).expect_err("an error");
        assert!(dir.path().join(NEW_FILE).exists(), "as a crash would leave it");
        journal.append(b"next").expect("append");
        drop(journal);
        assert_eq!(records(dir.path()).expect("open"), [b"old".to_vec(), b"next".to_vec()]);
    }

    #[test]
    fn a_second_opener_is_refused() {
        let dir = tempfile::tempdir().expect("tempdir");
        let _first = Journal::open(dir.path(), |_| Ok::<_, JournalError>(())).expect("open");
        assert!(matches!(records(dir.path()), Err(JournalError::Locked { .. })));
    }
}
