use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

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
