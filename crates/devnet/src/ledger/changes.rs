//! What one transaction changes, from the executor's raw outcome to objects and effects.

use std::collections::BTreeMap;
use std::sync::Arc;

use sui_sdk_types::{
    Address, ChangedObject, Digest, IdOperation, MovePackage, MoveStruct, Object, ObjectData, ObjectIn,
    ObjectOut, Owner, StructTag, Version,
};

use super::gas;
use super::objects::StoredObject;

/// The owner an object gets; versions of shared objects are filled in by the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewOwner {
    /// An account.
    Address(Address),
    /// Another object: this is a dynamic field.
    Object(Address),
    /// Anybody, from this transaction on or as before.
    Shared,
    /// Nobody: it never changes again.
    Immutable,
    /// Whoever owned it before.
    Unchanged,
}

/// One object's fate.
#[derive(Clone, Debug)]
pub enum Change {
    /// It was created or changed.
    Write {
        /// Its type.
        type_: StructTag,
        /// Whether anybody may transfer it.
        has_public_transfer: bool,
        /// Its bytes.
        contents: Vec<u8>,
        /// Its owner.
        owner: NewOwner,
        /// Whether its identifier was made by this transaction.
        created: bool,
    },
    /// A package was published or upgraded.
    Package(MovePackage),
    /// It was deleted.
    Delete,
    /// It became part of another object.
    Wrap,
}

/// Changes by object.
pub type Changes = BTreeMap<Address, Change>;

/// Changes turned into objects.
#[derive(Clone, Debug, Default)]
pub struct Settled {
    /// New versions of objects.
    pub written: Vec<Arc<StoredObject>>,
    /// What the effects say, by object identifier.
    pub changed: Vec<ChangedObject>,
}

/// Who changes objects, and at which version.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// Digest of the transaction.
    pub transaction: Digest,
    /// Version of every object it writes.
    pub lamport: Version,
}

impl Change {
    /// Writes `before` again as it is, with a new version.
    pub fn touch(before: &Object) -> Option<Self> {
        let structure = before.as_struct()?;
        Some(Self::Write {
            type_: structure.object_type().clone(),
            has_public_transfer: structure.has_public_transfer(),
            contents: structure.contents().to_vec(),
            owner: NewOwner::Unchanged,
            created: false,
        })
    }

    /// MIST to lock up for storing the outcome.
    pub fn storage_cost(&self) -> u64 {
        match self {
            Self::Write { type_, contents, .. } => gas::storage_cost(gas::struct_size(type_, contents.len())),
            Self::Package(package) => gas::storage_cost(gas::package_size(package)),
            Self::Delete | Self::Wrap => 0,
        }
    }
}

/// Turns changes into objects and effects. `before` finds the live object prior to the
/// transaction; `rebate` says how much storage is paid for in a written object.
///
/// Returns `None` if a change makes no object (its contents are shorter than an identifier, or it
/// keeps the owner of an object that was not there): the executor never produces such changes.
pub fn settle(
    changes: Changes,
    stamp: Stamp,
    before: impl Fn(&Address) -> Option<Arc<StoredObject>>,
    rebate: impl Fn(&Address, &Change) -> u64,
) -> Option<Settled> {
    let mut settled = Settled::default();
    for (object_id, change) in changes {
        let old = before(&object_id);
        let input_state = old.as_ref().map_or(ObjectIn::NotExist, |old| ObjectIn::Exist {
            version: old.object().version(),
            digest: old.digest(),
            owner: *old.object().owner(),
        });
        let storage_rebate = rebate(&object_id, &change);
        let (output_state, id_operation) = match change {
            Change::Delete => (ObjectOut::NotExist, IdOperation::Deleted),
            Change::Wrap => (ObjectOut::NotExist, IdOperation::None),
            Change::Package(package) => {
                let version = package.version;
                let data = ObjectData::Package(package);
                let object = Object::new(data, Owner::Immutable, stamp.transaction, storage_rebate);
                let object = StoredObject::new(object);
                let digest = object.digest();
                settled.written.push(object);
                (ObjectOut::PackageWrite { version, digest }, IdOperation::Created)
            }
            Change::Write { type_, has_public_transfer, contents, owner, created } => {
                let owner = new_owner(owner, old.as_deref(), stamp.lamport)?;
                let structure = MoveStruct::new(type_, has_public_transfer, stamp.lamport, contents)?;
                let data = ObjectData::Struct(structure);
                let object = Object::new(data, owner, stamp.transaction, storage_rebate);
                let object = StoredObject::new(object);
                let digest = object.digest();
                settled.written.push(object);
                let operation = if created { IdOperation::Created } else { IdOperation::None };
                (ObjectOut::ObjectWrite { digest, owner }, operation)
            }
        };
        settled.changed.push(ChangedObject { object_id, input_state, output_state, id_operation });
    }
    Some(settled)
}

fn new_owner(owner: NewOwner, old: Option<&StoredObject>, lamport: Version) -> Option<Owner> {
    let old = old.map(|old| *old.object().owner());
    Some(match owner {
        NewOwner::Address(address) => Owner::Address(address),
        NewOwner::Object(parent) => Owner::Object(parent),
        NewOwner::Immutable => Owner::Immutable,
        NewOwner::Unchanged => old?,
        NewOwner::Shared => match old {
            Some(shared @ Owner::Shared(_)) => shared,
            _ => Owner::Shared(lamport),
        },
    })
}
