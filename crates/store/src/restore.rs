//! Making a store from a snapshot that `etcdctl snapshot save` wrote.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};

use crate::disk::DiskStream;
use crate::export::PAGE;
use crate::log::{Directory, Identity, unreadable};
use crate::mvcc::{Image, Record};
use crate::seal::{Header, Keyring, Kind, SnapshotReader, SnapshotSealer};
use crate::{Config, StoreError};

/// SHA-256 at the end.
const CHECKSUM_BYTES: u64 = 32;

/// What a saved snapshot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStatus {
    /// Random name of the store that it was taken from.
    pub store_id: [u8; 16],
    /// Generation of the keys that it is sealed under.
    pub key_epoch: u32,
    /// Revision that it holds.
    pub revision: i64,
    /// Revision below which history is gone.
    pub compact_revision: i64,
    /// Leases.
    pub leases: usize,
    /// Versions of keys, tombstones too.
    pub records: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Reads and checks all of a saved snapshot. Of `config` only the keys are used.
///
/// # Errors
/// It is no snapshot, was changed or cut short, or is sealed under other keys.
pub fn snapshot_status(config: &Config, snapshot: &Path) -> Result<SnapshotStatus, StoreError> {
    let keyring = Keyring::new(config.key.clone()).with_older(config.older_keys.iter().cloned());
    let mut saved = Saved::open(snapshot, &keyring)?;
    saved.copy(|_| Ok(()))
}

/// How a restored store goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resume {
    /// At the snapshot's revision, with its history.
    #[default]
    AsSaved,
    /// This many revisions later and without history, so that no client that saw more than the snapshot takes new for old:
    /// its watches are cancelled as compacted, and it lists anew. etcd's `--bump-revision` with `--mark-compacted`.
    Bumped(i64),
}

/// Makes a new store in `config.data_dir`, which must not hold one, with everything that a saved snapshot holds: keys,
/// history, revisions, leases and alarms. It gets a new identity, so that it is never taken for the store that the
/// snapshot came from, nor that store's anchor for its own.
///
/// # Errors
/// As [`snapshot_status`], or the directory holds a store or cannot be written, or there are no such revisions. What was
/// begun is removed then.
pub fn restore(config: &Config, snapshot: &Path, resume: Resume) -> Result<SnapshotStatus, StoreError> {
    let keyring = Keyring::new(config.key.clone()).with_older(config.older_keys.iter().cloned());
    let mut saved = Saved::open(snapshot, &keyring)?;
    saved.resume(resume)?;
    let directory = Directory::open(config.disk.clone(), &config.data_dir)?;
    let listing = directory.list()?;
    if !listing.segments.is_empty() || !listing.snapshots.is_empty() {
        return Err(StoreError::NotEmpty(config.data_dir.clone()));
    }
    let start = saved.header.start;
    let identity = Identity::new(rand::random(), false, keyring.clone(), saved.header.key_epoch);
    let target = directory.snapshot(start.sequence);
    let (file, temporary) = directory.create_temporary(&target)?;
    let header = identity.header(Kind::Snapshot, start.sequence, start);
    let out = BufWriter::with_capacity(1 << 20, DiskStream::new(file));
    let outcome = (|| {
        let mut sealer = SnapshotSealer::new(&header, &keyring, out, &saved.image)
            .map_err(StoreError::io("write", &temporary))?;
        let status =
            saved.copy(|record| sealer.record(record).map_err(StoreError::io("write", &temporary)))?;
        let sealed = sealer.finish().and_then(|mut out| {
            out.flush()?;
            out.get_ref().file().sync()
        });
        sealed.map_err(StoreError::io("write", &temporary))?;
        directory.publish(&temporary, &target)?;
        Ok(status)
    })();
    if outcome.is_err() {
        directory.remove(&temporary)?;
    }
    outcome
}

/// A saved snapshot whose checksum was right.
struct Saved {
    path: PathBuf,
    bytes: u64,
    header: Header,
    image: Image,
    reader: SnapshotReader<BufReader<io::Take<File>>>,
}

impl Saved {
    fn open(path: &Path, keyring: &Keyring) -> Result<Self, StoreError> {
        let refused = |what: &'static str| StoreError::NotASnapshot { path: path.to_owned(), what };
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        let bytes = file.metadata().map_err(StoreError::io("read", path))?.len();
        let Some(body) = bytes.checked_sub(CHECKSUM_BYTES).filter(|body| *body > 0 && body % PAGE == 0)
        else {
            return Err(refused("its length is not that of a saved snapshot; save it again"));
        };
        if !checksum_is_right(&mut file, body).map_err(StoreError::io("read", path))? {
            return Err(refused("its checksum is wrong: it was changed or cut short; save it again"));
        }
        file.rewind().map_err(StoreError::io("read", path))?;
        let input = BufReader::with_capacity(1 << 20, file.take(body));
        let opened = SnapshotReader::open(input, keyring).map_err(|error| unreadable(path, 0, error));
        let (header, image, reader) = match opened {
            // The first bytes are not ours, though the checksum is right.
            Err(StoreError::SnapshotTampered { offset: 0, .. }) => {
                return Err(refused("it is not of this store's format: etcd's own snapshots cannot be read"));
            }
            other => other?,
        };
        if header.kind != Kind::Snapshot {
            return Err(refused("it is a part of a log"));
        }
        Ok(Self { path: path.to_owned(), bytes, header, image, reader })
    }

    /// Changes the image to what a store is to go on from.
    fn resume(&mut self, resume: Resume) -> Result<(), StoreError> {
        let Resume::Bumped(by) = resume else { return Ok(()) };
        let bumped = self.image.revision.checked_add(by).filter(|_| by > 0);
        let what = "its revision cannot be moved on by that much; give a positive number of revisions";
        self.image.revision =
            bumped.ok_or_else(|| StoreError::NotASnapshot { path: self.path.clone(), what })?;
        self.image.compact_revision = self.image.revision;
        self.image.kept_from = 0;
        Ok(())
    }

    /// Gives every record to `each` and tells what there was.
    fn copy(
        &mut self,
        mut each: impl FnMut(&Record) -> Result<(), StoreError>,
    ) -> Result<SnapshotStatus, StoreError> {
        let (path, number) = (&self.path, self.header.number);
        let mut records = 0;
        while let Some(record) = self.reader.record().map_err(|error| unreadable(path, number, error))? {
            each(&record)?;
            records += 1;
        }
        Ok(SnapshotStatus {
            store_id: self.header.store_id,
            key_epoch: self.header.key_epoch,
            revision: self.image.revision,
            compact_revision: self.image.compact_revision,
            leases: self.image.leases.len(),
            records,
            bytes: self.bytes,
        })
    }
}

fn checksum_is_right(file: &mut File, body: u64) -> io::Result<bool> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; 1 << 20];
    let mut rest = body;
    while rest > 0 {
        let wanted = usize::try_from(rest).unwrap_or(usize::MAX).min(buffer.len());
        file.read_exact(&mut buffer[..wanted])?;
        context.update(&buffer[..wanted]);
        rest -= wanted as u64;
    }
    file.seek(SeekFrom::Start(body))?;
    let mut expected = [0; CHECKSUM_BYTES as usize];
    file.read_exact(&mut expected)?;
    Ok(context.finish().as_ref() == expected)
}
