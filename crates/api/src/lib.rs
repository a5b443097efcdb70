//! What goes over the wire between a worker or the command line and the master's gateway.
//!
//! Only shapes live here: no IO, no decisions. Every type is plain JSON; byte strings are lower-case
//! hexadecimal unless a field says base64. Times are milliseconds since the Unix epoch.
//!
//! ```
//! let beat: api::Heartbeat = serde_json::from_str(
//!     r#"{"nodeName":"n1","timestampMs":1,"ready":true,"metrics":{"cpuCores":2,"cpuUsedMillis":100,
//!         "memoryBytes":1024,"memoryUsedBytes":10,"diskBytes":4096,"diskUsedBytes":1,"pods":0},
//!         "instance":{"id":"000102030405060708090a0b0c0d0e0f","startedMs":1}}"#,
//! ).unwrap();
//! assert_eq!(beat.node_name, "n1");
//! ```
#![forbid(unsafe_code)]

mod attestation;
mod error;
mod node;
mod rewards;
mod status;
mod worker;

pub use attestation::{AttestationQuery, AttestationReply, NodeAttested, NodeEvidence};
pub use error::ErrorBody;
pub use node::{
    Heartbeat, HeartbeatReply, Instance, NodeDrain, NodeList, NodeMetrics, NodeState, NodeSummary,
};
pub use rewards::{RewardEpochs, RewardProof, ShardOfEpoch};
pub use status::{AnchorStatus, ChainStatus, MasterStatus, TeeStatus};
pub use worker::{
    EvidenceStatus, GatewayLink, LinkStatus, NodeAgentStatus, RewardState, RewardStatus, StakeStatus,
    WorkerStatus,
};
