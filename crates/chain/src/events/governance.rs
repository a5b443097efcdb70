use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// A capability to change a cluster was given to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapIssued {
    /// The cluster.
    pub cluster: Address,
    /// Its governance object.
    pub governance: Address,
    /// The new capability.
    pub cap: Address,
    /// Who holds it.
    pub recipient: Address,
    /// When it ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

/// A capability became worthless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapRevoked {
    /// The cluster.
    pub cluster: Address,
    /// The capability.
    pub cap: Address,
}
