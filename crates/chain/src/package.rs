//! The contracts as they are committed: sources and compiled modules.

use std::path::Path;

use sui_sdk_types::Address;
use sui_sdk_types::hash::Hasher;

use crate::{Created, Draft, Error, Parties, Receipt};

/// Names and sources of the modules, each after those that it uses.
pub(crate) const SOURCES: &[(&str, &str)] = &[
    ("economics", include_str!("../../../contracts/sources/economics.move")),
    ("governance", include_str!("../../../contracts/sources/governance.move")),
    ("intent_message", include_str!("../../../contracts/sources/intent_message.move")),
    ("measurement", include_str!("../../../contracts/sources/measurement.move")),
    ("nitro", include_str!("../../../contracts/sources/nitro.move")),
    ("tcb", include_str!("../../../contracts/sources/tcb.move")),
    ("enclave", include_str!("../../../contracts/sources/enclave.move")),
    ("anchor", include_str!("../../../contracts/sources/anchor.move")),
    ("seal_policy", include_str!("../../../contracts/sources/seal_policy.move")),
    ("insurance", include_str!("../../../contracts/sources/insurance.move")),
    ("rewards", include_str!("../../../contracts/sources/rewards.move")),
    ("k8s_gateway", include_str!("../../../contracts/sources/k8s_gateway.move")),
    ("usage", include_str!("../../../contracts/sources/usage.move")),
    ("staking", include_str!("../../../contracts/sources/staking.move")),
    ("seal_token", include_str!("../../../contracts/sources/seal_token.move")),
    ("slashing", include_str!("../../../contracts/sources/slashing.move")),
    ("upgrade", include_str!("../../../contracts/sources/upgrade.move")),
];

const MODULES: [&[u8]; 17] = [
    include_bytes!("../../../contracts/build/economics.mv"),
    include_bytes!("../../../contracts/build/governance.mv"),
    include_bytes!("../../../contracts/build/intent_message.mv"),
    include_bytes!("../../../contracts/build/measurement.mv"),
    include_bytes!("../../../contracts/build/nitro.mv"),
    include_bytes!("../../../contracts/build/tcb.mv"),
    include_bytes!("../../../contracts/build/enclave.mv"),
    include_bytes!("../../../contracts/build/anchor.mv"),
    include_bytes!("../../../contracts/build/seal_policy.mv"),
    include_bytes!("../../../contracts/build/insurance.mv"),
    include_bytes!("../../../contracts/build/rewards.mv"),
    include_bytes!("../../../contracts/build/k8s_gateway.mv"),
    include_bytes!("../../../contracts/build/usage.mv"),
    include_bytes!("../../../contracts/build/staking.mv"),
    include_bytes!("../../../contracts/build/seal_token.mv"),
    include_bytes!("../../../contracts/build/slashing.mv"),
    include_bytes!("../../../contracts/build/upgrade.mv"),
];

/// First bytes of every compiled Move module.
const MAGIC: [u8; 4] = [0xa1, 0x1c, 0xeb, 0x0b];
/// Sui refuses packages over 100 KiB.
const MAX_BYTES: u64 = 100 << 10;

/// Compiled modules, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Bytecode of the modules, each after those that it uses.
    pub modules: Vec<Vec<u8>>,
    /// Packages that it links to.
    pub dependencies: Vec<Address>,
}

/// What publishing gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// Id of the package.
    pub package: Address,
    /// Other objects that were created, among them the `UpgradeCap`, which the publisher owns.
    pub created: Vec<Created>,
    /// The transaction.
    pub receipt: Receipt,
}

/// The contracts that this program was built with.
///
/// ```
/// assert_eq!(chain::package::bundled().modules.len(), 17);
/// ```
pub fn bundled() -> Package {
    Package { modules: MODULES.map(<[u8]>::to_vec).to_vec(), dependencies: framework() }
}

/// The compiled contracts in a directory, as `contracts/tools/build.mjs` leaves them.
///
/// # Errors
/// [`Error::Package`] when a module is missing, too large or no Move module.
pub fn load(directory: &Path) -> Result<Package, Error> {
    let modules = SOURCES
        .iter()
        .map(|(name, _)| {
            let path = directory.join(name).with_extension("mv");
            let bad = |reason: String| Error::Package { path: path.display().to_string(), reason };
            let length = std::fs::metadata(&path).map_err(|error| bad(error.to_string()))?.len();
            if length > MAX_BYTES {
                return Err(bad(format!("it is larger than {MAX_BYTES} bytes")));
            }
            let module = std::fs::read(&path).map_err(|error| bad(error.to_string()))?;
            if !module.starts_with(&MAGIC) {
                return Err(bad("it is not a compiled Move module".to_owned()));
            }
            Ok(module)
        })
        .collect::<Result<_, _>>()?;
    Ok(Package { modules, dependencies: framework() })
}

fn framework() -> Vec<Address> {
    vec![Address::from_static("0x1"), Address::TWO]
}

impl Package {
    /// The digest by which an upgrade to it is announced: blake2b-256 over the sorted hashes of the modules
    /// and ids of the dependencies, as Sui's `MovePackage` has it.
    pub fn digest(&self) -> [u8; 32] {
        let modules = self.modules.iter().map(|module| Hasher::digest(module).into_inner());
        let mut parts: Vec<[u8; 32]> =
            modules.chain(self.dependencies.iter().map(|id| *id.inner())).collect();
        parts.sort_unstable();
        let mut hasher = Hasher::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize().into_inner()
    }

    /// The transaction that publishes it and gives the `UpgradeCap` to `owner`.
    pub fn publish(&self, owner: Address) -> Draft {
        let mut draft = Draft::new();
        let cap = draft.publish(self.modules.clone(), self.dependencies.clone());
        draft.transfer(vec![cap], owner);
        draft
    }
}

impl crate::Client {
    /// Publishes a package; the `UpgradeCap` goes to the sender.
    ///
    /// # Errors
    /// As [`Client::execute`](crate::Client::execute).
    pub async fn publish<'a>(
        &self,
        parties: impl Into<Parties<'a>>,
        package: &Package,
    ) -> Result<Published, Error> {
        let parties = parties.into();
        let receipt = self.execute(parties, &package.publish(parties.sender.address())).await?;
        let package = receipt
            .package()
            .ok_or_else(|| Error::malformed("ExecuteTransaction", "nothing was published"))?;
        Ok(Published { package, created: receipt.created(), receipt })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(directory: &str, extension: &str) -> BTreeSet<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts").join(directory);
        std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|found| found == extension))
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn no_module_is_forgotten() {
        let ours: BTreeSet<String> = SOURCES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(ours, names("sources", "move"));
        assert_eq!(ours, names("build", "mv"));
    }

    #[test]
    fn the_bundle_is_what_is_in_the_directory() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/build");
        assert_eq!(load(&directory).unwrap(), bundled());
    }

    #[test]
    fn a_missing_or_foreign_module_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let error = load(directory.path()).unwrap_err().to_string();
        assert!(error.contains("economics.mv"), "{error}");
        std::fs::write(directory.path().join("economics.mv"), b"#!/bin/sh").unwrap();
        let error = load(directory.path()).unwrap_err().to_string();
        assert!(error.contains("not a compiled Move module"), "{error}");
    }

    #[test]
    fn a_module_comes_after_those_that_it_uses() {
        for (index, (_, source)) in SOURCES.iter().enumerate() {
            for (later, _) in &SOURCES[index + 1..] {
                assert!(!source.contains(&format!("use k3s_daas::{later}")), "{later} is used before it");
            }
        }
    }
}
