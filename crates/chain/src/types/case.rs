use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `slashing::Case`: a penalty that was proposed. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// Whose it is.
    pub owner: Address,
    /// 0 downtime, 1 attestation, 2 contradiction, 3 tampering.
    pub reason: u8,
    /// What is frozen, in MIST.
    pub amount: u64,
    /// The period of the stake's cap that it counts in, milliseconds since the Unix epoch.
    pub period_ms: u64,
    /// Who reported it.
    pub reporter: Address,
    /// The reporter's share, in basis points.
    pub reporter_bps: u64,
    /// How much a contest delays it, milliseconds since the Unix epoch.
    pub extension_ms: u64,
    /// Whether it was contested.
    pub contested: bool,
    /// Not executed before this time, when contesting is over too, milliseconds since the Unix epoch.
    pub executes_ms: u64,
    /// Not executed from this time on, milliseconds since the Unix epoch.
    pub lapses_ms: u64,
}
