use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use super::{Config, Tier};

/// `staking::Stake`: locked SUI. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stake {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster it is for.
    pub cluster: Address,
    /// Whose it is.
    pub owner: Address,
    /// What it is for.
    pub tier: Tier,
    /// What is locked, in MIST.
    pub amount: u64,
    /// When it was made, milliseconds since the Unix epoch.
    pub staked_ms: u64,
    /// Not withdrawn before this time.
    pub locked_until_ms: u64,
    /// When it was asked back, if it was.
    pub unbonding_ms: Option<u64>,
    /// The node's name, once pinned.
    pub node_name: Option<String>,
    /// The live seal token, if there is one.
    pub token: Option<Address>,
    /// How many tokens it has had, key rotations counted.
    pub generation: u64,
    /// From asking it back to having it, as it was when the stake was made, in milliseconds.
    pub notice_ms: u64,
    /// What is being taken and was taken of it.
    pub penalties: Penalties,
}

/// `staking::Penalties`: what is being taken and was taken of a stake.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Penalties {
    /// What proposed penalties hold, in MIST.
    pub frozen: u64,
    /// How many penalties are proposed.
    pub cases: u64,
    /// When the period of the cap began, milliseconds since the Unix epoch.
    pub period_ms: u64,
    /// What was locked then, in MIST.
    pub base: u64,
    /// What is frozen and was taken in the period, in MIST.
    pub taken: u64,
    /// Up to when time was judged, by reason.
    pub judged_ms: Vec<u64>,
}

impl Stake {
    /// Whether it counts: not asked back, and at least what its tier demands.
    pub fn covers_tier(&self, config: &Config) -> bool {
        self.unbonding_ms.is_none()
            && config.terms(self.tier).is_some_and(|terms| self.amount >= terms.minimum)
    }
}
