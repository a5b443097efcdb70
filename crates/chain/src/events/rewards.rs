use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// A cluster has a reward pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolCreated {
    /// The cluster.
    pub cluster: Address,
    /// The pool.
    pub pool: Address,
}

/// The reward pool grew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolFunded {
    /// The cluster.
    pub cluster: Address,
    /// What was added, in MIST.
    pub added: u64,
    /// What is in it now, in MIST.
    pub balance: u64,
}

/// The shares of an epoch were posted; its budget left the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPosted {
    /// The cluster.
    pub cluster: Address,
    /// The epoch object.
    pub epoch: Address,
    /// The enclave that says so.
    pub enclave: Address,
    /// Its number.
    pub number: u64,
    /// When it began, milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// When it ended, milliseconds since the Unix epoch.
    pub to_ms: u64,
    /// Its weight.
    pub weight: u64,
    /// Root of its tree, 32 bytes.
    pub root: Vec<u8>,
    /// What all weights share, in MIST.
    pub budget: u64,
    /// Until then rewards can be claimed, milliseconds since the Unix epoch.
    pub deadline_ms: u64,
}

/// A shard of an epoch can be claimed from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardOpened {
    /// The cluster.
    pub cluster: Address,
    /// The epoch object.
    pub epoch: Address,
    /// The shard object.
    pub shard: Address,
    /// Its place in the tree.
    pub index: u8,
    /// Its weight.
    pub weight: u64,
    /// Root of its tree, 32 bytes.
    pub root: Vec<u8>,
    /// How much, in MIST.
    pub amount: u64,
}

/// A reward was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// The cluster.
    pub cluster: Address,
    /// The shard object.
    pub shard: Address,
    /// Its place in the tree.
    pub index: u8,
    /// The stake.
    pub stake: Address,
    /// Whose it is.
    pub owner: Address,
    /// Its weight.
    pub weight: u64,
    /// How much, in MIST.
    pub amount: u64,
}

/// A shard is gone; what was not claimed went back to the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardSwept {
    /// The cluster.
    pub cluster: Address,
    /// The shard object.
    pub shard: Address,
    /// How much, in MIST.
    pub amount: u64,
}

/// An epoch is gone; what no shard took went back to the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochSwept {
    /// The cluster.
    pub cluster: Address,
    /// The epoch object.
    pub epoch: Address,
    /// How much, in MIST.
    pub amount: u64,
}
