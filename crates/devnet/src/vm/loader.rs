//! Finds and links modules and types.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sui_sdk_types::{Address, Identifier, StructTag, TypeTag};

use super::binary::Tables;
use super::error::VmError;
use super::module::{Linker, Module, self_name};
use super::types::Type;
use super::{Backing, Publication, Vm};

/// How deeply modules may use each other.
const MAX_NESTING: usize = 128;
/// How deeply a type given from outside may nest.
const MAX_TAG_DEPTH: usize = 32;

/// The modules that one session sees.
pub(crate) struct Loader<'a> {
    pub(crate) vm: &'a Vm,
    pub(crate) backing: &'a dyn Backing,
    /// Packages published in this session, by storage identifier.
    fresh: HashMap<Address, Fresh>,
    /// Modules being linked, from the first asked for to the last.
    linking: Vec<(Address, Identifier)>,
}

struct Fresh {
    modules: BTreeMap<Identifier, Arc<[u8]>>,
    linkage: BTreeMap<Address, Address>,
    type_origins: BTreeMap<(Identifier, Identifier), Address>,
    linked: HashMap<Identifier, Arc<Module>>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(vm: &'a Vm, backing: &'a dyn Backing) -> Self {
        Self { vm, backing, fresh: HashMap::new(), linking: Vec::new() }
    }

    /// Makes a package known to this session. `modules` have their own address already.
    pub(crate) fn add(&mut self, publication: Publication, modules: BTreeMap<Identifier, Arc<[u8]>>) {
        let Publication { id, linkage, type_origins, .. } = publication;
        let linked = HashMap::new();
        self.fresh.insert(id, Fresh { modules, linkage, type_origins, linked });
    }

    /// Forgets a package published in this session.
    pub(crate) fn remove(&mut self, package: Address) {
        self.fresh.remove(&package);
    }

    /// Links all modules of a package published in this session, in the order of their names.
    pub(crate) fn link_all(&mut self, package: Address) -> Result<Vec<Arc<Module>>, VmError> {
        let names: Vec<Identifier> =
            self.fresh.get(&package).map(|fresh| fresh.modules.keys().cloned().collect()).unwrap_or_default();
        names.iter().map(|name| self.module(package, name)).collect()
    }

    /// A module of the package with storage identifier `package`.
    pub(crate) fn module(&mut self, package: Address, name: &Identifier) -> Result<Arc<Module>, VmError> {
        if let Some(fresh) = self.fresh.get(&package) {
            if let Some(module) = fresh.linked.get(name) {
                return Ok(Arc::clone(module));
            }
        } else if let Some(module) = self.vm.cached(package, name) {
            return Ok(module);
        }
        let bytes = match self.fresh.get(&package) {
            Some(fresh) => fresh.modules.get(name).cloned(),
            None => self.backing.module(package, name),
        };
        let missing = || VmError::MissingModule { package, module: name.clone() };
        let module = self.link(package, name, &bytes.ok_or_else(missing)?)?;
        match self.fresh.get_mut(&package) {
            Some(fresh) => {
                fresh.linked.insert(name.clone(), Arc::clone(&module));
            }
            None => self.vm.cache(Arc::clone(&module)),
        }
        Ok(module)
    }

    fn link(&mut self, package: Address, name: &Identifier, bytes: &[u8]) -> Result<Arc<Module>, VmError> {
        let describe = |problem: &str| VmError::BadModule(format!("{package}::{name}: {problem}"));
        let this = (package, name.clone());
        if self.linking.contains(&this) {
            return Err(describe("modules use each other in a circle"));
        }
        if self.linking.len() >= MAX_NESTING {
            return Err(describe("modules use each other too deeply"));
        }
        let tables = Tables::read(bytes).map_err(|rejected| match VmError::from(rejected) {
            VmError::BadModule(problem) => describe(&problem),
            other => other,
        })?;
        let (original, own_name) = self_name(&tables)?;
        if own_name != name {
            return Err(describe("it has another name"));
        }
        self.linking.push(this);
        let module = Module::link(tables, package, &mut PackageLinker { loader: self, package, original });
        self.linking.pop();
        module.map(Arc::new).map_err(|error| match error {
            VmError::BadModule(problem) => describe(&problem),
            other => other,
        })
    }

    /// A type given from outside.
    pub(crate) fn ty(&mut self, tag: &TypeTag) -> Result<Type, VmError> {
        self.ty_at(tag, 0)
    }

    fn ty_at(&mut self, tag: &TypeTag, depth: usize) -> Result<Type, VmError> {
        if depth > MAX_TAG_DEPTH {
            return Err(VmError::OutOf(super::Resource::TypeDepth));
        }
        Ok(match tag {
            TypeTag::Bool => Type::Bool,
            TypeTag::U8 => Type::U8,
            TypeTag::U16 => Type::U16,
            TypeTag::U32 => Type::U32,
            TypeTag::U64 => Type::U64,
            TypeTag::U128 => Type::U128,
            TypeTag::U256 => Type::U256,
            TypeTag::Address => Type::Address,
            TypeTag::Signer => Type::Signer,
            TypeTag::Vector(element) => Type::vector(self.ty_at(element, depth + 1)?)?,
            TypeTag::Struct(tag) => self.struct_at(tag, depth)?,
        })
    }

    /// A struct or enum given from outside.
    pub(crate) fn struct_type(&mut self, tag: &StructTag) -> Result<Type, VmError> {
        self.struct_at(tag, 0)
    }

    fn struct_at(&mut self, tag: &StructTag, depth: usize) -> Result<Type, VmError> {
        let module = self.module(*tag.address(), tag.module())?;
        let missing = || VmError::MissingType(tag.to_string());
        let datatype = Arc::clone(module.datatypes.get(tag.name()).ok_or_else(missing)?);
        let mut args = Vec::with_capacity(tag.type_params().len());
        for arg in tag.type_params() {
            args.push(self.ty_at(arg, depth + 1)?);
        }
        for (param, arg) in datatype.params.iter().zip(&args) {
            if !arg.has(param.constraints) {
                return Err(VmError::TypeArguments(format!("{tag}: an argument lacks an ability")));
            }
        }
        Type::datatype(datatype, args)
    }
}

/// Links one package's modules.
struct PackageLinker<'l, 'a> {
    loader: &'l mut Loader<'a>,
    package: Address,
    original: Address,
}

impl Linker for PackageLinker<'_, '_> {
    fn module(&mut self, original: Address, name: &Identifier) -> Result<Arc<Module>, VmError> {
        let storage = if original == self.original {
            self.package
        } else if let Some(fresh) = self.loader.fresh.get(&self.package) {
            let undeclared = || VmError::BadModule(format!("package {original} is no dependency"));
            *fresh.linkage.get(&original).ok_or_else(undeclared)?
        } else {
            self.loader.backing.linked(self.package, original)
        };
        self.loader.module(storage, name)
    }

    fn origin(&self, module: &Identifier, datatype: &Identifier) -> Address {
        match self.loader.fresh.get(&self.package) {
            Some(fresh) => {
                let key = (module.clone(), datatype.clone());
                fresh.type_origins.get(&key).copied().unwrap_or(self.package)
            }
            None => self.loader.backing.type_origin(self.package, module, datatype),
        }
    }
}
