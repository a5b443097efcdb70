use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

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
    /// Which process of the worker sends it.
    pub instance: Instance,
    /// The holder key's ed25519 signature over the node statement of this heartbeat, 128 hexadecimal digits:
    /// intent 6 of the contracts, with [`Heartbeat::subject`], [`Heartbeat::digest`], and the timestamp as
    /// sequence number too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Heartbeat {
    /// What the statement is about: this worker process. One process says one thing at a time.
    pub fn subject(&self) -> Vec<u8> {
        format!("k3s-daas/heartbeat/{}", self.instance.id).into_bytes()
    }

    /// SHA-256 of the heartbeat as JSON, in the order of the fields here, without the signature.
    pub fn digest(&self) -> [u8; 32] {
        let unsigned = Self { signature: None, ..self.clone() };
        // Strings and numbers always have a JSON form.
        Sha256::digest(serde_json::to_vec(&unsigned).unwrap_or_default()).into()
    }
}

/// One process of a worker. Of two that speak for one node, the one that was started later is the right one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Instance {
    /// 16 random bytes, 32 hexadecimal digits.
    pub id: String,
    /// The worker's clock when it was started.
    pub started_ms: u64,
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
    /// 32 bytes, 64 hexadecimal digits: the master wants evidence of the node's platform now, made for this nonce and shown
    /// within a minute. Absent while it wants none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation_nonce: Option<String>,
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
    /// Since when it is in this state, by the master's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// What is wrong, when something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// End of the maintenance that the staker announced, while it lasts or is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance_until_ms: Option<u64>,
    /// How far the drain before that, or before the end of the token, has come; absent while none is going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<NodeDrain>,
    /// Last heartbeat by the master's clock; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_ms: Option<u64>,
    /// Metrics of the last heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<NodeMetrics>,
    /// Whether evidence of its hardware counts now: `true`, `simulated` or `false`, as in the label
    /// `k3s-daas.io/attested`.
    #[serde(default)]
    pub attested: String,
    /// The platform that attested, as `tee::PlatformKind` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// When the evidence counts no longer, by the master's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attested_until_ms: Option<u64>,
    /// Why the evidence that it showed last was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation_problem: Option<String>,
}

/// A node that takes no new pods, and gives those that it has away as far as their disruption budgets allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeDrain {
    /// Pods that are still there, or ending; without those of DaemonSets and the kubelet's own.
    pub pods_left: u32,
}

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeState {
    /// Has a live token, never joined.
    Pending,
    /// Has certificates, was never ready.
    Joining,
    /// Heartbeats say ready, and Kubernetes does not deny it.
    Ready,
    /// They do not any more.
    Suspect,
    /// For so long that its pods are moved.
    Down,
    /// For so long that everything on it is given up.
    Evicted,
    /// Token or stake is gone; certificates are refused.
    Removed,
}

impl NodeState {
    /// All of them, in the order of a life.
    pub const ALL: [NodeState; 7] = [
        NodeState::Pending,
        NodeState::Joining,
        NodeState::Ready,
        NodeState::Suspect,
        NodeState::Down,
        NodeState::Evicted,
        NodeState::Removed,
    ];

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            NodeState::Pending => "pending",
            NodeState::Joining => "joining",
            NodeState::Ready => "ready",
            NodeState::Suspect => "suspect",
            NodeState::Down => "down",
            NodeState::Evicted => "evicted",
            NodeState::Removed => "removed",
        }
    }
}
