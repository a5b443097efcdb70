//! Typed client of the `k3s_daas` contracts over Sui's gRPC API (`sui.rpc.v2`).
//!
//! It signs and executes transactions so that none takes effect twice, reads the contracts' objects as
//! plain structs, and follows their events without losing or repeating one. It works against any Sui
//! endpoint; K3s-DaaS's own development chain is only one.
//!
//! ```
//! # fn main() -> Result<(), chain::KeystoreError> {
//! # let directory = tempfile::tempdir().unwrap();
//! let mut keystore = chain::Keystore::open(directory.path().join("sui.keystore"))?;
//! let address = keystore.generate()?;
//! assert_eq!(keystore.key(&address)?.address(), address);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod aborts;
mod checkpoint;
mod client;
mod draft;
mod error;
mod event;
mod execute;
mod follower;
mod gas;
mod keypair;
mod keystore;
mod keystore_error;
mod reachability;
mod receipt;
mod refusal;
mod service_info;
mod signed;
mod submission;
mod tracker;

pub use checkpoint::{Checkpoint, Cursor, EventAt};
pub use client::Client;
pub use draft::Draft;
pub use error::Error;
pub use event::Event;
pub use follower::Follower;
pub use keypair::Keypair;
pub use keystore::Keystore;
pub use keystore_error::KeystoreError;
pub use reachability::{FollowError, Reachability};
pub use receipt::{Created, Receipt};
pub use refusal::Refusal;
pub use service_info::ServiceInfo;
pub use signed::Signed;
/// Sui's own vocabulary, as this crate speaks it.
pub use sui_sdk_types as sui;
pub use sui_sdk_types::{Address, Digest};
