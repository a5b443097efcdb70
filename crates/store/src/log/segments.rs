use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::{Directory, Identity};
use crate::StoreError;
use crate::disk::DiskFile;
use crate::seal::{FrameSealer, HEADER_BYTES, Kind, Position, TAG_BYTES};

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
    /// Bytes appended since the last snapshot, without the headers of segments.
    log_bytes: AtomicU64,
    /// Bytes appended since the store was opened.
    appended_bytes: AtomicU64,
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
            appended_bytes: AtomicU64::new(0),
            snapshot: Mutex::new(snapshot),
        }
    }

    /// Bytes of log and snapshot; never none, for etcd's tools divide by them.
    pub(crate) fn disk_bytes(&self) -> u64 {
        let headers = (self.count() * HEADER_BYTES) as u64;
        self.log_bytes() + headers + self.snapshot.lock().map_or(0, |(_, bytes)| bytes)
    }

    pub(crate) fn log_bytes(&self) -> u64 {
        self.log_bytes.load(Ordering::Relaxed)
    }

    /// Bytes appended since the store was opened.
    pub(crate) fn appended_bytes(&self) -> u64 {
        self.appended_bytes.load(Ordering::Relaxed)
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
    /// Bytes for which the disk has room.
    reserved: u64,
    /// Up to here the file was written, with zeros at least.
    touched: u64,
    /// Whether there was no room for the next segment.
    full: bool,
    sealer: FrameSealer,
}

/// Frames below this size, and zeros ahead of them: a file system that has to note for each sync that reserved space is
/// now written pays for it once in many frames. Big frames are not worth the zeros.
const SMALL_FRAME: usize = 4 << 10;
const ZEROS_AHEAD: u64 = 64 << 10;
/// Zeros are written page by page: what is written at once may share one large folio of the page cache (Linux 6.16 and later on
/// ext4), and each small frame within it would then write the whole folio to the disk again.
const PAGE: usize = 4 << 10;

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
        Ok(Self {
            directory,
            identity,
            inventory,
            segment_bytes,
            number,
            file,
            written,
            reserved: reserve(segment_bytes),
            touched: written,
            full: false,
            sealer,
        })
    }

    /// The position after the last frame.
    pub(crate) fn position(&self) -> Position {
        self.sealer.position()
    }

    /// Whether there was no room for another segment lately. Frames still go into what is left of this one.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Seals the text behind [`FrameSealer::begin`] in `buffer`, writes it and returns when it is durable.
    ///
    /// # Errors
    /// [`StoreError::NoSpace`]: nothing was written, and the next frame may fit. After others the log is not to be used.
    pub(crate) fn append(&mut self, buffer: &mut Vec<u8>) -> Result<(), StoreError> {
        if self.written >= self.segment_bytes {
            match self.roll() {
                Err(StoreError::NoSpace(_)) if self.fits(buffer.len()) => {}
                rolled => rolled?,
            }
        }
        self.make_room(buffer.len())?;
        self.sealer.finish(buffer);
        let frame = buffer.len();
        self.write(buffer).map_err(StoreError::io("write", &self.directory.segment(self.number)))?;
        self.inventory.log_bytes.fetch_add(frame as u64, Ordering::Relaxed);
        self.inventory.appended_bytes.fetch_add(frame as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Writes a frame, zeros ahead of it where that is worth it, and syncs both.
    fn write(&mut self, frame: &[u8]) -> io::Result<()> {
        let end = self.written + frame.len() as u64;
        let mut touched = self.touched.max(end);
        self.file.write_all_at(frame, self.written)?;
        if frame.len() < SMALL_FRAME && end > self.touched {
            touched = (end + ZEROS_AHEAD).min(self.reserved).max(end);
            let mut at = end;
            while at < touched {
                let next = (at / PAGE as u64 + 1) * PAGE as u64;
                let zeros = next.min(touched) - at;
                self.file.write_all_at(&[0; PAGE][..zeros as usize], at)?;
                at += zeros;
            }
        }
        self.file.sync()?;
        self.touched = touched;
        self.written = end;
        Ok(())
    }

    fn fits(&self, text: usize) -> bool {
        self.written + (text + TAG_BYTES) as u64 <= self.reserved
    }

    /// Reserves more for a frame that is bigger than what is left.
    fn make_room(&mut self, text: usize) -> Result<(), StoreError> {
        if self.fits(text) {
            return Ok(());
        }
        let wanted = self.written + (text + TAG_BYTES) as u64;
        reserve_in(&*self.file, wanted, &self.directory.segment(self.number))?;
        self.reserved = wanted;
        Ok(())
    }

    /// Ends the segment, cutting what was reserved, and begins the next one.
    pub(crate) fn roll(&mut self) -> Result<(), StoreError> {
        let start = self.position();
        let number = self.number + 1;
        let created = create(&self.directory, &self.identity, self.segment_bytes, number, start);
        self.full = matches!(created, Err(StoreError::NoSpace(_)));
        let (file, sealer) = created?;
        self.end()?;
        self.inventory.segments.lock().push(Info { number, start: start.sequence });
        self.number = number;
        self.file = file;
        self.sealer = sealer;
        self.written = HEADER_BYTES as u64;
        self.reserved = reserve(self.segment_bytes);
        self.touched = self.written;
        Ok(())
    }

    /// Cuts what was reserved for frames that will not come.
    pub(crate) fn end(&self) -> Result<(), StoreError> {
        let ended = self.file.set_len(self.written).and_then(|()| self.file.sync());
        ended.map_err(StoreError::io("end", &self.directory.segment(self.number)))
    }
}

/// Bytes to reserve for a segment: with the frame that goes beyond its size, and some for deletions and compactions when
/// there is no room for the next one.
fn reserve(segment_bytes: u64) -> u64 {
    segment_bytes.saturating_add(segment_bytes / 8).max(HEADER_BYTES as u64)
}

/// Reserved space makes a full disk an error now instead of in the middle of a write, and syncing cheaper. Not every file
/// system can.
fn reserve_in(file: &dyn DiskFile, bytes: u64, path: &Path) -> Result<(), StoreError> {
    match file.reserve(bytes) {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(no_space("reserve", path, error)),
        _ => Ok(()),
    }
}

fn no_space(action: &'static str, path: &Path, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace(path.to_owned()),
        _ => StoreError::io(action, path)(error),
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
    let header = identity.header(Kind::Segment, number, start);
    let written = reserve_in(&*file, reserve(segment_bytes), &temporary).and_then(|()| {
        let written = file.write_all_at(&header.seal(&identity.keyring), 0).and_then(|()| file.sync());
        written.map_err(|error| no_space("write", &temporary, error))
    });
    // What was not finished must not take up the last room.
    written.inspect_err(|_| drop(directory.remove(&temporary)))?;
    directory.publish(&temporary, &target)?;
    Ok((file, FrameSealer::new(identity.keyring.file_key(&header), start)))
}
