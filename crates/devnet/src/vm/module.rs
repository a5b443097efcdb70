//! A module with everything it uses resolved.

use std::collections::HashMap;
use std::sync::Arc;

use sui_sdk_types::{Address, Identifier};

use super::binary::{ModuleHandle, Op, Tables};
use super::error::VmError;
use super::natives::Native;
use super::session::Visibility;
use super::types::{Datatype, Type};
use super::value::Value;

/// A module, ready to run.
#[derive(Debug)]
pub(crate) struct Module {
    /// Storage identifier of its package.
    pub(crate) package: Address,
    /// The address it names itself by.
    pub(crate) original: Address,
    pub(crate) name: Identifier,
    pub(crate) functions: Vec<Function>,
    pub(super) by_name: HashMap<Identifier, u16>,
    pub(crate) datatypes: HashMap<Identifier, Arc<Datatype>>,
    /// Names of the datatypes as they are declared: structs, then enums.
    pub(crate) datatype_names: Vec<Identifier>,
    /// Original identifiers of the packages of the modules it uses, its own included.
    pub(crate) uses: Vec<Address>,
    pub(super) friends: Vec<(Address, Identifier)>,
    /// By function handle.
    pub(crate) callees: Vec<Callee>,
    /// By function instantiation: the callee, and the signature with its type arguments.
    pub(crate) instances: Vec<(u16, u16)>,
    pub(crate) signatures: Vec<Arc<[Type]>>,
    pub(crate) constants: Vec<Value>,
}

/// A function of a module.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: Identifier,
    pub(crate) visibility: Visibility,
    pub(crate) entry: bool,
    /// Constraints of the type parameters.
    pub(crate) type_params: Vec<u8>,
    pub(crate) params: Arc<[Type]>,
    pub(crate) returns: Arc<[Type]>,
    pub(crate) body: Body,
}

/// What a function does.
#[derive(Debug)]
pub(crate) enum Body {
    Code(Code),
    /// With what calling it costs; `None` if the interpreter does not have it.
    Native(Option<(Native, u64)>),
}

/// Linked code.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) ops: Vec<Op>,
    /// Number of locals, parameters included.
    pub(crate) locals: usize,
    pub(crate) wide: Vec<Value>,
    pub(crate) jump_tables: Vec<Vec<u16>>,
}

/// A function that a module calls.
#[derive(Debug)]
pub(crate) enum Callee {
    /// Of the module itself, by definition.
    Own(u16),
    /// Of another module.
    Other(Arc<Module>, u16),
}

/// Finds what a module needs while it is linked.
pub(crate) trait Linker {
    /// A module by the address that the module being linked names it by.
    fn module(&mut self, original: Address, name: &Identifier) -> Result<Arc<Module>, VmError>;
    /// Storage identifier of the package version that first had a type of the module being linked.
    fn origin(&self, module: &Identifier, datatype: &Identifier) -> Address;
}

pub(super) const OUT_OF_RANGE: &str = "an index is out of range";

pub(super) fn bad(problem: impl Into<String>) -> VmError {
    VmError::BadModule(problem.into())
}

pub(super) fn pick<T>(items: &[T], index: u16) -> Result<&T, VmError> {
    items.get(usize::from(index)).ok_or_else(|| bad(OUT_OF_RANGE))
}

/// Address and name of a module handle.
pub(crate) fn module_name(tables: &Tables, handle: ModuleHandle) -> Result<(Address, &Identifier), VmError> {
    Ok((*pick(&tables.addresses, handle.address)?, pick(&tables.identifiers, handle.name)?))
}

/// Address and name that a module gives itself.
pub(crate) fn self_name(tables: &Tables) -> Result<(Address, &Identifier), VmError> {
    module_name(tables, *pick(&tables.modules, tables.self_handle)?)
}

impl Module {
    /// A function by name.
    pub(crate) fn function(&self, name: &Identifier) -> Option<(u16, &Function)> {
        let index = *self.by_name.get(name)?;
        Some((index, self.functions.get(usize::from(index))?))
    }
}
