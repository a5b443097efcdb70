use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `rewards::Pool`: the reward pool of a cluster. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// What is in it now, in MIST.
    pub balance: u64,
    /// Number of the last epoch; the first is one.
    pub epoch: u64,
    /// When it ended, milliseconds since the Unix epoch.
    pub until_ms: u64,
}

/// `rewards::Epoch`: an epoch whose rewards can be claimed. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Epoch {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// Its number.
    pub number: u64,
    /// Root of the tree of shards.
    pub root: Vec<u8>,
    /// Sum of all weights.
    pub weight: u64,
    /// What all weights share, in MIST.
    pub budget: u64,
    /// What no shard has taken yet.
    pub balance: u64,
    /// Sum of the weights of opened shards.
    pub opened_weight: u64,
    /// Bit by index of the shard.
    pub opened: [u8; 32],
    /// Until then rewards can be claimed, milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}

/// `rewards::Shard`: the claims of up to 256 stakers of an epoch. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// The epoch object.
    pub epoch: Address,
    /// Its number.
    pub number: u64,
    /// Root of the tree of claims.
    pub root: Vec<u8>,
    /// Weight and budget of the epoch, which make an amount of a weight.
    pub weight: u64,
    /// What all weights share, in MIST.
    pub budget: u64,
    /// What was not claimed yet.
    pub balance: u64,
    /// Bit by index of the claim.
    pub claimed: [u8; 32],
    /// Until then rewards can be claimed, milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}
