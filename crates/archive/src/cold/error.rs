use std::io;
use std::path::{Path, PathBuf};

use super::price::PriceError;
use store::{EtcdError, StoreError};

/// Why a snapshot was not taken, stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ColdError {
    /// A local file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The system's.
        source: io::Error,
    },
    /// Walrus.
    #[error(transparent)]
    Walrus(#[from] walrus::WalrusError),
    /// Walrus, for a time that it does not have.
    #[error("Walrus keeps pieces for 2 to {most} epochs, not for {epochs}: set `epochs`")]
    Epochs {
        /// As configured.
        epochs: u32,
        /// Walrus's bound.
        most: u32,
    },
    /// The price on Sui.
    #[error("the price of Walrus cannot be read: {0}")]
    Price(#[from] PriceError),
    /// An object store.
    #[error("{place}: {source}")]
    Objects {
        /// The cold store.
        place: String,
        /// The client's.
        source: Box<object_store::Error>,
    },
    /// No credentials in the file that is named for them.
    #[error("{} has no aws_access_key_id and aws_secret_access_key under [default]", .0.display())]
    Credentials(PathBuf),
    /// The cold store has no such piece.
    #[error("{place} has no piece {name}: it was removed, or its time there is over")]
    Missing {
        /// The cold store.
        place: String,
        /// The piece.
        name: String,
    },
    /// A name that this cold store never gives.
    #[error("{name:?} is no name of a piece in {place}")]
    Name {
        /// The cold store.
        place: String,
        /// As given.
        name: String,
    },
    /// Not the piece that the index names.
    #[error("piece {0} is not what was stored under this name: it was exchanged or changed")]
    Exchanged(String),
    /// A snapshot that was taken and not yet sent.
    #[error("{} is not what was written there, a power cut may have torn it: another snapshot is taken", .0.display())]
    Torn(PathBuf),
    /// Not ours, or changed.
    #[error("piece {name} was changed or cut short, at about byte {offset}")]
    Tampered {
        /// The piece.
        name: String,
        /// Roughly where.
        offset: u64,
    },
    /// No piece at all.
    #[error("{0} is no piece of a snapshot")]
    NotAPiece(String),
    /// Written by a newer version.
    #[error("piece {name} has format {found}, and this version reads up to {known}: use a newer k3s-daas")]
    Newer {
        /// The piece.
        name: String,
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Sealed under another key.
    #[error("piece {0} is sealed under a key that this machine does not have")]
    WrongKey(String),
    /// It belongs to another cluster.
    #[error("snapshot {name} is of cluster {found}, not of {expected}")]
    OtherCluster {
        /// The snapshot.
        name: String,
        /// Its cluster.
        found: String,
        /// Ours.
        expected: String,
    },
    /// The chain does not fit together.
    #[error("snapshot {name} is inconsistent: {what}")]
    Inconsistent {
        /// The snapshot.
        name: String,
        /// In what.
        what: &'static str,
    },
    /// A revision that no snapshot of the chain has.
    #[error("revision {wanted} is not in this chain, which has {from} to {to}")]
    Revision {
        /// As asked.
        wanted: i64,
        /// The base's.
        from: i64,
        /// The last one's.
        to: i64,
    },
    /// A catalogue or a spool that nobody here wrote.
    #[error("{} cannot be read: {source}; remove it, and a new base will be taken", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store refuses to be copied.
    #[error("the store gives no copy: {0}")]
    Extract(#[from] EtcdError),
}

impl ColdError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
