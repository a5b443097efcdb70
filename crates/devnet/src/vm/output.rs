//! What a session did, for the ledger to make objects and effects of.

use std::collections::BTreeSet;

use sui_sdk_types::{Address, Identifier, StructTag};

/// The owner that code gave to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewOwner {
    /// An account, or an object that is sent to by address.
    Address(Address),
    /// Anybody.
    Shared,
    /// Nobody: it never changes again.
    Immutable,
}

/// An object that code transferred, shared or froze.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its identifier.
    pub id: Address,
    /// Whom it was given to.
    pub owner: NewOwner,
    /// Its type.
    pub ty: StructTag,
    /// Whether its type has `store`, so that anybody may transfer it.
    pub has_public_transfer: bool,
    /// BCS of its value.
    pub contents: Vec<u8>,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmittedEvent {
    /// Package of the function that the transaction called, by storage identifier.
    pub package: Address,
    /// Module of that function.
    pub module: Identifier,
    /// Who sent the transaction.
    pub sender: Address,
    /// Its type.
    pub ty: StructTag,
    /// BCS of its value.
    pub contents: Vec<u8>,
}

/// A dynamic field's object that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildChange {
    /// The object that owns it, or did.
    pub parent: Address,
    /// Its identifier.
    pub id: Address,
    /// What became of it.
    pub fate: ChildFate,
}

/// What became of a child object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChildFate {
    /// It is a child of [`ChildChange::parent`] now, with this value: added, or changed in place.
    Written {
        /// Its type.
        ty: StructTag,
        /// Whether its type has `store`.
        has_public_transfer: bool,
        /// BCS of its value.
        contents: Vec<u8>,
    },
    /// It was a child before the transaction and is not any more. If it is also among
    /// [`SessionOutput::transfers`] it lives on there; if its identifier is among
    /// [`SessionOutput::deleted`] it was deleted; else it is wrapped or held by the caller.
    Removed,
}

/// An object of the chain that code looked into besides the transaction's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadedChild {
    /// Its owner.
    pub parent: Address,
    /// Its identifier.
    pub id: Address,
    /// Its version before the transaction.
    pub version: u64,
}

/// What a session did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionOutput {
    /// Objects given away, in order. An object is in here once, with its last owner.
    pub transfers: Vec<Transfer>,
    /// Events in order.
    pub events: Vec<EmittedEvent>,
    /// Dynamic fields added, changed and removed, by identifier.
    pub children: Vec<ChildChange>,
    /// Existing children and received objects that were read, changed or not; by identifier.
    pub loaded: Vec<LoadedChild>,
    /// Identifiers of objects made in this transaction and not deleted in it.
    pub created: BTreeSet<Address>,
    /// Identifiers of objects from before the transaction that were deleted.
    pub deleted: BTreeSet<Address>,
    /// Identifiers derived so far, [`TxContext::ids_created`](super::TxContext::ids_created) included.
    pub ids_created: u64,
    /// Instructions used.
    pub instructions: u64,
}
