//! The cluster's secret, encrypted to the key servers of Seal (Mysten Labs' decentralized secrets management on Sui), of whom any threshold bring
//! it back.
//!
//! A key server has one master key and derives from it a key for each identity; it gives that to whoever a Move function `seal_approve` of the
//! identity's package lets through. Nothing is dealt to the servers: an [`EncryptedObject`] is made with their public keys alone. To open it takes
//! an [`IdentityKey`] from each of enough servers, encrypted to a [`ReplyKey`] and verified by a pairing, so that a wrong one is seen; [`Unsealing`]
//! leads to them. Sources: Seal's design document, and its SDK `@mysten/seal` 1.4, which `tests/seal` runs beside this.
//!
//! Scalars and points pass through registers and the stack of the curve's library; what is kept is kept as bytes, and wiped.

mod curve;
mod dem;
mod ibe;
mod object;
mod reply_key;
#[cfg(test)]
mod tests;
mod unsealing;

pub use ibe::{IdentityKey, ServerKey};
pub use object::{EncryptedObject, Identity, MAX_OBJECT_BYTES};
pub use reply_key::ReplyKey;
pub use unsealing::{KeyServer, Unsealing};
