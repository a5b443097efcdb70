//! What the interpreter sees of the chain while it runs a transaction.

use std::sync::Arc;

use sui_sdk_types::{Address, Identifier, MovePackage, ObjectData, Owner};

use crate::ledger::{Inputs, ObjectSource, ResolvedInput, StoredObject};
use crate::vm;

/// Modules and objects as they were before the transaction.
pub(crate) struct ChainBacking<'a> {
    source: &'a dyn ObjectSource,
    inputs: Option<&'a Inputs>,
}

impl<'a> ChainBacking<'a> {
    /// The chain, and what a transaction with these inputs may receive.
    pub(crate) fn new(source: &'a dyn ObjectSource, inputs: Option<&'a Inputs>) -> Self {
        Self { source, inputs }
    }

    fn in_package<T>(&self, id: &Address, read: impl FnOnce(&MovePackage) -> T) -> Option<T> {
        match self.source.live(id)?.object().data() {
            ObjectData::Package(package) => Some(read(package)),
            ObjectData::Struct(_) => None,
        }
    }
}

impl vm::Backing for ChainBacking<'_> {
    fn module(&self, package: Address, name: &Identifier) -> Option<Arc<[u8]>> {
        self.in_package(&package, |package| package.modules.get(name).map(|bytes| bytes.as_slice().into()))?
    }

    fn child(&self, parent: Address, id: Address) -> Option<vm::StoredObject> {
        let object = self.source.live(&id)?;
        (*object.object().owner() == Owner::Object(parent)).then(|| convert(&object))?
    }

    fn receivable(&self, parent: Address, id: Address, version: u64) -> Option<vm::StoredObject> {
        let inputs = self.inputs?;
        inputs.resolved.iter().find_map(|input| match input {
            ResolvedInput::Receiving(object)
                if object.object().object_id() == id
                    && object.object().version() == version
                    && *object.object().owner() == Owner::Address(parent) =>
            {
                convert(object)
            }
            _ => None,
        })
    }

    fn is_shared(&self, id: Address) -> bool {
        let object = self.source.live(&id);
        object.is_some_and(|object| matches!(object.object().owner(), Owner::Shared(_)))
    }

    fn linked(&self, package: Address, original: Address) -> Address {
        let linked = self.in_package(&package, |found| {
            if original_id(found) == original {
                return Some(found.id);
            }
            found.linkage_table.get(&original).map(|info| info.upgraded_id)
        });
        linked.flatten().unwrap_or(original)
    }

    fn type_origin(&self, package: Address, module: &Identifier, datatype: &Identifier) -> Address {
        let origin = self.in_package(&package, |found| {
            let origins = &found.type_origin_table;
            origins
                .iter()
                .find(|origin| origin.module_name == *module && origin.struct_name == *datatype)
                .map(|origin| origin.package)
        });
        origin.flatten().unwrap_or(package)
    }
}

/// Identifier of a package's first version: its modules bear it.
pub(crate) fn original_id(package: &MovePackage) -> Address {
    let bytes = if package.version > 1 { package.modules.values().next() } else { None };
    match bytes.map(|bytes| vm::module_name(bytes)) {
        Some(Ok((original, _))) => original,
        _ => package.id,
    }
}

fn convert(object: &StoredObject) -> Option<vm::StoredObject> {
    let structure = object.object().as_struct()?;
    Some(vm::StoredObject {
        version: structure.version(),
        ty: structure.object_type().clone(),
        contents: structure.contents().into(),
    })
}
