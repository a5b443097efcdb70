use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// The right to upgrade is behind a timelock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgraderCreated {
    /// The upgrader object.
    pub upgrader: Address,
    /// The package.
    pub package: Address,
    /// Whose it is.
    pub owner: Address,
    /// The timelock, in milliseconds.
    pub delay_ms: u64,
}

/// An upgrade was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeProposed {
    /// The upgrader object.
    pub upgrader: Address,
    /// 0 compatible, 128 additive, 192 dependencies only.
    pub policy: u8,
    /// Digest of modules and dependencies, 32 bytes.
    pub digest: Vec<u8>,
    /// Not before this time, milliseconds since the Unix epoch.
    pub ripe_ms: u64,
}

/// An announced upgrade was withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeCancelled {
    /// The upgrader object.
    pub upgrader: Address,
}

/// An announced upgrade may be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeAuthorized {
    /// The upgrader object.
    pub upgrader: Address,
    /// Digest of modules and dependencies, 32 bytes.
    pub digest: Vec<u8>,
}

/// The package was upgraded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgraded {
    /// The upgrader object.
    pub upgrader: Address,
    /// The package.
    pub package: Address,
}

/// The right to upgrade is offered to another address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgraderOffered {
    /// The upgrader object.
    pub upgrader: Address,
    /// To whom.
    pub recipient: Address,
}

/// The right to upgrade has another owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgraderAccepted {
    /// The upgrader object.
    pub upgrader: Address,
    /// Whose it is.
    pub owner: Address,
}

/// The upgrader has the package's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgraderMigrated {
    /// The upgrader object.
    pub upgrader: Address,
    /// Its version now.
    pub version: u64,
}
