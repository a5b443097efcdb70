use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `anchor::Anchor`: the latest point of a cluster's state. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
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
    /// The enclave that said so; none before the first time.
    pub enclave: Option<Address>,
    /// When, milliseconds since the Unix epoch.
    pub anchored_ms: u64,
}
