use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use super::directory::Listing;
use super::{Directory, Identity, Inventory, Segments, read_commands};
use crate::StoreError;
use crate::anchor::{Anchor, AnchorPoint};
use crate::disk::DiskStream;
use crate::mvcc::{Record, State};
use crate::seal::{
    FORMAT, FrameReader, HEADER_BYTES, Header, HeaderError, Keyring, Kind, Next, Position, Reason,
    SnapshotReadError, SnapshotReader,
};

/// A store as it was found, ready to go on.
pub(crate) struct Recovered {
    pub(crate) state: State,
    pub(crate) segments: Segments,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) identity: Identity,
    /// Bytes of a half-written record that were cut off.
    pub(crate) cut: u64,
    /// Whether a file was sealed under an older root key.
    pub(crate) older_root: bool,
}

/// Reads everything, refuses what is not what was written, and begins a new segment.
pub(crate) fn recover(
    directory: &Arc<Directory>,
    keyring: &Keyring,
    anchor: Option<&dyn Anchor>,
    segment_bytes: u64,
    min_key_epoch: u32,
    hold_history: bool,
) -> Result<Recovered, StoreError> {
    let listing = directory.list()?;
    let anchored = anchor.map(Anchor::load).transpose()?.flatten();
    let (replay, needed) = replay(directory, keyring, anchored, &listing, hold_history)?;
    replay.check_anchor(anchor.is_some())?;

    let store_id = replay.store_id.or(anchored.map(|point| point.store_id)).unwrap_or_else(rand::random);
    let anchored = anchor.is_some() || replay.was_anchored;
    // A new root key is a new generation too.
    let epoch = replay.epoch.saturating_add(u32::from(replay.older_root)).max(min_key_epoch);
    let identity = Identity::new(store_id, anchored, keyring.clone(), epoch);
    if let Some((number, end)) = replay.end {
        directory.end_segment(number, end, &replay.tail)?;
    }
    remove_outdated(directory, &listing.snapshots, &listing.segments, &needed)?;
    let position = replay.position;
    if let Some(anchor) = anchor {
        // Before the first file says that there is an anchor: a crash in between must not look like a lost one.
        anchor.store(&AnchorPoint {
            store_id: identity.store_id,
            sequence: position.sequence,
            revision: replay.state.revision(),
            chain: position.chain,
        })?;
    }
    let number = listing.segments.last().map_or(1, |last| last + 1);
    let known = needed.iter().map(|(number, header)| (*number, header.start.sequence));
    let inventory = Arc::new(Inventory::new(directory.clone(), known, replay.log_bytes, replay.snapshot));
    let segments = Segments::begin(
        directory.clone(),
        identity.clone(),
        inventory.clone(),
        segment_bytes,
        number,
        position,
    )?;
    Ok(Recovered {
        state: replay.state,
        segments,
        inventory,
        identity,
        cut: replay.cut,
        older_root: replay.older_root,
    })
}

/// The state as the files have it, with all the history that is in them; changes nothing.
pub(crate) fn look(
    directory: &Directory,
    keyring: &Keyring,
    anchor: Option<&dyn Anchor>,
) -> Result<State, StoreError> {
    let anchored = anchor.map(Anchor::load).transpose()?.flatten();
    let (replay, _) = replay(directory, keyring, anchored, &directory.list()?, true)?;
    replay.check_anchor(anchor.is_some())?;
    Ok(replay.state)
}

/// Reads everything; gives also the segments that are still needed.
fn replay<'a>(
    directory: &'a Directory,
    keyring: &'a Keyring,
    anchored: Option<AnchorPoint>,
    listing: &Listing,
    hold_history: bool,
) -> Result<(Replay<'a>, Vec<(u64, Header)>), StoreError> {
    let mut replay = Replay::new(directory, keyring, anchored);
    if let Some(&sequence) = listing.snapshots.last() {
        replay.load_snapshot(sequence)?;
    }
    if hold_history {
        // What a copy has is not known yet.
        replay.state.hold_after(0);
    }
    let needed = replay.needed(&listing.segments)?;
    for (index, (number, header)) in needed.iter().enumerate() {
        replay.segment(*number, header, index + 1 == needed.len())?;
    }
    Ok((replay, needed))
}

/// Why the snapshot in `path` cannot be read.
pub(crate) fn unreadable(path: &Path, snapshot: u64, error: SnapshotReadError) -> StoreError {
    match error {
        SnapshotReadError::Io(source) => StoreError::io("read", path)(source),
        SnapshotReadError::Tampered(offset) | SnapshotReadError::Header(HeaderError::Tampered(offset)) => {
            StoreError::SnapshotTampered { snapshot, offset }
        }
        SnapshotReadError::Header(HeaderError::WrongKey) => StoreError::WrongKey(path.to_owned()),
        SnapshotReadError::Header(HeaderError::Format(found)) => {
            StoreError::UnsupportedFormat { path: path.to_owned(), found, known: FORMAT }
        }
    }
}

/// Removes older snapshots and the segments that the newest one covers.
fn remove_outdated(
    directory: &Directory,
    snapshots: &[u64],
    segments: &[u64],
    needed: &[(u64, Header)],
) -> Result<(), StoreError> {
    let covered = segments.iter().filter(|number| !needed.iter().any(|(needed, _)| needed == *number));
    for number in covered {
        directory.remove(&directory.segment(*number))?;
    }
    for sequence in snapshots.iter().rev().skip(1) {
        directory.remove(&directory.snapshot(*sequence))?;
    }
    Ok(())
}

struct Replay<'a> {
    directory: &'a Directory,
    keyring: &'a Keyring,
    anchored: Option<AnchorPoint>,
    /// Hash over the log at the anchored record, once it is passed.
    chain_at_anchor: Option<[u8; 32]>,
    state: State,
    position: Position,
    store_id: Option<[u8; 16]>,
    was_anchored: bool,
    /// Latest generation of keys.
    epoch: u32,
    /// Whether a file was sealed under an older root key.
    older_root: bool,
    /// Last segment and where its last whole record ends.
    end: Option<(u64, u64)>,
    /// Its last record, sealed.
    tail: Vec<u8>,
    log_bytes: u64,
    snapshot: Option<(u64, u64)>,
    cut: u64,
    /// Where the cut bytes began, if they were more than reserved space.
    torn: Option<(u64, u64)>,
}

impl<'a> Replay<'a> {
    fn new(directory: &'a Directory, keyring: &'a Keyring, anchored: Option<AnchorPoint>) -> Self {
        let mut replay = Self {
            directory,
            keyring,
            anchored,
            chain_at_anchor: None,
            state: State::default(),
            position: Position::default(),
            store_id: None,
            was_anchored: false,
            epoch: 0,
            older_root: false,
            end: None,
            tail: Vec::new(),
            log_bytes: 0,
            snapshot: None,
            cut: 0,
            torn: None,
        };
        replay.note_position(Position::default());
        replay
    }

    fn note_position(&mut self, position: Position) {
        self.position = position;
        if self.anchored.is_some_and(|anchored| anchored.sequence == position.sequence) {
            self.chain_at_anchor = Some(position.chain);
        }
    }

    fn accept(
        &mut self,
        header: &Header,
        path: impl FnOnce() -> std::path::PathBuf,
    ) -> Result<(), StoreError> {
        let known = *self.store_id.get_or_insert(header.store_id);
        if known != header.store_id || self.anchored.is_some_and(|anchored| anchored.store_id != known) {
            return Err(StoreError::Foreign(path()));
        }
        self.was_anchored |= header.anchored;
        self.epoch = self.epoch.max(header.key_epoch);
        self.older_root |= header.root != 0;
        Ok(())
    }

    fn load_snapshot(&mut self, sequence: u64) -> Result<(), StoreError> {
        let path = self.directory.snapshot(sequence);
        let refused = |error| unreadable(&path, sequence, error);
        let file = self.directory.open_file(&path)?;
        let bytes = file.len().map_err(StoreError::io("read", &path))?;
        let input = BufReader::with_capacity(1 << 20, DiskStream::new(file));
        let (header, image, mut reader) = SnapshotReader::open(input, self.keyring).map_err(&refused)?;
        if header.kind != Kind::Snapshot || header.number != sequence || header.start.sequence != sequence {
            return Err(StoreError::SnapshotTampered { snapshot: sequence, offset: 0 });
        }
        self.accept(&header, || path.clone())?;
        let mut failure = None;
        let records = std::iter::from_fn(|| -> Option<Record> {
            reader.record().unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        });
        let restored = State::restore(&image, records);
        if let Some(error) = failure {
            return Err(refused(error));
        }
        self.state = restored.map_err(|source| StoreError::BadSnapshot { snapshot: sequence, source })?;
        self.snapshot = Some((sequence, bytes));
        self.note_position(header.start);
        Ok(())
    }

    /// The segments that the snapshot does not cover, with their headers.
    fn needed(&mut self, numbers: &[u64]) -> Result<Vec<(u64, Header)>, StoreError> {
        let mut needed = Vec::new();
        for &number in numbers {
            let path = self.directory.segment(number);
            let header = self.header(number)?;
            self.accept(&header, || path)?;
            if header.start.sequence >= self.position.sequence {
                needed.push((number, header));
            }
        }
        Ok(needed)
    }

    fn header(&self, number: u64) -> Result<Header, StoreError> {
        let path = self.directory.segment(number);
        let bytes = self.directory.read(&path, HEADER_BYTES as u64)?;
        let header = Header::open(&bytes, self.keyring).map_err(|error| match error {
            HeaderError::Tampered(offset) => StoreError::Tampered { segment: number, offset },
            HeaderError::WrongKey => StoreError::WrongKey(path),
            HeaderError::Format(found) => StoreError::UnsupportedFormat { path, found, known: FORMAT },
        })?;
        if header.kind != Kind::Segment || header.number != number {
            return Err(StoreError::Tampered { segment: number, offset: 0 });
        }
        Ok(header)
    }

    fn segment(&mut self, number: u64, header: &Header, last: bool) -> Result<(), StoreError> {
        let have = self.position.sequence;
        if header.start.sequence > have {
            let before = self.end.filter(|(before, _)| before + 1 == number);
            return Err(match before {
                Some((segment, _)) => {
                    StoreError::TruncatedMiddle { segment, have, expected: header.start.sequence }
                }
                None => StoreError::MissingSegment { segment: number, have, begins: header.start.sequence },
            });
        }
        if header.start != self.position {
            return Err(StoreError::Tampered { segment: number, offset: 0 });
        }
        let bytes = self.directory.read_segment(number)?;
        let mut reader = FrameReader::new(self.keyring.file_key(header), self.position, HEADER_BYTES);
        let mut tail = reader.offset();
        loop {
            let begin = reader.offset();
            match reader.next(&bytes) {
                Next::Frame(text) => {
                    self.frame(number, &reader, text)?;
                    tail = begin;
                }
                Next::End => break,
                Next::Broken(offset, Reason::Torn) if last => {
                    self.torn = Some((number, offset as u64));
                    self.cut = (bytes.len() - offset) as u64;
                    break;
                }
                Next::Broken(offset, reason) => {
                    let (segment, offset) = (number, offset as u64);
                    let expected = reader.position().sequence + 1;
                    return Err(match reason {
                        Reason::Torn | Reason::Changed => StoreError::Tampered { segment, offset },
                        Reason::Reordered(found) => {
                            StoreError::Reordered { segment, offset, expected, found }
                        }
                        Reason::Gap(found) => StoreError::Gap { segment, offset, expected, found },
                    });
                }
            }
        }
        self.log_bytes += (reader.offset() - HEADER_BYTES) as u64;
        self.end = Some((number, reader.offset() as u64));
        self.tail = bytes[tail..reader.offset()].to_vec();
        Ok(())
    }

    fn frame(&mut self, segment: u64, reader: &FrameReader, text: Vec<u8>) -> Result<(), StoreError> {
        let position = reader.position();
        let commands = read_commands(text).map_err(|error| StoreError::Malformed {
            segment,
            record: position.sequence,
            what: error.to_string(),
        })?;
        let mut changes = Vec::new();
        for command in commands {
            // A refusal was answered to the client then and changes nothing now either.
            let _refused = self.state.apply(command, &mut changes).is_err();
            changes.clear();
        }
        // History that was compacted then is not kept until the end of the log.
        while !self.state.scrub(4096) {}
        self.note_position(position);
        Ok(())
    }

    fn check_anchor(&self, has_anchor: bool) -> Result<(), StoreError> {
        let Some(anchored) = self.anchored else {
            return if has_anchor && self.was_anchored { Err(StoreError::AnchorMissing) } else { Ok(()) };
        };
        let have = self.position.sequence;
        if have < anchored.sequence {
            return Err(match self.torn {
                // The last record is damaged, and it was durable: no power cut did that.
                Some((segment, offset)) => StoreError::Tampered { segment, offset },
                None => StoreError::RolledBack { have, anchored: anchored.sequence },
            });
        }
        if self.chain_at_anchor != Some(anchored.chain) {
            return Err(StoreError::Forked { anchored: anchored.sequence });
        }
        Ok(())
    }
}
