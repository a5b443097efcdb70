//! The staker's agent: joins a cluster that it has verified, and keeps the membership alive.
//!
//! A [`Worker`] brings its own API up first, so that there is always somebody to ask. Then it reads
//! cluster, enclave, token and stake from the chain, checks that the gateway's CA and the master's attestation
//! are what the chain says, and only then sends proofs made with its [`HolderKey`]: for certificates, and
//! for heartbeats. It renews certificates and token early, verifies the master again whenever the connection
//! broke, and stops the node when the membership is over. Decisions are in [`agent`], without IO; the types in
//! [`gateway`] make it impossible to hand a proof to a master that was not verified.
//!
//! ```
//! # fn main() -> Result<(), worker::HolderKeyError> {
//! # let dir = tempfile::tempdir().unwrap();
//! let key = worker::HolderKey::open_or_create(&dir.path().join("holder.pem"))?;
//! let scope = worker::ProofScope { token_id: [1; 32], seal: [2; 32], audience: [3; 32] };
//! let proof = key.mint(&scope, 1_700_000_000_000, 60_000)?;
//! assert_eq!(proof.claims.token_id, [1; 32]);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod agent;
mod certificates;
mod chain_source;
mod clock;
mod cluster_settings;
mod config;
mod containers;
mod engine_node;
mod error;
mod evidence;
pub mod gateway;
mod holder_key;
mod k3s_node;
mod machine;
mod metrics;
mod node_agent;
mod node_password;
mod on_chain;
mod rewards;
mod server;
mod shell;
mod statements;
mod status;
mod tunnel;
mod usage;
mod worker;

pub use certificates::{CertificateError, KeyedCertificate, NodeBundle};
pub use chain_source::{ChainSource, Epoch, PostedShare};
pub use cluster_settings::ClusterSettings;
pub use config::{Config, ObjectId, TeeConfig};
pub use engine_node::{EngineNode, EngineNodeConfig};
pub use error::WorkerError;
pub use holder_key::{HolderKey, HolderKeyError, ProofScope};
pub use k3s_node::K3sNode;
pub use node_agent::{NodeAgent, NodeAgentError, NodeStatus, StopReason};
pub use on_chain::OnChain;
pub use tunnel::{Pods, Reach};
pub use worker::Worker;

/// An error with all its causes, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
