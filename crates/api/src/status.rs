use serde::{Deserialize, Serialize};

/// Answer of `GET /api/v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MasterStatus {
    /// Version of the master's binary.
    pub version: String,
    /// Version of Kubernetes it runs, e.g. `v1.36.3`.
    pub kubernetes_version: String,
    /// Cluster object id on chain, `0x…`.
    pub cluster_id: String,
    /// SHA-256 of the cluster CA certificate in DER.
    pub ca_hash: String,
    /// Whether the apiserver answers `/readyz`.
    pub apiserver_ready: bool,
    /// The chain as the master sees it.
    pub chain: ChainStatus,
    /// The TEE it runs in.
    pub tee: TeeStatus,
    /// The store's latest revision.
    pub store_revision: i64,
    /// What of it the chain knows.
    #[serde(default)]
    pub anchor: AnchorStatus,
    /// How pods of different nodes reach each other: `wireguard`, `vxlan`, `host-gw` or `none`.
    #[serde(default)]
    pub pod_network: String,
    /// Whether that is encrypted.
    #[serde(default)]
    pub pod_network_encrypted: bool,
    /// Add-ons that are on.
    #[serde(default)]
    pub addons: Vec<String>,
    /// Number of nodes that are ready.
    pub nodes_ready: u32,
    /// Number of nodes with a live token.
    pub nodes_total: u32,
}

/// The chain as the master sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainStatus {
    /// Endpoint without credentials.
    pub url: String,
    /// Chain identifier (genesis checkpoint digest, base58).
    pub chain_id: String,
    /// True when the endpoint says it is a development chain.
    pub devnet: bool,
    /// Whether the last contact succeeded.
    pub reachable: bool,
    /// Last checkpoint applied to the membership.
    pub checkpoint: u64,
    /// The master's clock at the last successful contact.
    pub last_contact_ms: u64,
    /// Why the endpoint is not reachable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Up to where the chain knows the state, and what that costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnchorStatus {
    /// Revision that is anchored; 0 before the first. What came later is not protected against an older copy of the
    /// disk.
    pub revision: u64,
    /// Root of the state at it, hexadecimal.
    pub state_root: String,
    /// When it was anchored, milliseconds since the Unix epoch.
    pub anchored_ms: u64,
    /// How long a change waits for its anchor at most, milliseconds.
    pub window_ms: u64,
    /// The same while nothing but heartbeats changes.
    pub idle_window_ms: u64,
    /// What anchors have cost in the last 24 hours, since the master started, in MIST.
    pub spent_mist: u64,
    /// What they cost in a day in which something changes all the time, at the price of the last one.
    pub day_mist: u64,
    /// What they may cost in 24 hours.
    pub max_mist_per_day: u64,
    /// Whether one waits for money that may be spent again.
    pub unpaid: bool,
    /// Why the state is served though it was not compared with the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanchored: Option<String>,
    /// Revision from which the state was served without the comparison, once that is declared on chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared_unanchored: Option<u64>,
    /// How many starts without the comparison are still to be declared on chain.
    #[serde(default)]
    pub undeclared: usize,
    /// Why the last one could not be posted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The TEE a process runs in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TeeStatus {
    /// Platform name, e.g. `simulated`.
    pub platform: String,
    /// True when it proves nothing about hardware.
    pub simulated: bool,
    /// Where its keys are between two starts: `local`, or `none` when others give them at each start.
    #[serde(default)]
    pub sealing: String,
    /// Measurement of the running code, hexadecimal.
    pub measurement: String,
    /// Enclave object id on chain, `0x…`; empty before registration.
    pub enclave_id: String,
    /// Whether the process's memory is locked, so that no key is written to swap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_locked: Option<bool>,
    /// Why the enclave may not speak for the cluster and signs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
