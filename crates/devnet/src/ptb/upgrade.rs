//! The types of `0x2::package` that publishing and upgrading make and use.

use serde::{Deserialize, Serialize};
use sui_sdk_types::hash::Hasher;
use sui_sdk_types::{Address, Digest, Identifier, StructTag, TypeTag};

/// `0x2::package::UpgradeCap`.
#[derive(Serialize, Deserialize)]
pub(super) struct UpgradeCap {
    pub(super) id: Address,
    pub(super) package: Address,
    pub(super) version: u64,
    pub(super) policy: u8,
}

/// `0x2::package::UpgradeTicket`.
#[derive(Serialize, Deserialize)]
pub(super) struct UpgradeTicket {
    pub(super) cap: Address,
    pub(super) package: Address,
    pub(super) policy: u8,
    pub(super) digest: Vec<u8>,
}

/// `0x2::package::UpgradeReceipt`.
#[derive(Serialize, Deserialize)]
pub(super) struct UpgradeReceipt {
    pub(super) cap: Address,
    pub(super) package: Address,
}

pub(super) fn cap_tag() -> TypeTag {
    tag("UpgradeCap")
}

pub(super) fn ticket_tag() -> TypeTag {
    tag("UpgradeTicket")
}

pub(super) fn receipt_tag() -> TypeTag {
    tag("UpgradeReceipt")
}

/// The digest that an upgrade ticket commits to: over the sorted digests of the modules and the
/// identifiers of the dependencies.
pub(super) fn digest(modules: &[Vec<u8>], dependencies: &[Address]) -> Digest {
    let modules = modules.iter().map(|module| Hasher::digest(module).into_inner());
    let mut parts: Vec<[u8; 32]> = modules.chain(dependencies.iter().map(|id| *id.inner())).collect();
    parts.sort_unstable();
    let mut hasher = Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

fn tag(name: &'static str) -> TypeTag {
    let module = Identifier::from_static("package");
    let name = Identifier::from_static(name);
    TypeTag::Struct(Box::new(StructTag::new(Address::TWO, module, name, Vec::new())))
}
