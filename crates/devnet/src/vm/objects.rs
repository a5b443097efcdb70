//! What a session knows of objects: identifiers made and deleted, objects given away, events, and
//! the child objects it has loaded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use sui_sdk_types::Address;

use super::codec;
use super::error::{Resource, VmError};
use super::fault::{Fault, Step};
use super::machine::{Machine, object_id};
use super::output::{ChildChange, ChildFate, EmittedEvent, LoadedChild, NewOwner, SessionOutput, Transfer};
use super::types::{STORE, Type};
use super::value::Value;

/// Distinguishes identifiers of new objects from other hashes.
const NEW_OBJECT: u8 = 0xf1;
/// Most events of a transaction.
const MAX_EVENTS: usize = 1024;
/// Most bytes of an event.
const MAX_EVENT_BYTES: usize = 256 * 1024;
/// Most bytes of an object.
const MAX_OBJECT_BYTES: usize = 256 * 1024;
/// Most identifiers made, objects given away and children touched by a transaction.
const MAX_OBJECTS: usize = 2048;

/// What a session knows of objects.
pub(crate) struct Objects {
    ids_created: u64,
    created: BTreeSet<Address>,
    deleted: BTreeSet<Address>,
    transfers: Vec<Transfer>,
    events: Vec<EmittedEvent>,
    children: BTreeMap<Address, Child>,
    received: BTreeMap<Address, LoadedChild>,
}

/// A child object that was looked into, added or removed.
struct Child {
    parent: Address,
    ty: Type,
    slot: u32,
    /// Whether it is a child now.
    present: bool,
    /// What it was before the transaction.
    before: Option<Before>,
}

struct Before {
    parent: Address,
    version: u64,
    contents: Arc<[u8]>,
}

/// The identifier of the `index`-th object made by a transaction.
pub(crate) fn derive_id(digest: &[u8], index: u64) -> Address {
    let mut hasher = Blake2b::<U32>::new();
    hasher.update([NEW_OBJECT]);
    hasher.update(digest);
    hasher.update(index.to_le_bytes());
    Address::new(hasher.finalize().into())
}

impl Objects {
    pub(crate) fn new(ids_created: u64) -> Self {
        Self {
            ids_created,
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
            transfers: Vec::new(),
            events: Vec::new(),
            children: BTreeMap::new(),
            received: BTreeMap::new(),
        }
    }

    pub(crate) fn ids_created(&self) -> u64 {
        self.ids_created
    }

    /// A new identifier.
    pub(crate) fn fresh_id(&mut self, digest: &[u8]) -> Address {
        let id = derive_id(digest, self.ids_created);
        self.ids_created += 1;
        self.record_new(id);
        id
    }

    /// Checks that one more object may be made.
    pub(crate) fn check_room(&self) -> Step<()> {
        if self.created.len() >= MAX_OBJECTS { Err(Fault::OutOf(Resource::Objects)) } else { Ok(()) }
    }

    /// Counts an object as made in this transaction.
    pub(crate) fn record_new(&mut self, id: Address) {
        // Made, deleted and made again (a derived identifier): it is there.
        if !self.deleted.remove(&id) {
            self.created.insert(id);
        }
    }

    /// Counts an object as deleted.
    pub(crate) fn record_deleted(&mut self, id: Address) {
        if !self.created.remove(&id) {
            self.deleted.insert(id);
        }
    }

    pub(crate) fn is_new(&self, id: &Address) -> bool {
        self.created.contains(id)
    }

    /// Gives an object away.
    pub(crate) fn transfer(&mut self, transfer: Transfer) -> Step<()> {
        if transfer.contents.len() > MAX_OBJECT_BYTES || self.transfers.len() >= MAX_OBJECTS {
            return Err(Fault::OutOf(Resource::Objects));
        }
        self.transfers.push(transfer);
        Ok(())
    }

    pub(crate) fn emit(&mut self, event: EmittedEvent) -> Step<()> {
        if event.contents.len() > MAX_EVENT_BYTES || self.events.len() >= MAX_EVENTS {
            return Err(Fault::OutOf(Resource::Events));
        }
        self.events.push(event);
        Ok(())
    }
}

/// A child object, as natives see it.
#[derive(Clone)]
pub(crate) struct ChildHandle {
    pub(crate) ty: Type,
    pub(crate) slot: u32,
}

impl Machine<'_> {
    /// The child `id` of `parent`, loaded if need be.
    pub(crate) fn child(&mut self, parent: Address, id: Address) -> Step<Option<ChildHandle>> {
        if let Some(child) = self.objects.children.get(&id) {
            let found = child.present && child.parent == parent;
            return Ok(found.then(|| ChildHandle { ty: child.ty.clone(), slot: child.slot }));
        }
        let Some(stored) = self.loader.backing.child(parent, id) else { return Ok(None) };
        if self.objects.children.len() >= MAX_OBJECTS {
            return Err(Fault::OutOf(Resource::Objects));
        }
        let ty = self.loader.struct_type(&stored.ty)?;
        let value = codec::decode(&ty, &stored.contents, &mut self.fuel)?;
        let slot = self.new_slot(value)?;
        let before = Before { parent, version: stored.version, contents: stored.contents };
        let child = Child { parent, ty: ty.clone(), slot, present: true, before: Some(before) };
        self.objects.children.insert(id, child);
        Ok(Some(ChildHandle { ty, slot }))
    }

    /// Makes `value` a child of `parent`. The caller has checked that there is none.
    pub(crate) fn add_child(&mut self, parent: Address, ty: &Type, value: Value) -> Step<()> {
        let id = object_id(&value)?;
        if self.objects.children.len() >= MAX_OBJECTS {
            return Err(Fault::OutOf(Resource::Objects));
        }
        let slot = self.new_slot(value)?;
        let before = self.objects.children.remove(&id).and_then(|child| child.before);
        let child = Child { parent, ty: ty.clone(), slot, present: true, before };
        self.objects.children.insert(id, child);
        Ok(())
    }

    /// Takes a child that [`Machine::child`] found away from its parent.
    pub(crate) fn remove_child(&mut self, id: Address) -> Step<Value> {
        let child = self.objects.children.get_mut(&id).ok_or(Fault::BadCode("no such child"))?;
        child.present = false;
        let slot = self.slots.get_mut(child.slot as usize).ok_or(Fault::BadCode("no such child"))?;
        Ok(std::mem::take(slot))
    }

    /// An object sent to `parent`, to be used once.
    pub(crate) fn receive(
        &mut self,
        parent: Address,
        id: Address,
        version: u64,
    ) -> Step<Option<(Type, Value)>> {
        if self.objects.received.contains_key(&id) {
            return Ok(None);
        }
        let Some(stored) = self.loader.backing.receivable(parent, id, version) else { return Ok(None) };
        let ty = self.loader.struct_type(&stored.ty)?;
        let value = codec::decode(&ty, &stored.contents, &mut self.fuel)?;
        self.objects.received.insert(id, LoadedChild { parent, id, version: stored.version });
        Ok(Some((ty, value)))
    }

    /// Gives an object of type `ty` away.
    pub(crate) fn give(&mut self, ty: &Type, value: &Value, owner: NewOwner) -> Step<()> {
        let id = object_id(value)?;
        let contents = codec::encode(value, &mut self.fuel)?;
        let struct_tag = ty.struct_tag().ok_or(Fault::BadCode("an object that is no struct"))?;
        let has_public_transfer = ty.has(STORE);
        self.objects.transfer(Transfer { id, owner, ty: struct_tag, has_public_transfer, contents })
    }

    /// What the session did.
    pub(crate) fn output(mut self, instructions: u64) -> Result<SessionOutput, VmError> {
        let mut children = Vec::new();
        let mut loaded: BTreeMap<Address, LoadedChild> = std::mem::take(&mut self.objects.received);
        for (id, child) in std::mem::take(&mut self.objects.children) {
            if let Some(before) = &child.before {
                let Before { parent, version, .. } = *before;
                loaded.insert(id, LoadedChild { parent, id, version });
            }
            if !child.present {
                if let Some(before) = child.before {
                    children.push(ChildChange { parent: before.parent, id, fate: ChildFate::Removed });
                }
                continue;
            }
            let value = self.slots.get(child.slot as usize);
            let encoded = value.ok_or(Fault::BadCode("no such child"));
            let encoded = encoded.and_then(|value| codec::encode(value, &mut self.fuel));
            let contents = encoded.map_err(|fault| match fault {
                Fault::OutOf(resource) => VmError::OutOf(resource),
                _ => VmError::BadModule(format!("the dynamic field {id} holds no value")),
            })?;
            if contents.len() > MAX_OBJECT_BYTES {
                return Err(VmError::OutOf(Resource::Objects));
            }
            let untouched = child
                .before
                .is_some_and(|before| before.parent == child.parent && *before.contents == *contents);
            if untouched {
                continue;
            }
            let ty = child.ty.struct_tag();
            let ty = ty.ok_or_else(|| VmError::BadModule(format!("the dynamic field {id} is no struct")))?;
            let has_public_transfer = child.ty.has(STORE);
            let fate = ChildFate::Written { ty, has_public_transfer, contents };
            children.push(ChildChange { parent: child.parent, id, fate });
        }
        let Objects { ids_created, created, deleted, transfers, events, .. } = self.objects;
        let loaded = loaded.into_values().collect();
        Ok(SessionOutput { transfers, events, children, loaded, created, deleted, ids_created, instructions })
    }
}
