//! Walrus's Merkle trees: blake2b-256; leaves are hashed behind a 0, inner nodes behind a 1; where a level has an odd
//! number of nodes, 32 zero bytes stand for the missing one.

use blake2::Digest as _;
use blake2::digest::consts::U32;

pub(crate) type Hash = [u8; 32];

type Blake2b256 = blake2::Blake2b<U32>;

const LEAF: [u8; 1] = [0];
const INNER: [u8; 1] = [1];
const MISSING: Hash = [0; 32];

/// The hash of what comes one after the other.
pub(crate) fn hash(parts: &[&[u8]]) -> Hash {
    let mut hasher = Blake2b256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The leaf of `data`.
pub(crate) fn leaf(data: &[u8]) -> Hash {
    hash(&[&LEAF, data])
}

/// The root above `level`, which is used up: leaves in, nothing useful left behind.
pub(crate) fn root(level: &mut Vec<Hash>) -> Hash {
    if level.is_empty() {
        return MISSING;
    }
    while level.len() > 1 {
        if level.len() % 2 == 1 {
            level.push(MISSING);
        }
        for i in 0..level.len() / 2 {
            level[i] = hash(&[&INNER, &level[2 * i], &level[2 * i + 1]]);
        }
        level.truncate(level.len() / 2);
    }
    level[0]
}
