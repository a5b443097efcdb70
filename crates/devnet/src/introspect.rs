//! Questions about types and functions that answers to clients need.

use std::collections::BTreeMap;

use sui_sdk_types::{Address, MoveCall, MovePackage, TypeTag, UpgradeInfo};

use crate::error::DevnetError;
use crate::framework::Framework;
use crate::ledger::{Ledger, ObjectSource, Objects};
use crate::ptb::{ChainBacking, package};
use crate::vm::{FunctionInfo, Limits, Publication, Session, TxContext, Vm};

/// Instructions that an answer may cost.
const LIMITS: Limits = Limits { instructions: 1_000_000, gas: u64::MAX };

/// Number of bytes of the value of type `tag` that `bytes` start with.
pub(crate) fn value_length(vm: &Vm, ledger: &Ledger, tag: &TypeTag, bytes: &[u8]) -> Option<usize> {
    with_session(vm, ledger.objects(), |session| session.measure(tag, bytes).ok())
}

/// The signature of the function that a command calls, without the `TxContext`.
pub(crate) fn signature(vm: &Vm, ledger: &Ledger, call: &MoveCall) -> Option<FunctionInfo> {
    with_session(vm, ledger.objects(), |session| {
        let mut function =
            session.function(call.package, &call.module, &call.function, &call.type_arguments).ok()?;
        function.params.retain(|param| !param.is_tx_context);
        Some(function)
    })
}

/// The framework as package objects, for the first checkpoint of a ledger.
///
/// # Errors
///
/// [`DevnetError::Genesis`] if its modules do not fit together.
pub fn framework_packages(vm: &Vm, framework: Framework) -> Result<Vec<MovePackage>, DevnetError> {
    const STD: Address = Address::from_static("0x1");
    let nothing = Objects::default();
    with_session(vm, &nothing, |session| {
        let mut linkage = BTreeMap::new();
        let mut packages = Vec::new();
        for (id, modules) in [(STD, framework.std), (Address::TWO, framework.sui)] {
            let publication = Publication {
                id,
                modules,
                original: id,
                linkage: linkage
                    .iter()
                    .map(|(id, info): (&Address, &UpgradeInfo)| (*id, info.upgraded_id))
                    .collect(),
                type_origins: BTreeMap::new(),
            };
            let published = session
                .publish(publication)
                .map_err(|error| DevnetError::Genesis(format!("package {id}: {error}")))?;
            packages.push(package(id, 1, &published, linkage.clone(), &BTreeMap::new()));
            linkage.insert(id, UpgradeInfo { upgraded_id: id, upgraded_version: 1 });
        }
        Ok(packages)
    })
}

fn with_session<T>(vm: &Vm, source: &dyn ObjectSource, ask: impl FnOnce(&mut Session<'_>) -> T) -> T {
    let context = TxContext {
        sender: Address::ZERO,
        sponsor: None,
        digest: [0; 32],
        epoch: 0,
        epoch_timestamp_ms: 0,
        gas_price: 0,
        reference_gas_price: 0,
        gas_budget: 0,
        ids_created: 0,
    };
    let backing = ChainBacking::new(source, None);
    ask(&mut Session::new(vm, &backing, context, LIMITS))
}
