use std::io;
use std::path::{Path, PathBuf};

use crate::anchor::AnchorError;
use crate::mvcc::RestoreError;

/// Why a store cannot be opened or served.
///
/// Damage has different words for different causes, because different people must act: a disk that loses sectors,
/// somebody who edits files, and somebody who puts an old copy back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error("{} is in use by another process; stop it or use another data directory", .0.display())]
    Locked(PathBuf),
    /// The files were sealed under a key that this program, on this platform, does not get.
    #[error("{} was sealed with another key: this is not the machine, the program or the policy that wrote it", .0.display())]
    WrongKey(PathBuf),
    /// A later version wrote the file.
    #[error("{} has format {found}, this program reads up to {known}; use a newer k3s-daas", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u16,
        /// The newest known one.
        known: u16,
    },
    /// Bytes of a segment are not those that were written.
    #[error("segment {segment:016x} was changed at byte {offset}; restore a snapshot")]
    Tampered {
        /// Number of the segment.
        segment: u64,
        /// Where in the file.
        offset: u64,
    },
    /// Bytes of a snapshot are not those that were written.
    #[error("snapshot {snapshot:016x} was changed at byte {offset}; restore another snapshot")]
    SnapshotTampered {
        /// Sequence number of the snapshot.
        snapshot: u64,
        /// Where in the file.
        offset: u64,
    },
    /// Whole records stand in a different order from that in which they were written.
    #[error(
        "segment {segment:016x} was reordered: at byte {offset} stands record {found} instead of {expected}"
    )]
    Reordered {
        /// Number of the segment.
        segment: u64,
        /// Where in the file.
        offset: u64,
        /// Record that belongs there.
        expected: u64,
        /// Record that is there.
        found: u64,
    },
    /// Whole records are missing from the middle of a segment.
    #[error("segment {segment:016x} lacks records {expected} to {} at byte {offset}", found - 1)]
    Gap {
        /// Number of the segment.
        segment: u64,
        /// Where in the file.
        offset: u64,
        /// First missing record.
        expected: u64,
        /// Record that stands there instead.
        found: u64,
    },
    /// A segment that is not the last one ends early.
    #[error(
        "segment {segment:016x} is truncated: it ends after record {have}, but record {expected} was written to it"
    )]
    TruncatedMiddle {
        /// Number of the segment.
        segment: u64,
        /// Last record found.
        have: u64,
        /// Last record that was written.
        expected: u64,
    },
    /// A whole segment is missing between others, or between the snapshot and the first one.
    #[error(
        "the log lacks the records after {have}: the next segment, {segment:016x}, begins after record {begins}"
    )]
    MissingSegment {
        /// The next segment that is there.
        segment: u64,
        /// Last record found.
        have: u64,
        /// Record after which the next segment begins.
        begins: u64,
    },
    /// A file belongs to a different store.
    #[error("{} belongs to another store", .0.display())]
    Foreign(PathBuf),
    /// The directory is an older copy: the anchor has seen more.
    #[error(
        "the data directory is an old copy: it ends at record {have}, but record {anchored} was anchored; \
         bring the newer copy back"
    )]
    RolledBack {
        /// Last record in the directory.
        have: u64,
        /// Last record that was anchored.
        anchored: u64,
    },
    /// The directory has as many records as were anchored, but others.
    #[error("the data directory is not the one that was anchored at record {anchored}: its history differs")]
    Forked {
        /// The anchored record.
        anchored: u64,
    },
    /// The store was used with an anchor before, and now there is none.
    #[error(
        "the store was anchored before, but its anchor is gone; bring it back, an old copy cannot be told without it"
    )]
    AnchorMissing,
    /// The anchor cannot be read or written.
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    /// Authentic bytes that make no sense: written by different code.
    #[error("segment {segment:016x}, record {record}: {what}")]
    Malformed {
        /// Number of the segment.
        segment: u64,
        /// The record.
        record: u64,
        /// What is wrong.
        what: String,
    },
    /// Authentic snapshot that makes no sense: written by different code.
    #[error("snapshot {snapshot:016x} cannot be used")]
    BadSnapshot {
        /// Sequence number of the snapshot.
        snapshot: u64,
        /// What is wrong.
        source: RestoreError,
    },
    /// A file is not what `etcdctl snapshot save` writes.
    #[error("{} is not a snapshot that can be restored: {what}", path.display())]
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is a store where one should be made.
    #[error("{} holds a store: restore into an empty directory, or move this one away first", .0.display())]
    NotEmpty(PathBuf),
    /// The disk is full; nothing was written.
    #[error("no space for {}; free some, or compact and defragment", .0.display())]
    NoSpace(PathBuf),
    /// The log can no longer be written, so nothing more is acknowledged.
    #[error("the store has stopped: {0}")]
    Failed(String),
    /// Certificates for TLS cannot be used.
    #[error("{}: {what}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
