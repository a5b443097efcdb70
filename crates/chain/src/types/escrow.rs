use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `usage::Escrow`: a user's money for use to come. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escrow {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// Whose it is.
    pub owner: Address,
    /// How much is used at a time.
    pub units: u64,
    /// MIST for one unit and second.
    pub price: u64,
    /// What is not used yet.
    pub balance: u64,
    /// What was used and not collected yet.
    pub earned: u64,
    /// Use is paid up to this time, milliseconds since the Unix epoch.
    pub settled_ms: u64,
    /// When it was last settled: 0 active, 1 in grace, 2 suspended.
    pub status: u8,
}
