//! Publishing packages.

use std::collections::BTreeMap;
use std::sync::Arc;

use sui_sdk_types::{Address, Identifier};

use super::binary::Tables;
use super::error::VmError;
use super::module::{Function, Module, self_name};
use super::natives::names_witness;
use super::session::{Session, Visibility};
use super::types::{SUI, Type};
use super::value::Value;

/// The address of packages that are not published yet.
const UNPUBLISHED: Address = Address::ZERO;
/// Most modules of a package.
const MAX_MODULES: usize = 256;

/// A package to publish.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Storage identifier of the new package.
    pub id: Address,
    /// Its modules; their own address is `0x0`, or for an upgrade its original identifier.
    pub modules: Vec<Vec<u8>>,
    /// Original identifier of the package: `id`, unless it is an upgrade.
    pub original: Address,
    /// Storage identifier of each dependency, by original identifier.
    pub linkage: BTreeMap<Address, Address>,
    /// Storage identifier of the version that first had a type, for types that are older than this
    /// version; by module and type name.
    pub type_origins: BTreeMap<(Identifier, Identifier), Address>,
}

/// A package that was checked and can be called in the same session.
#[derive(Clone, Debug)]
pub struct Published {
    /// Bytes of each module, now with the package's own address.
    pub modules: BTreeMap<Identifier, Arc<[u8]>>,
    /// Modules and names of the package's structs and enums, in order.
    pub datatypes: Vec<(Identifier, Identifier)>,
    /// Original identifiers of the packages that the modules use.
    pub dependencies: Vec<Address>,
    /// Modules with a function `init`.
    pub initializers: Vec<Identifier>,
}

impl Session<'_> {
    /// Gives a package's modules their address, checks and links them. From now on this session can
    /// call it; others can when [`Backing`](super::Backing) has it.
    ///
    /// # Errors
    ///
    /// If a module is malformed, is there twice, or does not fit what it uses.
    pub fn publish(&mut self, mut publication: Publication) -> Result<Published, VmError> {
        let package = publication.id;
        let mut modules = BTreeMap::new();
        let mut order = Vec::new();
        if publication.modules.is_empty() || publication.modules.len() > MAX_MODULES {
            return Err(VmError::BadModule("a package has no modules, or too many".into()));
        }
        for bytes in std::mem::take(&mut publication.modules) {
            let (name, bytes) = rebase(bytes, publication.original)?;
            order.push(name.clone());
            if modules.insert(name.clone(), Arc::from(bytes)).is_some() {
                return Err(VmError::BadModule(format!("module {name} is there twice")));
            }
        }
        self.machine.loader.add(publication, modules.clone());
        let linked = self.machine.loader.link_all(package).and_then(|linked| {
            let checked = linked.iter().try_for_each(|module| check_initializer(module));
            checked.map(|()| linked)
        });
        let linked = linked.inspect_err(|_| self.machine.loader.remove(package))?;
        let mut published =
            Published { modules, datatypes: Vec::new(), dependencies: Vec::new(), initializers: Vec::new() };
        for module in &linked {
            let names = module.datatype_names.iter().cloned();
            published.datatypes.extend(names.map(|name| (module.name.clone(), name)));
            published.dependencies.extend(module.uses.iter().filter(|&&used| used != module.original));
        }
        published.dependencies.sort_unstable();
        published.dependencies.dedup();
        let has_initializer =
            |name: &Identifier| linked.iter().any(|m| m.name == *name && initializer(m).is_some());
        published.initializers = order.into_iter().filter(has_initializer).collect();
        Ok(published)
    }

    /// Runs the `init` functions of a package published in this session, with one-time witnesses for
    /// those that take one.
    ///
    /// # Errors
    ///
    /// As [`Session::call`].
    pub fn initialize(&mut self, published: &Published, package: Address) -> Result<(), VmError> {
        for name in &published.initializers {
            let module = self.machine.loader.module(package, name)?;
            let Some((index, function)) = initializer(&module) else { continue };
            let mut args = Vec::new();
            if function.params.len() == 2 {
                args.push(Value::Struct(vec![Value::Bool(true)].into()));
            }
            args.push(self.context_reference());
            self.machine.entry = Some((package, name.clone()));
            self.machine.run(&module, index, Vec::new(), args)?;
        }
        Ok(())
    }
}

/// The address and name that a module's bytes give it.
///
/// # Errors
///
/// If the bytes are no module.
pub fn module_name(bytes: &[u8]) -> Result<(Address, Identifier), VmError> {
    let tables = Tables::read(bytes)?;
    self_name(&tables).map(|(address, name)| (address, name.clone()))
}

/// Name of a module, and its bytes with the address it will have.
fn rebase(mut bytes: Vec<u8>, to: Address) -> Result<(Identifier, Vec<u8>), VmError> {
    let bad = |problem: &str| VmError::BadModule(problem.into());
    let tables = Tables::read(&bytes)?;
    let (address, name) = self_name(&tables)?;
    if address != UNPUBLISHED && address != to {
        return Err(VmError::BadModule(format!("module {name} has the address {address} already")));
    }
    let index = tables.modules.get(usize::from(tables.self_handle)).map(|handle| usize::from(handle.address));
    let start = tables.addresses_at + index.ok_or_else(|| bad("it has no name"))? * Address::LENGTH;
    let place = bytes.get_mut(start..start + Address::LENGTH).ok_or_else(|| bad("it has no address"))?;
    place.copy_from_slice(to.as_bytes());
    Ok((name.clone(), bytes))
}

fn initializer(module: &Module) -> Option<(u16, &Function)> {
    let (index, function) = module.functions.iter().enumerate().find(|(_, f)| f.name.as_str() == "init")?;
    Some((u16::try_from(index).ok()?, function))
}

/// Checks that `init` is one that runs when its package is published.
fn check_initializer(module: &Module) -> Result<(), VmError> {
    let Some((_, function)) = initializer(module) else { return Ok(()) };
    let witness = |ty: &Type| {
        ty.as_datatype().is_some_and(|datatype| {
            names_witness(datatype) && datatype.original == module.original && datatype.module == module.name
        })
    };
    let context = |ty: &Type| {
        let datatype = ty.referent().as_datatype();
        ty.is_reference() && datatype.is_some_and(|datatype| datatype.is(SUI, "tx_context", "TxContext"))
    };
    let params = match &*function.params {
        [last] => context(last),
        [first, last] => witness(first) && context(last),
        _ => false,
    };
    let private = function.visibility == Visibility::Private && !function.entry;
    if params && private && function.type_params.is_empty() && function.returns.is_empty() {
        return Ok(());
    }
    Err(VmError::BadModule(format!(
        "{}::init must be private and take the transaction's context, and before it at most a one-time witness",
        module.name
    )))
}
