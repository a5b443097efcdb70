use std::path::PathBuf;

use crate::pki::PkiError;

/// Why K3s cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum K3sError {
    /// There is no such file.
    #[error(
        "there is no k3s binary {place}: install K3s (https://docs.k3s.io/installation), name it with --k3s-binary, or leave \
         --engine k3s out"
    )]
    Missing {
        /// Where it was looked for.
        place: String,
    },
    /// It does not say which version it is.
    #[error("{} --version does not answer with a version of K3s: {reason}", binary.display())]
    NoVersion {
        /// The binary.
        binary: PathBuf,
        /// What it did.
        reason: String,
    },
    /// The directory for its keys is not in memory.
    #[error(
        "{} cannot hold the keys of k3s server: {reason}. K3s wants the CAs' keys as files, and they may be on no disk: name in \
         [master.k3s] memory_dir a directory on a tmpfs whose programs can be executed",
        path.display()
    )]
    NotInMemory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
    /// What is in memory could be written to a disk.
    #[error(
        "swap is on, so the CAs' keys, which k3s server wants as files, could get to a disk: turn it off (swapoff -a) or run \
         without --engine k3s"
    )]
    Swap,
    /// A key or certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}
