use serde::{Deserialize, Serialize};

/// Answer of a worker's `GET /api/v1/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerStatus {
    /// Version of the worker's binary.
    pub version: String,
    /// Where it is on its way: `readingChain`, `waitingForCluster`, `gone`, `pinningCa`, `attesting`,
    /// `requestingCertificates`, `startingNode`, `running` or `reconnecting`.
    pub phase: String,
    /// What keeps it from going on, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<crate::ErrorBody>,
    /// Name of the node, pinned on chain; empty until the chain was read.
    pub node_name: String,
    /// Cluster object id on chain, `0x…`.
    pub cluster_id: String,
    /// Seal token object id on chain, `0x…`.
    pub token_id: String,
    /// The chain as the worker sees it.
    pub chain: LinkStatus,
    /// The gateway as the worker sees it.
    pub gateway: GatewayLink,
    /// The processes that run pods.
    pub node: NodeAgentStatus,
    /// End of the seal token on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_ms: Option<u64>,
    /// The stake behind the token, while it is on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stake: Option<StakeStatus>,
    /// End of the node's certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificates_expire_ms: Option<u64>,
    /// The worker's clock at the last heartbeat that the gateway took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heartbeat_ms: Option<u64>,
    /// What this machine proves to the master about itself; absent when it is told to show nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<EvidenceStatus>,
}

/// The evidence that a worker shows the master.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceStatus {
    /// The platform that it comes from, e.g. `simulated`.
    pub platform: String,
    /// True when that proves nothing about hardware.
    pub simulated: bool,
    /// When the master verified it last, by the master's clock; absent while none counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_ms: Option<u64>,
    /// When that counts no longer, by the master's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_ms: Option<u64>,
    /// Why the last try did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<crate::ErrorBody>,
}

/// A stake as the chain has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StakeStatus {
    /// What is locked, in MIST.
    pub mist: u64,
    /// What proposed penalties hold of it, in MIST.
    pub frozen_mist: u64,
    /// When the lock-up ends, milliseconds since the Unix epoch.
    pub locked_until_ms: u64,
    /// When it was asked back for, if it was: the end of its notice, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unbonding_ms: Option<u64>,
}

/// Whether a remote side answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// Endpoint without credentials.
    pub url: String,
    /// Whether the last attempt succeeded.
    pub reachable: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The gateway as a worker sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayLink {
    /// Endpoint on chain and whether it answers.
    #[serde(flatten)]
    pub link: LinkStatus,
    /// Whether its attestation was verified against the chain in this connection.
    pub attested: bool,
    /// The TEE platform that attested, e.g. `simulated`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// True when that platform proves nothing about hardware.
    pub simulated: bool,
}

/// The processes that run pods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAgentStatus {
    /// Whether container runtime and kubelet answer.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Running pods.
    pub pods: u32,
}
