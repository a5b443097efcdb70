use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `upgrade::Upgrader`: the right to upgrade the package, behind a timelock. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrader {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The capability.
    pub cap: UpgradeCap,
    /// Whose it is.
    pub owner: Address,
    /// To whom it is offered.
    pub offered: Option<Address>,
    /// The timelock, in milliseconds.
    pub delay_ms: u64,
    /// What was announced.
    pub pending: Option<UpgradeProposal>,
}

/// `0x2::package::UpgradeCap`: the right to upgrade a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeCap {
    /// Its object id.
    pub id: Address,
    /// The latest version of the package.
    pub package: Address,
    /// How often it was published, counted from one.
    pub version: u64,
    /// 0 compatible, 128 additive, 192 dependencies only.
    pub policy: u8,
}

/// `upgrade::Proposal`: an upgrade that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeProposal {
    /// 0 compatible, 128 additive, 192 dependencies only.
    pub policy: u8,
    /// Of the modules and dependencies, as the chain takes it.
    pub digest: Vec<u8>,
    /// Not before this time, milliseconds since the Unix epoch.
    pub ripe_ms: u64,
}
