use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a master cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterError {
    /// The configuration lacks something or contradicts itself.
    #[error("configuration: {0}")]
    Config(String),
    /// A directory or socket could not be made.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// `k3s server` cannot be run.
    #[error(transparent)]
    K3s(#[from] engine::k3s::K3sError),
    /// The gateway's address cannot be used.
    #[error("cannot listen on {address}: {source}; is another master running?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why it failed.
        source: io::Error,
    },
    /// The platform, or a key that it seals.
    #[error("trusted execution: {0}")]
    Tee(#[from] tee::TeeError),
    /// The platform seals nothing, and nobody is named who would give the cluster's secret.
    #[error(
        "{kind} keeps no key from one start to the next, and the cluster's secret is not on this machine: name in \
         [master.tee.release] holders of the recovery committee, or masters, who are asked for it at each start of `k3s-daas master`; \
         a cluster that never ran begins with `k3s-daas master --new-cluster`"
    )]
    NothingKept {
        /// The platform.
        kind: tee::PlatformKind,
    },
    /// Nobody gave the cluster's secret to a platform that seals nothing.
    #[error(
        "{kind} keeps no key from one start to the next, and {source}. Start as many of them as it takes, and then this master again"
    )]
    Unobtained {
        /// The platform.
        kind: tee::PlatformKind,
        /// Who was asked, and what came of it.
        source: custody::Error,
    },
    /// There is nothing here that the cluster's secret would open.
    #[error(
        "{} is not there: the platform seals nothing, so the cluster's CA keys come with its state directory or by \
         `k3s-daas recover`; a cluster that never ran begins with `k3s-daas master --new-cluster`",
        path.display()
    )]
    NothingToOpen {
        /// Where the CA keys should be.
        path: PathBuf,
    },
    /// What `k3s-daas recover` began is not done.
    #[error(
        "a recovery into {} was not finished: run `k3s-daas recover` again, which goes on where it was; to give it up, \
         remove that directory",
        path.display()
    )]
    Unrecovered {
        /// The state directory.
        path: PathBuf,
    },
    /// A holder did not take its share, so nothing was sealed.
    #[error(
        "{holder} did not take its share of the cluster's secret, and nothing was started: {source}. Start again once everybody answers"
    )]
    NotDealt {
        /// Its name.
        holder: String,
        /// Why.
        source: custody::Error,
    },
    /// The sealed keys of the cluster cannot be read or written.
    #[error("sealed cluster keys {}: {source}", path.display())]
    Sealed {
        /// The sealed file.
        path: PathBuf,
        /// Why.
        source: tee::sealed_file::SealedError,
    },
    /// A key or certificate.
    #[error("cluster keys: {0}")]
    Pki(#[from] engine::pki::PkiError),
    /// The gateway's TLS.
    #[error("gateway TLS: {0}")]
    Tls(String),
    /// The platform gave no evidence for the gateway's TLS key.
    #[error("the gateway's attested certificate: {0}")]
    Attestation(#[source] tee::RaTlsError),
    /// The sealed store.
    #[error("store: {0}")]
    Store(#[from] store::StoreError),
    /// Snapshots into the cold store.
    #[error("snapshots: {0}")]
    Snapshots(#[from] archive::cold::ColdError),
    /// The store is not the state that the chain knows.
    #[error("refusing to serve: {0}")]
    Refused(#[from] archive::Refused),
    /// Nobody says whether the store is the latest state.
    #[error(
        "refusing to serve: the chain at {url} does not say whether this is the latest state of the cluster ({why}). \
         Make the chain reachable, or start with --accept-unanchored to serve all the same: an old copy of the \
         directory would not be noticed then"
    )]
    Unanchored {
        /// The endpoint.
        url: String,
        /// What happened.
        why: String,
    },
    /// Kubernetes' processes.
    #[error("control plane: {0}")]
    ControlPlane(#[from] engine::control_plane::ControlPlaneError),
    /// The apiserver did not do what was asked.
    #[error("kubernetes: {0}")]
    Kubernetes(#[from] kube::Error),
    /// A cluster's secret, or a committee that shall hold it.
    #[error("cluster secret: {0}")]
    Secret(#[from] tee::custody::CustodyError),
    /// A service that vouches for enclaves or holds keys.
    #[error("{0}")]
    Custody(#[from] custody::Error),
    /// The chain.
    #[error("chain: {0}")]
    Chain(#[from] chain::Error),
    /// The wallet that pays for posting the endpoint.
    #[error("gas wallet: {0}")]
    Keystore(#[from] chain::KeystoreError),
    /// Something is not ready in time.
    #[error("not ready after {seconds} s: {waiting_for}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// What is missing.
        waiting_for: String,
    },
    /// A part ended unexpectedly.
    #[error("{0}")]
    Ended(String),
}
