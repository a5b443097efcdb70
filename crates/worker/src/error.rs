use std::io;
use std::net::SocketAddr;

use crate::HolderKeyError;

/// Why a worker could not start, or ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The configuration is out of bounds.
    #[error("worker configuration: {0}")]
    Config(String),
    /// The address of the worker's API is not to be had.
    #[error("cannot listen on {address}; is another worker running, or the port taken?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// What says whom to trust, or this machine's own platform, is not usable.
    #[error("attestation: {0}")]
    Tee(#[from] tee::TeeError),
    /// The holder's key is not usable.
    #[error(transparent)]
    HolderKey(#[from] HolderKeyError),
    /// The state directory is not usable.
    #[error("cannot use the state directory {}", path.display())]
    StateDir {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A step ended without an answer: a bug in this program.
    #[error("a step of the worker broke off; please report this with the log")]
    Internal(#[source] tokio::task::JoinError),
}
