//! The master: gateway, membership and health of one cluster, over its sealed store and control plane.
//!
//! [`membership`] and [`health`] decide, without IO and with the clock passed in: who may join, who a user
//! is, what Kubernetes has to look like, which node is alive. Around them are thin shells: the gateway (one TLS
//! listener), the chain's follower, the Kubernetes client. [`Master::start`] puts them together.
//!
//! What revocation reaches: a token's proofs and every certificate that was signed under it are refused from
//! the checkpoint on, because the apiserver asks at each request and caches no answer. A *watch* that a removed
//! node opened before goes on until its timeout, because Kubernetes authorizes a request once, when it begins, and
//! cannot end one by user. The timeout is the client's choice (5 to 10 minutes for an honest kubelet), so who
//! removes a node that may be hostile should rotate the Secrets that its pods used. The watch shows only what
//! it was opened for: the node's own pods, and the Secrets and ConfigMaps that they named.
//!
//! ```
//! use master::Id;
//! use master::membership::{Fact, Membership, Limits, NodeCertificate, Refusal};
//!
//! let proof = seal_token::Limits { max_window_ms: 300_000, max_clock_skew_ms: 5_000 };
//! let mut membership = Membership::new([0; 32], Limits { proof, chain_silence_ms: 10_000 });
//! membership.chain_contact(1_000);
//! let certificate = NodeCertificate {
//!     user: "system:node:n1".into(),
//!     groups: vec!["system:nodes".into(), format!("k3s-daas:token:{}.1", Id([1; 32]))],
//! };
//! // No such token on chain: whatever CA signed it, this certificate opens nothing.
//! assert_eq!(membership.node_by_certificate(&certificate, None, 1_000), Err(Refusal::CertificateRevoked));
//! ```
#![forbid(unsafe_code)]

mod accounts;
mod anchor_check;
mod anchor_keeper;
mod anchor_poster;
#[cfg(test)]
mod anchor_tests;
mod archiver;
mod attestations;
mod attesting;
mod board;
mod bookkeeper;
mod config;
mod enclave;
mod error;
mod facts;
mod follow;
mod founding;
mod gateway;
pub mod health;
mod id;
mod k3s;
mod kubernetes;
mod master;
mod measured_settings;
pub mod membership;
mod memory;
mod metrics;
mod newcomer;
mod obtain;
mod outbox;
mod place;
mod platform;
mod registration;
mod release;
mod right;
mod shared;
#[cfg(test)]
mod standing_tests;
mod tls;
mod tunnels;
mod turns;
mod undeclared;
#[cfg(test)]
mod undeclared_tests;

pub use attestations::WorkersConfig;
pub use config::{ChainConfig, ClusterNetwork, Config, Engine, K3sConfig, ProofConfig, SealTo, TeeConfig};
pub use enclave::{Identity, deal, hand_over, identity, measurement_of, seal, store_key};
pub use error::MasterError;
pub use founding::{Committee, deal_before_serving, found};
pub use gateway::GatewayLimits;
pub use id::{BadId, Id};
pub use master::Master;
pub use measured_settings::measured_settings;
pub use newcomer::{Newcomer, recovery_dir};
pub use obtain::{Obtained, ReleaseConfig, kept, obtain};
pub use platform::{measured, open_platform};
pub use registration::RegistrationConfig;
