use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::Measurement;

/// `slashing::Evidence`: what an enclave signs to report a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// 0 downtime, 1 attestation, 2 contradiction, 3 tampering.
    pub reason: u8,
    /// When the fault was, milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// When it ended, milliseconds since the Unix epoch.
    pub to_ms: u64,
    /// For how much of this time the node was up, in milliseconds; zero for other reasons than downtime.
    pub up_ms: u64,
    /// What the node ran, when that is the fault.
    pub measurement: Option<Measurement>,
    /// SHA-256 of the records that show it.
    #[serde(with = "crate::hex_bytes")]
    pub digest: Vec<u8>,
    /// Where the records are.
    pub locator: String,
    /// Who reported it.
    pub reporter: Address,
}

/// `slashing::NodeStatement`: what a staker's key states about its node. Of one subject and sequence number there may be one digest only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatement {
    /// The cluster.
    pub cluster: Address,
    /// The seal token.
    pub token: Address,
    /// What it is about.
    #[serde(with = "crate::hex_bytes")]
    pub subject: Vec<u8>,
    /// Its sequence number.
    pub sequence: u64,
    /// Digest of modules and dependencies, 32 bytes.
    #[serde(with = "crate::hex_bytes")]
    pub digest: Vec<u8>,
}

/// `rewards::Shares`: what an enclave signs to post an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// The cluster.
    pub cluster: Address,
    /// Its number.
    pub number: u64,
    /// When it began, milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// When it ended, milliseconds since the Unix epoch.
    pub to_ms: u64,
    /// Its weight.
    pub weight: u64,
    /// Root of its tree, 32 bytes.
    #[serde(with = "crate::hex_bytes")]
    pub root: Vec<u8>,
}

/// `anchor::Point`: what an enclave signs to anchor a point of the cluster's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// The cluster.
    pub cluster: Address,
    /// Revision of the store.
    pub revision: u64,
    /// Hash of the state at the revision, 32 bytes.
    #[serde(with = "crate::hex_bytes")]
    pub state_root: Vec<u8>,
    /// Hash of the log up to the revision, 32 bytes.
    #[serde(with = "crate::hex_bytes")]
    pub log_hash: Vec<u8>,
    /// Id of the latest snapshot on cold storage; empty while there is none.
    #[serde(with = "crate::hex_bytes")]
    pub blob: Vec<u8>,
    /// Epoch of the sealing key.
    pub key_epoch: u64,
}

/// `anchor::Unanchored`: what an enclave signs when it has opened a state without having reached the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unanchored {
    /// The cluster.
    pub cluster: Address,
    /// Revision of the store.
    pub revision: u64,
    /// Hash of the state at the revision, 32 bytes.
    #[serde(with = "crate::hex_bytes")]
    pub state_root: Vec<u8>,
    /// When it was opened, milliseconds since the Unix epoch.
    pub opened_ms: u64,
}

/// `seal_policy::Sealing`: what an enclave signs when it has encrypted the cluster's secret to key servers of Seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    /// The cluster.
    pub cluster: Address,
    /// Seal's `EncryptedObject`, in BCS.
    #[serde(with = "crate::hex_bytes")]
    pub object: Vec<u8>,
}
