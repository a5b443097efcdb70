use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::Tier;

/// A stake was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staked {
    /// The cluster.
    pub cluster: Address,
    /// The stake object.
    pub stake: Address,
    /// Whose it is.
    pub owner: Address,
    /// What it is for.
    pub tier: Tier,
    /// What is locked, in MIST.
    pub amount: u64,
    /// When, milliseconds since the Unix epoch.
    pub staked_ms: u64,
    /// Not withdrawn before this time.
    pub locked_until_ms: u64,
    /// From asking it back to having it, in milliseconds.
    pub notice_ms: u64,
}

/// A stake grew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToppedUp {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// What was added, in MIST.
    pub added: u64,
    /// What is locked now, in MIST.
    pub amount: u64,
}

/// A stake was asked back and counts for nothing from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnstakeRequested {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// When it was asked back, milliseconds since the Unix epoch.
    pub unbonding_ms: u64,
    /// Not withdrawn before this time.
    pub locked_until_ms: u64,
}

/// The owner takes a node down on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceAnnounced {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// From when, milliseconds since the Unix epoch.
    pub from_ms: u64,
    /// Until when, milliseconds since the Unix epoch.
    pub to_ms: u64,
}

/// A stake was paid out and is gone, its node name is free.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The cluster.
    pub cluster: Address,
    /// The stake.
    pub stake: Address,
    /// Who was paid.
    pub owner: Address,
    /// How much, in MIST.
    pub amount: u64,
}
