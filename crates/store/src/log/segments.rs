use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Directory, Identity};
use crate::StoreError;
use crate::disk::DiskFile;
use crate::seal::{FrameSealer, HEADER_BYTES, Kind, Position};

/// A finished or current segment.
#[derive(Clone, Copy, Debug)]
struct Info {
    number: u64,
    start: u64,
}

/// The segments that are there, for those who remove old ones while another appends.
#[derive(Debug)]
pub(crate) struct Inventory {
    directory: Arc<Directory>,
    segments: Mutex<Vec<Info>>,
    /// Bytes appended since the last snapshot.
    log_bytes: AtomicU64,
    /// The snapshot that the oldest segment continues: its sequence number and bytes.
    snapshot: Mutex<Option<(u64, u64)>>,
}

impl Inventory {
    /// Segments come as (number, sequence at which they start).
    pub(crate) fn new(
        directory: Arc<Directory>,
        segments: impl Iterator<Item = (u64, u64)>,
        log_bytes: u64,
        snapshot: Option<(u64, u64)>,
    ) -> Self {
        let segments = segments.map(|(number, start)| Info { number, start }).collect();
        Self {
            directory,
            segments: Mutex::new(segments),
            log_bytes: AtomicU64::new(log_bytes),
            snapshot: Mutex::new(snapshot),
        }
    }

    /// Bytes of log and snapshot.
    pub(crate) fn disk_bytes(&self) -> u64 {
        self.log_bytes() + self.snapshot.lock().map_or(0, |(_, bytes)| bytes)
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) -> usize {
        self.segments.lock().len()
    }

    /// Takes note of a new snapshot, and removes the one before and the segments that begin before `sequence`.
    pub(crate) fn covered_by(&self, sequence: u64, bytes: u64, covered_bytes: u64) -> Result<(), StoreError> {
        let before =
            self.snapshot.lock().replace((sequence, bytes)).filter(|(before, _)| *before != sequence);
        if let Some((before, _)) = before {
            self.directory.remove(&self.directory.snapshot(before))?;
        }
        let old: Vec<Info> = {
            let mut segments = self.segments.lock();
            // The current one stays; others that begin at `sequence` are empty.
            let current = segments.last().map(|segment| segment.number);
            let (old, kept) = segments.iter().partition(|segment| {
                segment.start <= sequence && Some(segment.number) != current && {
                    let next = segments.iter().find(|other| other.number > segment.number);
                    next.is_some_and(|next| next.start <= sequence)
                }
            });
            *segments = kept;
            old
        };
        // Oldest first, so that a crash in between leaves no hole.
        for segment in old {
            self.directory.remove(&self.directory.segment(segment.number))?;
        }
        self.log_bytes.fetch_sub(covered_bytes, Ordering::Relaxed);
        self.directory.sync()
    }
}

/// Appends frames to the current segment and begins new ones.
pub(crate) struct Segments {
    directory: Arc<Directory>,
    identity: Identity,
    inventory: Arc<Inventory>,
    segment_bytes: u64,
    number: u64,
    file: Box<dyn DiskFile>,
    written: u64,
    sealer: FrameSealer,
}

impl Segments {
    /// Begins segment `number` at `start`.
    pub(crate) fn begin(
        directory: Arc<Directory>,
        identity: Identity,
        inventory: Arc<Inventory>,
        segment_bytes: u64,
        number: u64,
        start: Position,
    ) -> Result<Self, StoreError> {
        let (file, sealer) = create(&directory, &identity, segment_bytes, number, start)?;
        inventory.segments.lock().push(Info { number, start: start.sequence });
        let written = HEADER_BYTES as u64;
        Ok(Self { directory, identity, inventory, segment_bytes, number, file, written, sealer })
    }

    /// The position after the last frame.
    pub(crate) fn position(&self) -> Position {
        self.sealer.position()
    }

    /// Seals the text behind [`FrameSealer::begin`] in `buffer`, writes it and returns when it is durable.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        if self.written >= self.segment_bytes {
            self.roll()?;
        }
        self.sealer.finish(buffer);
        let written = self.file.write_all_at(buffer, self.written).and_then(|()| self.file.sync());
        written.map_err(StoreError::io("write", &self.directory.segment(self.number)))?;
        self.written += buffer.len() as u64;
        self.inventory.log_bytes.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the segment, cutting what was reserved, and begins the next one.
    pub(crate) fn roll(&mut self) -> Result<(), StoreError> {
        let start = self.position();
        let number = self.number + 1;
        let (file, sealer) = create(&self.directory, &self.identity, self.segment_bytes, number, start)?;
        self.end()?;
        self.inventory.segments.lock().push(Info { number, start: start.sequence });
        self.number = number;
        self.file = file;
        self.sealer = sealer;
        self.written = HEADER_BYTES as u64;
        Ok(())
    }

    /// Cuts what was reserved for frames that will not come.
    pub(crate) fn end(&self) -> Result<(), StoreError> {
        let ended = self.file.set_len(self.written).and_then(|()| self.file.sync());
        ended.map_err(StoreError::io("end", &self.directory.segment(self.number)))
    }
}

fn create(
    directory: &Directory,
    identity: &Identity,
    segment_bytes: u64,
    number: u64,
    start: Position,
) -> Result<(Box<dyn DiskFile>, FrameSealer), StoreError> {
    let target = directory.segment(number);
    let (file, temporary) = directory.create_temporary(&target)?;
    // Reserved space makes a full disk an error now instead of in the middle of a write, and syncing cheaper. Not
    // every file system can.
    match file.reserve(segment_bytes) {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => {
            return Err(StoreError::io("reserve", &temporary)(error));
        }
        _ => {}
    }
    let header = identity.header(Kind::Segment, number, start);
    let written = file.write_all_at(&header.seal(&identity.keyring), 0).and_then(|()| file.sync());
    written.map_err(StoreError::io("write", &temporary))?;
    directory.publish(&temporary, &target)?;
    Ok((file, FrameSealer::new(identity.keyring.file_key(&header), start)))
}
