use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// An escrow was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowOpened {
    /// The cluster.
    pub cluster: Address,
    /// The escrow object.
    pub escrow: Address,
    /// Whose it is.
    pub owner: Address,
    /// How much is used at a time.
    pub units: u64,
    /// MIST for one unit and second.
    pub price: u64,
    /// What is in it now, in MIST.
    pub balance: u64,
    /// Use is paid up to this time, milliseconds since the Unix epoch.
    pub settled_ms: u64,
}

/// Use was paid, or money or terms of an escrow have changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowChanged {
    /// The cluster.
    pub cluster: Address,
    /// The escrow object.
    pub escrow: Address,
    /// How much is used at a time.
    pub units: u64,
    /// MIST for one unit and second.
    pub price: u64,
    /// What is in it now, in MIST.
    pub balance: u64,
    /// What was used and not collected yet, in MIST.
    pub earned: u64,
    /// Use is paid up to this time, milliseconds since the Unix epoch.
    pub settled_ms: u64,
    /// 0 active, 1 in grace, 2 suspended.
    pub status: u8,
}

/// What was used went to the reward pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageCollected {
    /// The cluster.
    pub cluster: Address,
    /// The escrow object.
    pub escrow: Address,
    /// How much, in MIST.
    pub amount: u64,
}

/// An escrow was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EscrowClosed {
    /// The cluster.
    pub cluster: Address,
    /// The escrow object.
    pub escrow: Address,
    /// Whose it is.
    pub owner: Address,
    /// What the owner got back, in MIST.
    pub refunded: u64,
}
