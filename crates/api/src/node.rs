use serde::{Deserialize, Serialize};

/// Body of `POST /api/v1/nodes/heartbeat`, authenticated by a seal proof as bearer token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Heartbeat {
    /// The name pinned to the stake on chain; the proof must belong to it.
    pub node_name: String,
    /// The worker's clock when it was sent.
    pub timestamp_ms: u64,
    /// Whether kubelet and container runtime are up by the worker's own judgement.
    pub ready: bool,
    /// Why not, when `ready` is false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the machine looks like now.
    pub metrics: NodeMetrics,
}

/// Use of one machine.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NodeMetrics {
    /// Number of processors.
    pub cpu_cores: u32,
    /// Processor time used over the last interval, in thousandths of a core.
    pub cpu_used_millis: u64,
    /// Physical memory, bytes.
    pub memory_bytes: u64,
    /// Memory in use without reclaimable cache, bytes.
    pub memory_used_bytes: u64,
    /// Size of the file system that holds the worker's state, bytes.
    pub disk_bytes: u64,
    /// Used part of it, bytes.
    pub disk_used_bytes: u64,
    /// Running pods.
    pub pods: u32,
}

/// Answer to a heartbeat.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatReply {
    /// The master's clock.
    pub timestamp_ms: u64,
    /// Milliseconds until the next beat is expected.
    pub interval_ms: u64,
}

/// Answer of `GET /api/v1/nodes`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeList {
    /// Every node with a live stake or token, by name.
    pub nodes: Vec<NodeSummary>,
}

/// One node as the master knows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeSummary {
    /// Pinned name.
    pub name: String,
    /// Stake object id, `0x…`.
    pub stake_id: String,
    /// Seal token object id, `0x…`.
    pub token_id: String,
    /// Where it is in its life.
    pub state: NodeState,
    /// Last heartbeat by the master's clock; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_ms: Option<u64>,
    /// Metrics of the last heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<NodeMetrics>,
}

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeState {
    /// Has a live token, never joined.
    Pending,
    /// Has certificates, no heartbeat yet.
    Joining,
    /// Heartbeats arrive and say ready.
    Ready,
    /// Heartbeats arrive and say not ready.
    NotReady,
    /// Heartbeats stopped.
    Down,
    /// Token or stake is gone; certificates are refused.
    Removed,
}
