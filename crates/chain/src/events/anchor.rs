use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// A cluster has an anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorCreated {
    /// The cluster.
    pub cluster: Address,
    /// The anchor object.
    pub anchor: Address,
}

/// A point of the cluster's state was anchored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchored {
    /// The cluster.
    pub cluster: Address,
    /// The anchor object.
    pub anchor: Address,
    /// The enclave that says so.
    pub enclave: Address,
    /// Revision of the store.
    pub revision: u64,
    /// Hash of the state at the revision, 32 bytes.
    pub state_root: Vec<u8>,
    /// Hash of the log up to the revision, 32 bytes.
    pub log_hash: Vec<u8>,
    /// Id of the latest snapshot on cold storage; empty while there is none.
    pub blob: Vec<u8>,
    /// Epoch of the sealing key.
    pub key_epoch: u64,
    /// When, milliseconds since the Unix epoch.
    pub anchored_ms: u64,
}

/// An enclave has served a state that it could not hold against the anchor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenedUnanchored {
    /// The cluster.
    pub cluster: Address,
    /// The anchor object.
    pub anchor: Address,
    /// The enclave that says so.
    pub enclave: Address,
    /// Revision of the store.
    pub revision: u64,
    /// Hash of the state at the revision, 32 bytes.
    pub state_root: Vec<u8>,
    /// When it was opened, milliseconds since the Unix epoch.
    pub opened_ms: u64,
    /// When it was declared, milliseconds since the Unix epoch.
    pub declared_ms: u64,
}
