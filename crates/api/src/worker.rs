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
    /// What the stake has earned; absent before the first look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rewards: Option<RewardStatus>,
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

/// The newest epoch, of the last three that the master posted, in which the stake has a share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewardStatus {
    /// Its number; absent when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// What the share is worth, in MIST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mist: Option<u64>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RewardState>,
    /// Until then it can be claimed, milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim_until_ms: Option<u64>,
    /// When master and chain were asked, by the worker's clock; absent when that never succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_ms: Option<u64>,
    /// Why the last look failed, when it did: what stands above may be old then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<crate::ErrorBody>,
}

/// What became of a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RewardState {
    /// `k3s-daas rewards claim` pays it out.
    Claimable,
    /// It was paid out.
    Claimed,
    /// Nobody claimed it in time.
    Lapsed,
}

impl RewardState {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Claimable => "claimable",
            Self::Claimed => "claimed",
            Self::Lapsed => "lapsed",
        }
    }
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
