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
mod calls;
mod checkpoint;
mod client;
mod draft;
mod dry_run;
mod enclave_statements;
mod endpoints;
mod error;
mod events;
mod execute;
mod external_signer;
mod faucet;
mod follower;
mod gas;
mod hex_bytes;
mod index;
mod keypair;
mod keystore;
mod keystore_error;
#[cfg(test)]
mod layout;
mod multisig;
mod objects;
pub mod package;
mod reachability;
mod rebuild;
mod receipt;
mod refusal;
mod reward_tree;
mod selection;
mod service_info;
mod signed;
mod signer;
mod snapshot;
mod state;
mod state_money;
mod stated;
mod statement;
mod submission;
mod tracker;
mod types;
mod wallet_key;

pub use calls::{Admin, Calls, Court, Migrating, TokenPath};
pub use checkpoint::{Checkpoint, Cursor, EventAt};
pub use client::{Client, EndpointStatus};
pub use draft::Draft;
pub use dry_run::{BalanceChange, Changes, DryRun, ObjectKind, TouchedObject};
pub use enclave_statements::{Evidence, NodeStatement, Point, Sealing, Shares, Unanchored};
pub use error::Error;
pub use events::*;
pub use external_signer::ExternalSigner;
pub use follower::Follower;
pub use index::{Advance, Index};
pub use keypair::Keypair;
pub use keystore::Keystore;
pub use keystore_error::KeystoreError;
pub use multisig::Multisig;
pub use objects::MoveObject;
pub use reachability::{FollowError, Reachability};
pub use rebuild::Rebuilt;
pub use receipt::{Created, Receipt};
pub use refusal::Refusal;
pub use reward_tree::{ClaimProof, RewardTree, ShardProof, Share};
pub use service_info::ServiceInfo;
pub use signed::Signed;
pub use signer::{Parties, Signer};
pub use state::{Applied, State};
pub use state_money::Money;
pub use stated::{EnclavePayload, EnclaveStatement, SignedNodeStatement, message as enclave_message};
pub use statement::{
    EnclaveClaims, INTENT_ENDPOINT, INTENT_POSSESSION, INTENT_REGISTER, IntentMessage, Place, VerifiedClaims,
    possession_message,
};
/// Sui's own vocabulary, as this crate speaks it.
pub use sui_sdk_types as sui;
pub use sui_sdk_types::{Address, Digest};
pub use types::{
    AdminCap, Anchor, Case, Cluster, Config, Economics, Enclave, Epoch, Escrow, Governance, Grant, Insurance,
    LiveCap, Measurement, Names, Offer, Payout, Penalties, PendingEconomics, Pool, Registry, SealToken,
    Sealed, Shard, Stake, TcbBounds, Tier, TierTerms, UpgradeCap, UpgradeProposal, Upgrader,
};
pub use wallet_key::WalletKey;
