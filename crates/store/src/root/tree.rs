use std::sync::Arc;

use super::entry::{EMPTY, Entry, Hash, Leaf, bit, inner, root};
use crate::mvcc::Record;

/// Keys are kept in this many groups, by the first bits of their hash; what is hashed anew is a group and the path above it.
const GROUP_BITS: usize = 16;
const GROUPS: usize = 1 << GROUP_BITS;

/// The tree, changed key by key; hashes are made only when the root is asked for, and only above what has changed.
///
/// 72 bytes a key, and 6 MiB.
#[derive(Debug)]
pub struct Tree {
    groups: Vec<Vec<Kept>>,
    /// As in a binary heap: the top is at 1, the children of `n` at `2n` and `2n + 1`, the groups from [`GROUPS`] on.
    nodes: Vec<Subtree>,
    /// Groups that have changed since the root was made, each once.
    changed: Vec<usize>,
    is_changed: Vec<bool>,
    keys: u64,
}

/// A key as the tree keeps it.
#[derive(Clone, Debug)]
pub struct Kept {
    key: Hash,
    leaf: Late,
}

/// A leaf's hash. A version that another one replaces before a root is asked for is never hashed.
#[derive(Clone, Debug)]
enum Late {
    Made(Hash),
    Owed(Arc<Record>),
}

impl From<Entry> for Kept {
    fn from(entry: Entry) -> Self {
        Self { key: entry.key, leaf: Late::Made(entry.leaf()) }
    }
}

impl Kept {
    /// A key, by its hash, and its latest version.
    pub(super) fn of(key: Hash, record: Arc<Record>) -> Self {
        Self { key, leaf: Late::Owed(record) }
    }

    fn make(&mut self) {
        if let Late::Owed(_) = self.leaf {
            self.leaf = Late::Made(self.leaf());
        }
    }
}

/// What a subtree is made of.
pub(super) trait Keyed {
    fn key(&self) -> &Hash;
    fn leaf(&self) -> Hash;
}

impl Keyed for Entry {
    fn key(&self) -> &Hash {
        &self.key
    }

    fn leaf(&self) -> Hash {
        Self::leaf(self)
    }
}

impl Keyed for Kept {
    fn key(&self) -> &Hash {
        &self.key
    }

    fn leaf(&self) -> Hash {
        match &self.leaf {
            Late::Made(hash) => *hash,
            Late::Owed(record) => Entry { key: self.key, body: Leaf::of(record).body() }.leaf(),
        }
    }
}

/// What a subtree hashes to. A single key hashes to its leaf at every depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subtree {
    Empty,
    One(Hash),
    Many(Hash),
}

impl Subtree {
    /// The subtree of entries in the order of their keys, which agree in their first `depth` bits.
    pub(super) fn of<T: Keyed>(entries: &[T], depth: usize) -> Self {
        match entries {
            [] => Self::Empty,
            [only] => Self::One(only.leaf()),
            // Equal to the last bit: one key twice, which a tree does not hold.
            [first, ..] if depth >= 256 => Self::One(first.leaf()),
            _ => {
                let (left, right) = split(entries, depth);
                Self::over(Self::of(left, depth + 1), Self::of(right, depth + 1))
            }
        }
    }

    pub(super) fn hash(&self) -> Hash {
        match self {
            Self::Empty => EMPTY,
            Self::One(hash) | Self::Many(hash) => *hash,
        }
    }

    fn over(left: Self, right: Self) -> Self {
        match (left, right) {
            (Self::Empty, Self::Empty) => Self::Empty,
            (one @ Self::One(_), Self::Empty) | (Self::Empty, one @ Self::One(_)) => one,
            _ => Self::Many(inner(&left.hash(), &right.hash())),
        }
    }
}

/// Entries whose key has a 0 at `depth`, and those that have a 1.
pub(super) fn split<T: Keyed>(entries: &[T], depth: usize) -> (&[T], &[T]) {
    entries.split_at(entries.partition_point(|entry| !bit(entry.key(), depth)))
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            groups: vec![Vec::new(); GROUPS],
            nodes: vec![Subtree::Empty; 2 * GROUPS],
            changed: Vec::new(),
            is_changed: vec![false; GROUPS],
            keys: 0,
        }
    }
}

impl Tree {
    /// Number of keys.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Puts a key, or replaces what was known of it.
    pub fn insert(&mut self, kept: impl Into<Kept>) {
        let kept = kept.into();
        let group = self.change(&kept.key);
        match group.binary_search_by_key(&kept.key, |known| known.key) {
            Ok(at) => group[at] = kept,
            Err(at) => {
                // Groups are small and there are many: none grows by doubling.
                group.reserve_exact(1);
                group.insert(at, kept);
                self.keys += 1;
            }
        }
    }

    /// Takes out the entry of a key, if there is one.
    pub fn remove(&mut self, key: &Hash) {
        let group = self.change(key);
        if let Ok(at) = group.binary_search_by_key(key, |known| known.key) {
            group.remove(at);
            self.keys -= 1;
        }
    }

    /// The root at `revision`.
    pub fn root(&mut self, revision: i64) -> Hash {
        let top = self.top();
        root(revision, self.keys, &top)
    }

    fn change(&mut self, key: &Hash) -> &mut Vec<Kept> {
        let index = usize::from(key[0]) << 8 | usize::from(key[1]);
        if !std::mem::replace(&mut self.is_changed[index], true) {
            self.changed.push(index);
        }
        &mut self.groups[index]
    }

    fn top(&mut self) -> Hash {
        let mut above: Vec<usize> = Vec::with_capacity(self.changed.len());
        for index in std::mem::take(&mut self.changed) {
            self.is_changed[index] = false;
            let group = &mut self.groups[index];
            if group.is_empty() {
                *group = Vec::new();
            }
            group.iter_mut().for_each(Kept::make);
            self.nodes[GROUPS + index] = Subtree::of(group, GROUP_BITS);
            above.push((GROUPS + index) / 2);
        }
        above.sort_unstable();
        while above.first().is_some_and(|node| *node > 0) {
            above.dedup();
            for node in &mut above {
                self.nodes[*node] = Subtree::over(self.nodes[2 * *node], self.nodes[2 * *node + 1]);
                *node /= 2;
            }
        }
        self.nodes[1].hash()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::entry::Leaf;
    use super::super::proof::Proof;
    use super::*;

    /// The definition, word by word: nothing is sorted, grouped or kept.
    fn defined(entries: &[Entry], depth: usize) -> Hash {
        match entries {
            [] => EMPTY,
            [only] => only.leaf(),
            _ => {
                let side = |one: bool| -> Vec<Entry> {
                    entries.iter().filter(|entry| bit(&entry.key, depth) == one).copied().collect()
                };
                inner(&defined(&side(false), depth + 1), &defined(&side(true), depth + 1))
            }
        }
    }

    fn leaf(value: u8) -> Leaf {
        Leaf { create_revision: 2, mod_revision: 3, version: 1, lease: 0, value: [value; 32] }
    }

    /// Keys whose hashes agree in their first bits as often as not, so that deep subtrees come up.
    fn entry(near: u8, far: u8, value: u8) -> Entry {
        let mut key = [0; 32];
        key[usize::from(near % 32)] = far;
        Entry { key, body: [value; 32] }
    }

    proptest! {
        #[test]
        fn the_root_is_the_defined_one_whatever_was_done_before(
            steps in proptest::collection::vec((any::<u8>(), 0_u8..5, 0_u8..4, any::<bool>()), 0..80),
        ) {
            let mut tree = Tree::default();
            let mut model = BTreeMap::new();
            for (near, far, value, ask) in steps {
                let entry = entry(near, far, value);
                if value == 0 {
                    tree.remove(&entry.key);
                    model.remove(&entry.key);
                } else {
                    tree.insert(entry);
                    model.insert(entry.key, entry);
                }
                if ask {
                    let entries: Vec<Entry> = model.values().copied().collect();
                    let expected = root(7, entries.len() as u64, &defined(&entries, 0));
                    prop_assert_eq!(tree.root(7), expected);
                    prop_assert_eq!(Subtree::of(&entries, 0).hash(), defined(&entries, 0));
                }
            }
        }

        #[test]
        fn every_key_has_a_proof_and_what_is_not_there_has_one_too(
            keys in proptest::collection::btree_map("[a-z]{1,3}", any::<u8>(), 0..60),
            others in proptest::collection::vec("[a-z]{1,3}", 1..20),
            revision in 1_i64..1_000_000,
        ) {
            let mut entries: Vec<Entry> =
                keys.iter().map(|(key, value)| leaf(*value).entry(key.as_bytes())).collect();
            entries.sort_by_key(|entry| entry.key);
            let mut tree = Tree::default();
            entries.iter().for_each(|entry| tree.insert(*entry));
            let root = tree.root(revision);
            for (key, value) in &keys {
                let proof = Proof::make(&entries, revision, key.as_bytes(), Some(leaf(*value)));
                prop_assert_eq!(proof.check(key.as_bytes(), &root), Ok(()));
                prop_assert!(proof.leaf().is_some());
                let other = Proof::make(&entries, revision, key.as_bytes(), Some(leaf(value.wrapping_add(1))));
                prop_assert!(other.check(key.as_bytes(), &root).is_err(), "another value");
                let absent = Proof { end: super::super::End::Empty, ..proof.clone() };
                prop_assert!(absent.check(key.as_bytes(), &root).is_err(), "an absence that is none");
                let later = Proof { revision: revision + 1, ..proof };
                prop_assert!(later.check(key.as_bytes(), &root).is_err(), "another revision");
            }
            for key in others.iter().filter(|key| !keys.contains_key(*key)) {
                let proof = Proof::make(&entries, revision, key.as_bytes(), None);
                prop_assert_eq!(proof.check(key.as_bytes(), &root), Ok(()));
                prop_assert!(proof.leaf().is_none());
                for present in keys.keys() {
                    prop_assert!(proof.check(present.as_bytes(), &root).is_err(), "{present} is there");
                }
            }
        }
    }

    #[test]
    fn roots_of_this_format_stay_what_they_are() {
        let mut tree = Tree::default();
        let empty = hex(&tree.root(1));
        tree.insert(leaf(1).entry(b"a"));
        let one = hex(&tree.root(2));
        tree.insert(leaf(2).entry(b"b"));
        let two = hex(&tree.root(3));
        assert_eq!([empty.as_str(), one.as_str(), two.as_str()], FORMAT_1);
    }

    /// Made with Python's hashlib from the definition in the module's documentation.
    const FORMAT_1: [&str; 3] = [
        "e04675a2c67a65d602e2322a67bac19cd2e688340933eebeabbf17364ccd477a",
        "f32192a99a1b342db9e886068a448fd3b0d2042d19f4b0efa87adc9ae2221211",
        "76ed819267c25eba75c52c4f0bcd4e79cc1d844d8cd7a4aaa6d9d8c2d5502b8f",
    ];

    fn hex(hash: &Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
