//! How state is sealed: headers, frames and snapshots as pure functions between bytes and bytes.
//!
//! Every file starts with a [`Header`]: who wrote it, a fresh salt, and the [`Position`] it continues from. The
//! key of a file is derived from all of that, so no key is used for two files and no nonce twice: a log is never
//! appended to after it was opened again, a new segment begins instead.

mod frame;
mod header;
mod keyring;
mod position;
mod snapshot;

pub(crate) use frame::{FrameReader, FrameSealer, Next, Reason};
pub(crate) use header::{FORMAT, HEADER_BYTES, Header, HeaderError, Kind};
pub(crate) use keyring::Keyring;
pub(crate) use position::Position;
pub(crate) use snapshot::{SnapshotReadError, SnapshotReader, SnapshotSealer, seal_snapshot_text};

/// Bytes of an AES-256-GCM tag.
pub(crate) const TAG_BYTES: usize = 16;
