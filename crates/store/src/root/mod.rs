//! The state root: one hash for everything that can be read at a revision, with proofs of single keys.
//!
//! It is a compact sparse Merkle tree over the SHA-256 of keys. All numbers are big endian, 8 bytes; every hash is
//! SHA-256; the first byte says what is hashed, so that nothing of one kind passes for another.
//!
//! ```text
//! key    = H(key)
//! body   = H(0x02 ‖ create_revision ‖ mod_revision ‖ version ‖ lease ‖ H(value))
//! leaf   = H(0x00 ‖ key ‖ body)
//! inner  = H(0x01 ‖ left ‖ right)          left: the next bit of the key is 0
//! root   = H(0x03 ‖ "k3s-daas/state-root/1" ‖ revision ‖ number of keys ‖ top)
//! ```
//!
//! A subtree without keys is 32 zero bytes and one with a single key is that key's leaf, however deep: so the top
//! depends on what there is and not on how it came to be. Only keys that exist at the revision are in it.
//! Not in it: history, ids and lifetimes of leases, alarms. Those are covered by the hash over the log.

mod entry;
mod follow;
mod proof;
mod tree;
mod wire;

pub use entry::{Entry, Hash, Leaf};
pub use follow::StateRoot;
pub(crate) use follow::{Following, prove, root_at};
pub use proof::{End, Proof, ProofError};
pub use tree::{Kept, Tree};
