//! The cluster's keys: certificate authorities, the service-account key, and what they sign.
//!
//! Five trusts, each with a key of its own: the *server* CA of `/cacerts` (apiserver and gateway), the
//! *client* CA (users, components, kubelets as clients), the *kubelet* CA (kubelets as servers, so that a node,
//! which chooses its own addresses, cannot pose as the gateway), the *request-header* CA (kube-apiserver before
//! extension apiservers), and the service-account key.

mod authority;
mod cluster;
mod error;
mod identity;
mod profile;
mod request;

pub(crate) use authority::Authority;
pub use cluster::ClusterPki;
pub use error::PkiError;
pub use identity::Identity;
pub use profile::{Profile, Usage};
