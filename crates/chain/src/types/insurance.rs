use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `insurance::Insurance`: what penalties brought in. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Insurance {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// What is in it now, in MIST.
    pub balance: u64,
    /// Payouts that wait for the timelock.
    pub payouts: Vec<Payout>,
    /// Number of the next payout.
    pub next: u64,
}

/// `insurance::Payout`: a payout that was proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Its number.
    pub number: u64,
    /// How much, in MIST.
    pub amount: u64,
    /// Who is paid.
    pub recipient: Address,
    /// Not before this time, milliseconds since the Unix epoch.
    pub ripe_ms: u64,
}
