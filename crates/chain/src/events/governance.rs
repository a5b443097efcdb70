use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::Economics;

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

/// A capability is offered to another address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapOffered {
    /// The cluster.
    pub cluster: Address,
    /// The capability.
    pub cap: Address,
    /// To whom.
    pub recipient: Address,
}

/// The offer of a capability was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapOfferWithdrawn {
    /// The cluster.
    pub cluster: Address,
    /// The capability.
    pub cap: Address,
}

/// Other economics wait for the timelock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EconomicsProposed {
    /// The cluster.
    pub cluster: Address,
    /// What holds from then on.
    pub economics: Economics,
    /// Not before this time, milliseconds since the Unix epoch.
    pub ripe_ms: u64,
}

/// Proposed economics were withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EconomicsCancelled {
    /// The cluster.
    pub cluster: Address,
}

/// Economics are in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EconomicsChanged {
    /// The cluster.
    pub cluster: Address,
    /// What holds from then on.
    pub economics: Economics,
}

/// An object was brought to the version of the package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migrated {
    /// The cluster.
    pub cluster: Address,
    /// The object.
    pub object: Address,
    /// Its version now.
    pub version: u64,
}
