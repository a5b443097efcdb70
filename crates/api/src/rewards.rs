use serde::{Deserialize, Serialize};

/// Answer of `GET /api/v1/rewards`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewardEpochs {
    /// Numbers of the epochs whose shares are kept, ascending.
    pub epochs: Vec<u64>,
}

/// Answer of `GET /api/v1/rewards/{epoch}/{stake}`: what `rewards::open_shard` and `rewards::claim` take. Hashes
/// are hexadecimal. Not to be believed: the contracts check it against the root that the enclave posted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RewardProof {
    /// Number of the epoch.
    pub number: u64,
    /// The epoch object on chain, `0x…`.
    pub epoch: String,
    /// The stake, `0x…`.
    pub stake: String,
    /// Its owner, who is paid, `0x…`.
    pub owner: String,
    /// Its weight.
    pub weight: u64,
    /// Place of the claim in its shard.
    pub index: u8,
    /// Siblings from the claim to the shard's root.
    pub proof: Vec<String>,
    /// The shard.
    pub shard: ShardOfEpoch,
}

/// A shard of an epoch, with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShardOfEpoch {
    /// Its place among the shards.
    pub index: u8,
    /// Sum of its weights.
    pub weight: u64,
    /// Root of its claims.
    pub root: String,
    /// Siblings from the shard to the epoch's root.
    pub proof: Vec<String>,
    /// The shard object on chain, `0x…`, once somebody has opened it; there it is marked who has claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<String>,
}
