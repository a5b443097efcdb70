use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `seal_token::SealToken`: which key speaks for a stake. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealToken {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// The stake that it speaks for.
    pub stake: Address,
    /// The stake's owner.
    pub owner: Address,
    /// The holder's ed25519 key, 32 bytes.
    pub public_key: Vec<u8>,
    /// Empty unless the stake is for a node.
    pub node_name: String,
    /// blake2b256(transaction digest ‖ clock ms ‖ stake id) at issue.
    pub seal: Vec<u8>,
    /// When it was issued, milliseconds since the Unix epoch.
    pub issued_ms: u64,
    /// When it ends unless renewed.
    pub expires_ms: u64,
    /// Counts the tokens of the stake from one, and each rotation of the key.
    pub generation: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether governance revoked it: then it stays revoked.
    pub barred: bool,
}
