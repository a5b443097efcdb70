use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::Tier;

/// A seal token was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenIssued {
    /// The cluster.
    pub cluster: Address,
    /// The stake that it speaks for.
    pub stake: Address,
    /// The token object.
    pub token: Address,
    /// The stake's owner.
    pub owner: Address,
    /// The stake's tier.
    pub tier: Tier,
    /// The holder's ed25519 key.
    pub public_key: Vec<u8>,
    /// Empty unless the stake is for a node.
    pub node_name: String,
    /// The seal that proofs name.
    pub seal: Vec<u8>,
    /// When, milliseconds since the Unix epoch.
    pub issued_ms: u64,
    /// When it ends unless renewed.
    pub expires_ms: u64,
    /// Which token of the stake it is, counted from one.
    pub generation: u64,
}

/// A seal token lives longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRenewed {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// The token.
    pub token: Address,
    /// When it ends now.
    pub expires_ms: u64,
}

/// A seal token belongs to another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRotated {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// The token.
    pub token: Address,
    /// The new ed25519 key.
    pub public_key: Vec<u8>,
    /// Its generation now.
    pub generation: u64,
}

/// A seal token is worth nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// The token.
    pub token: Address,
    /// Whether governance did it, not the owner.
    pub by_governance: bool,
}
