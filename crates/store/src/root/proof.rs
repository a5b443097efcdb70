use super::entry::{EMPTY, Entry, Hash, Leaf, bit, hash, inner, root};
use super::tree::{Subtree, split};

/// That a key had a value at a revision, or that it did not exist: what a root alone is enough to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The revision.
    pub revision: i64,
    /// How many keys existed then.
    pub keys: u64,
    /// What lies beside the path of the key, from the top down.
    pub siblings: Vec<Hash>,
    /// What the path ends at.
    pub end: End,
}

/// What a key's path through the tree ends at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The key itself: it exists.
    Key(Leaf),
    /// Another key, alone in the place where this one would be: it does not exist.
    Other(Entry),
    /// Nothing: it does not exist.
    Empty,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// More steps than a hash has bits.
    #[error("the path is longer than 256 steps: it was not made by this store")]
    TooLong,
    /// The other key is not in the place of this one, or is this one.
    #[error("the key that is named instead does not lie in this key's place")]
    WrongPlace,
    /// Root and proof do not fit.
    #[error(
        "the path leads to another state root: the key, its value or the revision is not what was anchored"
    )]
    WrongRoot,
}

impl Proof {
    /// Steps of a path; SHA-256 has no more bits.
    pub const MAX_SIBLINGS: usize = 256;

    /// The proof for `key` among `entries`, which are sorted by key; `leaf` is what the key has, if it exists.
    pub fn make(mut entries: &[Entry], revision: i64, key: &[u8], leaf: Option<Leaf>) -> Self {
        let keys = entries.len() as u64;
        let key = hash(key);
        let mut siblings = Vec::new();
        while entries.len() > 1 && siblings.len() < Self::MAX_SIBLINGS {
            let depth = siblings.len();
            let (left, right) = split(entries, depth);
            let (mine, sibling) = if bit(&key, depth) { (right, left) } else { (left, right) };
            siblings.push(Subtree::of(sibling, depth + 1).hash());
            entries = mine;
        }
        let end = match (entries.first(), leaf) {
            (_, Some(leaf)) => End::Key(leaf),
            (Some(other), None) => End::Other(*other),
            (None, None) => End::Empty,
        };
        Self { revision, keys, siblings, end }
    }

    /// What the key has; `None` when the proof says that it does not exist.
    pub fn leaf(&self) -> Option<&Leaf> {
        if let End::Key(leaf) = &self.end { Some(leaf) } else { None }
    }

    /// Checks that this is what the state with `expected` as root says about `key`.
    ///
    /// # Errors
    /// It is not.
    pub fn check(&self, key: &[u8], expected: &Hash) -> Result<(), ProofError> {
        if self.siblings.len() > Self::MAX_SIBLINGS {
            return Err(ProofError::TooLong);
        }
        let place = hash(key);
        let end = match &self.end {
            End::Key(leaf) => leaf.entry(key).leaf(),
            End::Empty => EMPTY,
            End::Other(other) => {
                let beside = (0..self.siblings.len()).all(|at| bit(&other.key, at) == bit(&place, at));
                if !beside || other.key == place {
                    return Err(ProofError::WrongPlace);
                }
                other.leaf()
            }
        };
        let top = self.siblings.iter().enumerate().rfold(end, |below, (depth, sibling)| {
            if bit(&place, depth) { inner(sibling, &below) } else { inner(&below, sibling) }
        });
        if root(self.revision, self.keys, &top) == *expected { Ok(()) } else { Err(ProofError::WrongRoot) }
    }
}
