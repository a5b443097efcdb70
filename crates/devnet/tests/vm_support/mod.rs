//! A chain that is just the framework, some packages and some objects, for tests of the interpreter.

// Each test binary uses its own part.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use devnet::framework;
use devnet::vm::{Arg, Backing, Limits, Published, Session, StoredObject, TxContext, Value, Vm, VmError};
use sui_sdk_types::{Address, Identifier, TypeTag};

pub const STD: Address = Address::from_static("0x1");
pub const SUI: Address = Address::from_static("0x2");
pub const SENDER: Address = Address::from_static("0xa11ce");

/// Modules and children by identifier.
#[derive(Default)]
pub struct Memory {
    pub modules: BTreeMap<(Address, Identifier), Arc<[u8]>>,
    pub children: BTreeMap<(Address, Address), StoredObject>,
    pub receivable: BTreeMap<(Address, Address, u64), StoredObject>,
    pub shared: BTreeSet<Address>,
}

impl Backing for Memory {
    fn module(&self, package: Address, name: &Identifier) -> Option<Arc<[u8]>> {
        self.modules.get(&(package, name.clone())).cloned()
    }

    fn child(&self, parent: Address, id: Address) -> Option<StoredObject> {
        self.children.get(&(parent, id)).cloned()
    }

    fn receivable(&self, parent: Address, id: Address, version: u64) -> Option<StoredObject> {
        self.receivable.get(&(parent, id, version)).cloned()
    }

    fn is_shared(&self, id: Address) -> bool {
        self.shared.contains(&id)
    }
}

impl Memory {
    /// Adds what a session published.
    pub fn install(&mut self, package: Address, published: &Published) {
        for (name, bytes) in &published.modules {
            self.modules.insert((package, name.clone()), Arc::clone(bytes));
        }
    }
}

/// Where set-up puts the framework.
pub fn framework_path() -> PathBuf {
    std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs")),
        PathBuf::from,
    )
}

/// The framework's modules with the package they belong to.
pub fn framework_modules() -> Vec<(Address, Vec<u8>)> {
    let framework = framework::load(&framework_path()).unwrap_or_else(|error| panic!("{error}"));
    let std = framework.std.into_iter().map(|module| (STD, module));
    std.chain(framework.sui.into_iter().map(|module| (SUI, module))).collect()
}

/// A chain with the framework.
pub fn with_framework() -> Memory {
    let mut memory = Memory::default();
    for (package, bytes) in framework_modules() {
        let name = devnet::vm::module_name(&bytes).expect("a framework module").1;
        memory.modules.insert((package, name), bytes.into());
    }
    memory
}

pub fn context() -> TxContext {
    TxContext {
        sender: SENDER,
        sponsor: None,
        digest: [7; 32],
        epoch: 3,
        epoch_timestamp_ms: 1_000,
        gas_price: 1000,
        reference_gas_price: 900,
        gas_budget: 50_000_000,
        ids_created: 0,
    }
}

pub fn session<'a>(vm: &'a Vm, memory: &'a Memory) -> Session<'a> {
    Session::new(vm, memory, context(), Limits::default())
}

pub fn id(name: &str) -> Identifier {
    Identifier::new(name).expect("an identifier")
}

/// Calls with arguments by value, given as BCS; returns BCS.
pub fn call(
    session: &mut Session<'_>,
    package: Address,
    module: &str,
    function: &str,
    types: &[TypeTag],
    args: &[Vec<u8>],
) -> Result<Vec<Vec<u8>>, VmError> {
    let (module, function) = (id(module), id(function));
    let info = session.function(package, &module, &function, types)?;
    let params: Vec<_> = info.params.into_iter().filter(|param| !param.is_tx_context).collect();
    let mut values: Vec<Value> = Vec::new();
    for (param, bytes) in params.iter().zip(args) {
        values.push(session.deserialize(&param.ty, bytes)?);
    }
    let mut owned = Vec::new();
    let mut lent = Vec::new();
    for (param, value) in params.iter().zip(values) {
        if param.passing == devnet::vm::Passing::Value { owned.push(value) } else { lent.push(value) }
    }
    let (mut owned, mut refs) = (owned.into_iter(), lent.iter_mut());
    let args = params
        .iter()
        .map(|param| match param.passing {
            devnet::vm::Passing::Value => Arg::Value(owned.next().expect("counted")),
            _ => Arg::Ref(refs.next().expect("counted")),
        })
        .collect();
    let returned = session.call(package, &module, &function, types, args)?;
    returned.iter().map(|(tag, value)| session.serialize(tag, value)).collect()
}
