use std::io;
use std::path::PathBuf;

use tee::custody::CustodyError;

/// Why a service cannot start, or a key or signature was not got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A key file holds something else, or others may read it.
    #[error("{}: {problem}", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// A service could not be asked.
    #[error("{url}: {why}")]
    Unreachable {
        /// Which.
        url: String,
        /// Why.
        why: String,
    },
    /// A service refused.
    #[error("{url} refuses: {message} ({reason})")]
    Refused {
        /// Which.
        url: String,
        /// Stable name.
        reason: String,
        /// For people.
        message: String,
    },
    /// A service answered with something else than was asked for.
    #[error("{url} answered with {what}")]
    Nonsense {
        /// Which.
        url: String,
        /// What is wrong with the answer.
        what: String,
    },
    /// Not enough verifiers signed.
    #[error("{have} of {want} verifiers signed: {why}")]
    TooFewVerifiers {
        /// Signatures that count.
        have: usize,
        /// Signatures that it takes.
        want: u64,
        /// What the others said.
        why: String,
    },
    /// An object on chain is no key server that can be asked.
    #[error(transparent)]
    KeyServer(#[from] crate::seal::KeyServerError),
    /// Nothing is sealed to key servers.
    #[error(
        "the cluster's secret is not sealed to key servers of Seal: `k3s-daas committee seal` on a master does that"
    )]
    NotSealed,
    /// Nobody gave the cluster's secret.
    #[error("nobody gave the cluster's secret in {seconds} s: {who}")]
    Unobtained {
        /// How long they had.
        seconds: u64,
        /// Everybody who was to be asked, and what came of it.
        who: String,
    },
    /// Something that is received or given is not sound.
    #[error(transparent)]
    Custody(#[from] CustodyError),
    /// The platform.
    #[error("trusted execution: {0}")]
    Tee(#[from] tee::TeeError),
    /// The chain.
    #[error("chain: {0}")]
    Chain(#[from] chain::Error),
}
