//! The object store: every object that is live, every version it had, and who owns what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use sui_sdk_types::{Address, Digest, Object, ObjectReference, Owner, Version};

/// An object together with its digest, which is costly enough to be computed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    object: Object,
    digest: Digest,
}

impl StoredObject {
    /// Computes the digest of `object`.
    pub fn new(object: Object) -> Arc<Self> {
        let digest = object.digest();
        Arc::new(Self { object, digest })
    }

    /// The object itself.
    pub fn object(&self) -> &Object {
        &self.object
    }

    /// The object's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Identifier, version and digest.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference::new(self.object.object_id(), self.object.version(), self.digest)
    }
}

/// Reads objects as they are at one point of the chain.
pub trait ObjectSource {
    /// The live object `id`, if there is one.
    fn live(&self, id: &Address) -> Option<Arc<StoredObject>>;

    /// The version at which `id` was deleted or wrapped, if it is not live any more.
    fn removed(&self, id: &Address) -> Option<Version>;
}

/// All objects of the chain.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    live: HashMap<Address, Arc<StoredObject>>,
    versions: HashMap<Address, BTreeMap<Version, Arc<StoredObject>>>,
    removed: HashMap<Address, Version>,
    owned: HashMap<Address, BTreeSet<Address>>,
    children: HashMap<Address, BTreeSet<Address>>,
}

impl ObjectSource for Objects {
    fn live(&self, id: &Address) -> Option<Arc<StoredObject>> {
        self.live.get(id).cloned()
    }

    fn removed(&self, id: &Address) -> Option<Version> {
        self.removed.get(id).copied()
    }
}

impl Objects {
    /// Makes `object` the live version of its identifier.
    pub fn write(&mut self, object: Arc<StoredObject>) {
        let id = object.object().object_id();
        self.unindex(&id);
        match object.object().owner() {
            Owner::Address(owner) | Owner::ConsensusAddress { owner, .. } => {
                self.owned.entry(*owner).or_default().insert(id);
            }
            Owner::Object(parent) => {
                self.children.entry(*parent).or_default().insert(id);
            }
            _ => {}
        }
        self.removed.remove(&id);
        self.versions.entry(id).or_default().insert(object.object().version(), object.clone());
        self.live.insert(id, object);
    }

    /// Takes `id` out of the live objects: it was deleted or wrapped at `version`.
    pub fn remove(&mut self, id: Address, version: Version) {
        self.unindex(&id);
        self.live.remove(&id);
        self.removed.insert(id, version);
    }

    /// Forgets a version of an object that is not live any more.
    pub(super) fn forget(&mut self, id: &Address, version: Version) {
        if self.live.get(id).is_some_and(|live| live.object().version() == version) {
            return;
        }
        if let Some(versions) = self.versions.get_mut(id) {
            versions.remove(&version);
            if versions.is_empty() {
                self.versions.remove(id);
            }
        }
    }

    /// Keeps a version of an object that is not live any more.
    pub(super) fn keep(&mut self, object: Arc<StoredObject>) {
        let (id, version) = (object.object().object_id(), object.object().version());
        self.versions.entry(id).or_default().entry(version).or_insert(object);
    }

    /// Keeps the knowledge that `id` was deleted or wrapped at `version`.
    pub(super) fn keep_removed(&mut self, id: Address, version: Version) {
        self.removed.insert(id, version);
    }

    /// What was deleted or wrapped, and when, in no particular order.
    pub(super) fn all_removed(&self) -> impl Iterator<Item = (Address, Version)> {
        self.removed.iter().map(|(id, version)| (*id, *version))
    }

    /// One version of an object, live or not.
    pub fn version(&self, id: &Address, version: Version) -> Option<&Arc<StoredObject>> {
        self.versions.get(id)?.get(&version)
    }

    /// Live objects owned by the address `owner`, by identifier.
    pub fn owned_by(&self, owner: &Address) -> impl Iterator<Item = &Arc<StoredObject>> {
        self.owned.get(owner).into_iter().flatten().filter_map(|id| self.live.get(id))
    }

    /// Live objects owned by the object `parent` (its dynamic fields), by identifier, starting
    /// after `after`.
    pub fn children_of(
        &self,
        parent: &Address,
        after: Option<Address>,
    ) -> impl Iterator<Item = &Arc<StoredObject>> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.children
            .get(parent)
            .into_iter()
            .flat_map(move |ids| ids.range((start, Unbounded)))
            .filter_map(|id| self.live.get(id))
    }

    /// All live objects, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<StoredObject>> {
        self.live.values()
    }

    /// The number of live objects.
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// True before genesis only.
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    fn unindex(&mut self, id: &Address) {
        let Some(old) = self.live.get(id) else { return };
        let (index, key) = match old.object().owner() {
            Owner::Address(owner) | Owner::ConsensusAddress { owner, .. } => (&mut self.owned, *owner),
            Owner::Object(parent) => (&mut self.children, *parent),
            _ => return,
        };
        if let Some(ids) = index.get_mut(&key) {
            ids.remove(id);
            if ids.is_empty() {
                index.remove(&key);
            }
        }
    }
}
