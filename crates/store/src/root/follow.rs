use std::sync::Arc;

use bytes::Bytes;

use super::entry::{Entry, Hash, Leaf, hash};
use super::proof::Proof;
use super::tree::{Kept, Subtree, Tree};
use crate::EtcdError;
use crate::anchor::AnchorPoint;
use crate::mvcc::{ImageCursor, Record};
use crate::shared::Shared;

/// Keys or changes read before others get the state's lock.
const STRIDE: usize = 1_000;

/// A durable point of the log and the root of the state at it: what is anchored on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRoot {
    /// The point.
    pub point: AnchorPoint,
    /// The root at the point's revision.
    pub root: Hash,
    /// How many keys exist then.
    pub keys: u64,
}

/// The tree as of a revision. It follows the revision log, as a watch does, so that writers do nothing for it; the
/// keeper lets it catch up before it removes history. Made when a root is asked for the first time.
#[derive(Default)]
pub(crate) struct Following {
    made: Option<(Tree, i64)>,
}

impl Following {
    /// The root at the latest durable point.
    pub(crate) fn root(&mut self, shared: &Shared) -> StateRoot {
        let (tree, reached) = self.made.get_or_insert_with(|| make(shared));
        let (position, revision) = catch_up(shared, tree, reached);
        let point = AnchorPoint {
            store_id: shared.identity.store_id,
            sequence: position.sequence,
            revision,
            chain: position.chain,
        };
        StateRoot { point, root: tree.root(revision), keys: tree.keys() }
    }

    /// Whether every change below `revision` is taken in.
    pub(crate) fn has_taken(&self, revision: i64) -> bool {
        self.made.as_ref().is_none_or(|(_, reached)| reached.saturating_add(1) >= revision)
    }

    /// Takes in all there is, so that history may go. Costs nothing while nobody has asked for a root.
    pub(crate) fn catch_up(&mut self, shared: &Shared) {
        if let Some((tree, reached)) = &mut self.made {
            catch_up(shared, tree, reached);
        }
    }
}

fn make(shared: &Shared) -> (Tree, i64) {
    let mut tree = Tree::default();
    let revision = each_key(shared, None, |record| {
        tree.insert(Kept::of(hash(&record.key), record.clone()));
    });
    // Without a revision asked for there is nothing that could be refused.
    (tree, revision.unwrap_or_default())
}

fn catch_up(shared: &Shared, tree: &mut Tree, reached: &mut i64) -> (crate::seal::Position, i64) {
    loop {
        let (changes, more, durable) = {
            let state = shared.state.read();
            let (changes, more) = whole_revisions(state.changes_since(*reached + 1));
            // Set under the same lock: the point belongs to the state that is read here.
            (changes, more, *shared.durable.lock())
        };
        *reached = changes.last().map_or(*reached, |record| record.mod_revision);
        for record in changes {
            let key = hash(&record.key);
            if record.is_tombstone() {
                tree.remove(&key);
            } else {
                tree.insert(Kept::of(key, record));
            }
        }
        if !more {
            *reached = durable.1;
            return durable;
        }
    }
}

/// About [`STRIDE`] changes, and whether there are more; no revision is torn apart.
fn whole_revisions<'a>(all: impl Iterator<Item = &'a Arc<Record>>) -> (Vec<Arc<Record>>, bool) {
    let mut changes: Vec<Arc<Record>> = Vec::with_capacity(STRIDE);
    for record in all {
        let ended = changes.last().is_some_and(|last| last.mod_revision != record.mod_revision);
        if ended && changes.len() >= STRIDE {
            return (changes, true);
        }
        changes.push(record.clone());
    }
    (changes, false)
}

/// The root at an earlier revision, made from history: takes as long as making the tree.
pub(crate) fn root_at(shared: &Shared, revision: i64) -> Result<Hash, EtcdError> {
    let entries = entries_at(shared, revision, |_| {})?;
    Ok(super::entry::root(revision, entries.len() as u64, &Subtree::of(&entries, 0).hash()))
}

/// The proof for a key at a revision, with the version that is proven; made from history.
pub(crate) fn prove(
    shared: &Shared,
    key: &Bytes,
    revision: i64,
) -> Result<(Proof, Option<Arc<Record>>), EtcdError> {
    let mut found = None;
    let entries = entries_at(shared, revision, |record| {
        if record.key == *key {
            found = Some(record.clone());
        }
    })?;
    let leaf = found.as_deref().map(Leaf::of);
    Ok((Proof::make(&entries, revision, key, leaf), found))
}

fn entries_at(
    shared: &Shared,
    revision: i64,
    mut each: impl FnMut(&Arc<Record>),
) -> Result<Vec<Entry>, EtcdError> {
    let mut entries = Vec::new();
    each_key(shared, Some(revision), |record| {
        each(record);
        entries.push(Leaf::of(record).entry(&record.key));
    })?;
    entries.sort_unstable_by_key(|entry| entry.key);
    Ok(entries)
}

/// Calls `each` with every key that existed at `revision`, now by default; tells which revision that was. History is kept
/// meanwhile and writers wait for a thousand keys at most.
fn each_key(
    shared: &Shared,
    revision: Option<i64>,
    mut each: impl FnMut(&Arc<Record>),
) -> Result<i64, EtcdError> {
    let mut cursor = {
        let mut state = shared.state.write();
        let revision = revision.unwrap_or(state.revision());
        state.begin_image_at(revision)?
    };
    let revision = cursor.revision();
    while let Some(records) = next(shared, &mut cursor) {
        let latest = records.chunk_by(|a, b| a.key == b.key).filter_map(<[_]>::last);
        latest.filter(|record| !record.is_tombstone()).for_each(&mut each);
    }
    shared.state.write().end_image();
    Ok(revision)
}

fn next(shared: &Shared, cursor: &mut ImageCursor) -> Option<Vec<Arc<Record>>> {
    shared.state.read().image_records(cursor, STRIDE)
}
