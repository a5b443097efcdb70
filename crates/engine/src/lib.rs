//! Runs Kubernetes on this machine: its keys, its control-plane processes and its node processes.
//!
//! [`pki`] makes and signs certificates, [`supervise`] keeps children running, [`control_plane`] runs
//! kube-apiserver, kube-controller-manager and kube-scheduler over an etcd endpoint, [`node`] runs containerd,
//! kubelet and kube-proxy, [`check`] says what a machine lacks. Nothing here knows of chains, stakes or TEEs.
//!
//! ```
//! use engine::pki::{ClusterPki, Profile};
//!
//! let now_ms = 1_800_000_000_000;
//! let pki = ClusterPki::generate(now_ms).unwrap();
//! let admin = pki.issue(&Profile::client("me", &["system:masters"], 3600), now_ms).unwrap();
//! assert!(admin.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
//! // What goes to disk is sealed by the caller.
//! assert!(!pki.to_bytes().unwrap().is_empty());
//! ```

pub mod batteries;
pub mod check;
pub mod control_plane;
pub mod k3s;
pub mod node;
pub mod pki;
pub mod supervise;
pub mod tls;

pub use batteries::{Battery, Disabled};
pub use control_plane::{ControlPlane, ControlPlaneConfig};
pub use node::{Node, NodeConfig};
