use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use super::Economics;

/// `governance::Governance`: the live capabilities of one cluster. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Governance {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster that is governed.
    pub cluster: Address,
    /// The live capabilities.
    pub caps: Vec<LiveCap>,
    /// Capabilities that are offered to another address.
    pub offers: Vec<Offer>,
    /// What the cluster's money is held to.
    pub economics: Economics,
    /// What follows when the timelock is over.
    pub pending: Option<PendingEconomics>,
}

/// `governance::Offer`: a capability that its holder would hand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Its object id.
    pub cap: Address,
    /// Who may accept it.
    pub recipient: Address,
}

/// `governance::Pending`: economics that wait for the timelock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEconomics {
    /// What was proposed.
    pub economics: Economics,
    /// Not before this time, milliseconds since the Unix epoch.
    pub ripe_ms: u64,
}

/// `governance::LiveCap`: a capability that was not revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveCap {
    /// Its object id.
    pub cap: Address,
    /// When it ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

/// `governance::AdminCap`: the right to change a cluster. Owned, and cannot be transferred.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminCap {
    /// Its object id.
    pub id: Address,
    /// The cluster it belongs to.
    pub cluster: Address,
    /// When it ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}
