use std::net::SocketAddr;
use std::path::PathBuf;

use crate::pki::PkiError;

/// Why the control plane does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlPlaneError {
    /// A key or certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// `k3s server` cannot be run.
    #[error(transparent)]
    K3s(#[from] crate::k3s::K3sError),
    /// The address for kube-apiserver cannot be used.
    #[error("cannot listen on {address} for kube-apiserver: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A file or directory could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A process of an earlier run does not end.
    #[error("process {pid} of an earlier run does not end ({command}): end it by hand, then start again")]
    Leftover {
        /// Its id.
        pid: i32,
        /// Its command line.
        command: String,
    },
    /// kube-apiserver is not ready in time.
    #[error("kube-apiserver is not ready after {seconds} s: {last}; its log lines say why")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// Its last answer, or why there was none.
        last: String,
    },
    /// A certificate cannot be used for TLS.
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    /// An HTTP client could not be made.
    #[error("cannot make an HTTPS client: {0}")]
    Client(#[from] reqwest::Error),
}
