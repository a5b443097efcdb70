//! The commands that publish and upgrade packages.

use std::collections::BTreeMap;

use sui_sdk_types::{
    Address, ExecutionError, Identifier, MovePackage, ObjectData, PackageUpgradeError, TypeOrigin, TypeTag,
    Upgrade, UpgradeInfo,
};

use super::backing::original_id;
use super::machine::Machine;
use super::upgrade::{self, UpgradeCap, UpgradeReceipt, UpgradeTicket};
use crate::ledger::gas;
use crate::vm::{Publication, Published, describe};

/// Most bytes in the modules of a package.
const MAX_PACKAGE_BYTES: u64 = 100 * 1024;
/// The policy of a new `UpgradeCap`: any compatible upgrade.
const COMPATIBLE: u8 = 0;
/// Nothing that is there may change.
const ADDITIVE: u8 = 128;
/// Policies beyond this one allow no upgrade.
const DEPENDENCIES_ONLY: u8 = 192;

type Types = BTreeMap<(Identifier, Identifier), Address>;

impl Machine<'_> {
    /// Publishes a package, runs its initializers and returns its `UpgradeCap`.
    pub(super) fn publish(
        &mut self,
        modules: &[Vec<u8>],
        dependencies: &[Address],
    ) -> Result<(TypeTag, Vec<u8>), ExecutionError> {
        self.charge(gas::publish_cost(check_size(modules)?))?;
        let linkage = self.linkage(dependencies)?;
        let id = self.fresh_id();
        let published = self.load(modules, id, id, &linkage, Types::new())?;
        let package = package(id, 1, &published, linkage, &Types::new());
        self.packages.insert(id, package);
        self.session.initialize(&published, id).map_err(|error| self.explain(error))?;
        let cap = UpgradeCap { id: self.fresh_id(), package: id, version: 1, policy: COMPATIBLE };
        encode(upgrade::cap_tag(), &cap)
    }

    /// Upgrades a package by an `UpgradeTicket` and returns the `UpgradeReceipt`.
    ///
    /// Old types and public functions must fit ([`describe::incompatibility`]). By the policies that allow
    /// less, additive ones keep the signatures of all functions, and those for dependencies only keep the
    /// modules as they are; that an additive upgrade keeps the *code* of functions is not checked, unlike on Sui.
    pub(super) fn upgrade(
        &mut self,
        upgrade: &Upgrade,
        ticket: &[u8],
    ) -> Result<(TypeTag, Vec<u8>), ExecutionError> {
        let refuse = |kind| ExecutionError::PackageUpgradeError { kind };
        self.charge(gas::publish_cost(check_size(&upgrade.modules)?))?;
        let ticket: UpgradeTicket =
            bcs::from_bytes(ticket).map_err(|_| ExecutionError::VmInvariantViolation)?;
        if ticket.package != upgrade.package {
            return Err(refuse(PackageUpgradeError::PackageIdDoesNotMatch {
                package_id: upgrade.package,
                ticket_id: ticket.package,
            }));
        }
        if ticket.policy > DEPENDENCIES_ONLY {
            let policy = ticket.policy;
            return Err(refuse(PackageUpgradeError::UnknownUpgradePolicy { policy }));
        }
        let digest = upgrade::digest(&upgrade.modules, &upgrade.dependencies);
        if ticket.digest != digest.as_bytes() {
            return Err(refuse(PackageUpgradeError::DigestDoesNotMatch { digest }));
        }
        let old = self.package(&upgrade.package).map_err(refuse)?;
        let linkage = self.linkage(&upgrade.dependencies)?;
        let origins: Types = old
            .type_origin_table
            .iter()
            .map(|origin| ((origin.module_name.clone(), origin.struct_name.clone()), origin.package))
            .collect();
        let id = self.fresh_id();
        let original = original_id(&old);
        let published = self.load(&upgrade.modules, id, original, &linkage, origins.clone())?;
        let removed = old.modules.keys().any(|name| !published.modules.contains_key(name))
            || origins.keys().any(|datatype| !published.datatypes.contains(datatype));
        if removed || !keeps(&old, &published, ticket.policy) {
            return Err(refuse(PackageUpgradeError::IncompatibleUpgrade));
        }
        let package = package(id, old.version + 1, &published, linkage, &origins);
        self.packages.insert(id, package);
        let receipt = UpgradeReceipt { cap: ticket.cap, package: id };
        encode(upgrade::receipt_tag(), &receipt)
    }

    fn load(
        &mut self,
        modules: &[Vec<u8>],
        id: Address,
        original: Address,
        linkage: &BTreeMap<Address, UpgradeInfo>,
        type_origins: Types,
    ) -> Result<Published, ExecutionError> {
        let publication = Publication {
            id,
            modules: modules.to_vec(),
            original,
            linkage: linkage.iter().map(|(original, info)| (*original, info.upgraded_id)).collect(),
            type_origins,
        };
        let published = self.session.publish(publication).map_err(|error| self.explain(error))?;
        let linked = |dependency: &Address| *dependency == original || linkage.contains_key(dependency);
        if published.dependencies.iter().all(linked) {
            Ok(published)
        } else {
            Err(ExecutionError::PublishUpgradeMissingDependency)
        }
    }

    /// The link table of a package with these direct and indirect dependencies.
    fn linkage(&self, dependencies: &[Address]) -> Result<BTreeMap<Address, UpgradeInfo>, ExecutionError> {
        let mut linkage = BTreeMap::new();
        for id in dependencies {
            let package = self.package(id).map_err(|_| ExecutionError::PublishUpgradeMissingDependency)?;
            let info = UpgradeInfo { upgraded_id: *id, upgraded_version: package.version };
            if linkage.insert(original_id(&package), info).is_some() {
                return Err(ExecutionError::InvalidLinkage);
            }
        }
        Ok(linkage)
    }

    fn package(&self, id: &Address) -> Result<MovePackage, PackageUpgradeError> {
        if let Some(package) = self.packages.get(id) {
            return Ok(package.clone());
        }
        let object = self.source.live(id);
        match object.as_ref().map(|object| object.object().data()) {
            Some(ObjectData::Package(package)) => Ok(package.clone()),
            Some(ObjectData::Struct(_)) => Err(PackageUpgradeError::NotAPackage { object_id: *id }),
            None => Err(PackageUpgradeError::UnableToFetchPackage { package_id: *id }),
        }
    }
}

/// Whether the new modules keep what the policy says.
fn keeps(old: &MovePackage, published: &Published, policy: u8) -> bool {
    old.modules.iter().all(|(name, before)| {
        let Some(after) = published.modules.get(name) else { return false };
        if policy > ADDITIVE && before[..] != after[..] {
            return false;
        }
        let (Ok(before), Ok(after)) = (describe::declared(before), describe::declared(after)) else {
            return false;
        };
        let all_kept = || before.functions.iter().all(|function| after.functions.contains(function));
        if policy > COMPATIBLE && !all_kept() {
            return false;
        }
        match describe::incompatibility(&before, &after) {
            Some(reason) => {
                tracing::debug!(module = %name, reason, "an upgrade is refused");
                false
            }
            None => true,
        }
    })
}

/// The package object of a publication; types in `origins` keep their origin.
pub(crate) fn package(
    id: Address,
    version: u64,
    published: &Published,
    linkage_table: BTreeMap<Address, UpgradeInfo>,
    origins: &BTreeMap<(Identifier, Identifier), Address>,
) -> MovePackage {
    let type_origin_table = published
        .datatypes
        .iter()
        .map(|datatype| TypeOrigin {
            module_name: datatype.0.clone(),
            struct_name: datatype.1.clone(),
            package: origins.get(datatype).copied().unwrap_or(id),
        })
        .collect();
    let modules = published.modules.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec())).collect();
    MovePackage { id, version, modules, type_origin_table, linkage_table }
}

/// The size of all modules together, if they are not too large.
fn check_size(modules: &[Vec<u8>]) -> Result<usize, ExecutionError> {
    let size: usize = modules.iter().map(Vec::len).sum();
    if size as u64 > MAX_PACKAGE_BYTES {
        let (object_size, max_object_size) = (size as u64, MAX_PACKAGE_BYTES);
        return Err(ExecutionError::PackageTooBig { object_size, max_object_size });
    }
    Ok(size)
}

fn encode<T: serde::Serialize>(tag: TypeTag, value: &T) -> Result<(TypeTag, Vec<u8>), ExecutionError> {
    let bytes = bcs::to_bytes(value).map_err(|_| ExecutionError::InvariantViolation)?;
    Ok((tag, bytes))
}
