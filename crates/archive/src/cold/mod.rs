//! The cold tier: sealed snapshots in chains.
//!
//! A *snapshot* is the store at one revision. The first of a chain is a *base* and holds everything; each that follows holds
//! the changes since the one before. A snapshot is stored as *pieces* of some 32 MiB, each compressed and sealed; the last one begins
//! with an *index*: what the snapshot is, the names and digests of its other pieces, and the last pieces of all snapshots before
//! it. So the name of one piece, which is what an anchor on Sui holds, leads to everything, and nobody on the way can leave out,
//! exchange or add anything.
//!
//! Taking a snapshot ([`Spool::take`]) writes its pieces to a local directory and needs no network; sending them
//! ([`Spool::send`]) may be cut off anywhere and goes on where it was. [`Fetched`] is the way back.

mod catalog;
mod config;
mod directory;
mod error;
mod fetch;
mod gently;
mod history;
mod index;
mod key;
mod merge;
pub(crate) mod piece;
mod policy;
mod price;
mod renewal;
mod s3;
mod spool;
mod store;
mod walrus_store;

pub use catalog::{Catalog, Entry};
pub use config::{ColdConfig, Place, WalrusPlace};
pub use directory::Directory;
pub use error::ColdError;
pub use fetch::{Fetched, Summary};
pub use history::{ColdHistory, Held, Kept, Unread, chain_of};
pub use index::{Attachment, Index, Link, Piece};
pub use key::ColdKeys;
pub use policy::{BasePolicy, KeepPolicy, Next};
pub use price::{PriceError, walrus_price};
pub use renewal::Renewed;
pub use s3::{S3Place, S3Store};
pub use spool::{Progress, Spool, Taking};
pub use store::ColdStore;
pub use walrus_store::WalrusStore;
