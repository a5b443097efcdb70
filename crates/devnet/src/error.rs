//! What can go wrong when a chain is started or stopped.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::framework::FrameworkError;

/// Why a chain did not start, or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevnetError {
    /// The framework's bytecode cannot be used.
    #[error("cannot load the Sui framework")]
    Framework(#[from] FrameworkError),
    /// The journal of a persistent chain cannot be used.
    #[error("cannot use the chain's journal")]
    Journal(#[from] JournalError),
    /// The journal is readable, but what it says does not add up.
    #[error("the chain's journal is not consistent: {0}")]
    Inconsistent(String),
    /// The simulated root of Nitro documents is none.
    #[error("the simulated Nitro root is no X.509 certificate in DER")]
    NitroRoot,
    /// A new chain could not be made.
    #[error("cannot make the first checkpoint: {0}")]
    Genesis(String),
    /// The address to listen on cannot be had.
    #[error("cannot listen on {address}; is it in use?")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The chain is shut down, or its journal could not be written.
    #[error("the chain has stopped")]
    Stopped,
}

/// Why a journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file system refused.
    #[error("{path}: {doing}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the chain open.
    #[error("{path} is in use by another process; stop that chain first")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file is not a journal, or one of another version.
    #[error("{path} is not a journal of this version; remove it to start a new chain")]
    Format {
        /// The journal.
        path: PathBuf,
    },
    /// A chain would be written over.
    #[error("{path} is there already")]
    Exists {
        /// The journal.
        path: PathBuf,
    },
    /// A checkpoint has no recorded form.
    #[error("cannot encode a checkpoint")]
    Encode(#[source] bcs::Error),
    /// A record that is not the last one is damaged.
    #[error("{path} is damaged at byte {offset}, before its end; restore it or start a new chain")]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where the damaged record starts.
        offset: u64,
    },
}
