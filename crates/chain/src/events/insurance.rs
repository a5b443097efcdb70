use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// A cluster has an insurance pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsuranceCreated {
    /// The cluster.
    pub cluster: Address,
    /// The pool.
    pub insurance: Address,
}

/// The insurance pool grew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InsuranceFunded {
    /// The cluster.
    pub cluster: Address,
    /// What was added, in MIST.
    pub added: u64,
    /// What is in it now, in MIST.
    pub balance: u64,
}

/// A payout was proposed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutProposed {
    /// The cluster.
    pub cluster: Address,
    /// Its number.
    pub number: u64,
    /// How much, in MIST.
    pub amount: u64,
    /// Who is paid.
    pub recipient: Address,
    /// Not before this time, milliseconds since the Unix epoch.
    pub ripe_ms: u64,
}

/// A proposed payout was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutCancelled {
    /// The cluster.
    pub cluster: Address,
    /// Its number.
    pub number: u64,
}

/// A payout was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaidOut {
    /// The cluster.
    pub cluster: Address,
    /// Its number.
    pub number: u64,
    /// How much, in MIST.
    pub amount: u64,
    /// Who is paid.
    pub recipient: Address,
    /// What is in it now, in MIST.
    pub balance: u64,
}
