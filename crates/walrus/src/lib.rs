//! Client of [Walrus](https://docs.wal.app), the store of cold state: blobs by content, kept for epochs that are paid for.
//!
//! Nobody on the way is trusted. The id of a blob is a hash of its erasure code, so it is computed here ([`Encoding::blob_id`])
//! and compared with what a publisher says it stored and with what an aggregator hands out; whoever lies is named and
//! the next endpoint is asked. What Walrus keeps is public: seal before storing.
//!
//! [`dev`] serves the same HTTP API from a directory. It is *simulated*: one copy on one disk, no storage nodes, no payment.
//!
//! ```
//! use walrus::{BlobId, Encoding};
//!
//! let encoding = Encoding::default(); // the 1,000 shards of mainnet and testnet
//! let id = encoding.blob_id(b"some bytes")?;
//! assert_eq!(id, id.to_string().parse::<BlobId>()?);
//! // However small, a blob takes 63 MiB of Walrus: put many things into one.
//! assert_eq!(encoding.encoded_length(10)?, 66_034_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod answer;
mod blob_id;
mod client;
mod config;
pub mod dev;
mod encoding;
mod endpoints;
mod error;
mod merkle;
mod options;
mod price;
mod system;

pub use blob_id::{BlobId, BlobIdError};
pub use client::{Client, Stored};
pub use config::Config;
pub use encoding::{Encoding, EncodingError};
pub use error::{Complaint, WalrusError, Wrong};
pub use options::{Lifetime, StoreOptions};
pub use price::Price;
pub use system::{System, SystemError};
