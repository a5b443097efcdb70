use ring::digest::{Context, SHA256, digest};

use crate::mvcc::Record;

/// A SHA-256.
pub type Hash = [u8; 32];

/// What a subtree without keys hashes to.
pub(super) const EMPTY: Hash = [0; 32];

const LEAF: u8 = 0;
const INNER: u8 = 1;
const BODY: u8 = 2;
const ROOT: u8 = 3;
const ROOT_NAME: &[u8] = b"k3s-daas/state-root/1";

/// What the state root says about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Revision at which this life of the key began.
    pub create_revision: i64,
    /// Revision of the latest version.
    pub mod_revision: i64,
    /// Number of the version in this life.
    pub version: i64,
    /// Lease that holds it, or 0.
    pub lease: i64,
    /// Hash of the value.
    pub value: Hash,
}

impl Leaf {
    /// What is said about the version that `record` is.
    pub fn of(record: &Record) -> Self {
        Self {
            create_revision: record.create_revision,
            mod_revision: record.mod_revision,
            version: record.version,
            lease: record.lease,
            value: Self::hash_value(&record.value),
        }
    }

    /// How a value is hashed.
    pub fn hash_value(value: &[u8]) -> Hash {
        hash(value)
    }

    /// Its entry under `key`.
    pub fn entry(&self, key: &[u8]) -> Entry {
        Entry { key: hash(key), body: self.body() }
    }

    /// The hash of it all.
    pub(super) fn body(&self) -> Hash {
        let mut context = Context::new(&SHA256);
        context.update(&[BODY]);
        for number in [self.create_revision, self.mod_revision, self.version, self.lease] {
            context.update(&number.to_be_bytes());
        }
        context.update(&self.value);
        finish(context)
    }
}

/// A key of the tree and what hangs on it, both hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Hash of the key.
    pub key: Hash,
    /// Hash of its [`Leaf`].
    pub body: Hash,
}

impl Entry {
    pub(super) fn leaf(&self) -> Hash {
        node(LEAF, &self.key, &self.body)
    }
}

pub(super) fn inner(left: &Hash, right: &Hash) -> Hash {
    node(INNER, left, right)
}

/// The root over a tree's top.
pub(super) fn root(revision: i64, keys: u64, top: &Hash) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[ROOT]);
    context.update(ROOT_NAME);
    context.update(&revision.to_be_bytes());
    context.update(&keys.to_be_bytes());
    context.update(top);
    finish(context)
}

/// Bit `depth` of a hash, the highest bit of the first byte first; `depth` is below 256.
pub(super) fn bit(hash: &Hash, depth: usize) -> bool {
    hash[depth / 8] >> (7 - depth % 8) & 1 == 1
}

pub(super) fn hash(bytes: &[u8]) -> Hash {
    let mut out = EMPTY;
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn node(kind: u8, first: &Hash, second: &Hash) -> Hash {
    let mut bytes = [0; 65];
    bytes[0] = kind;
    bytes[1..33].copy_from_slice(first);
    bytes[33..].copy_from_slice(second);
    hash(&bytes)
}

fn finish(context: Context) -> Hash {
    let mut out = EMPTY;
    out.copy_from_slice(context.finish().as_ref());
    out
}
