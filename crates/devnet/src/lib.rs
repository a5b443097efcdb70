#![forbid(unsafe_code)]
//! The embedded Sui development chain.
//!
//! It executes the same Move bytecode that is published on Sui, on the real framework, with real
//! objects, signatures, gas payment, effects and checkpoints, and serves the `sui.rpc.v2` gRPC
//! services, so that the unchanged `sui_rpc::Client` cannot tell it from a full node by its
//! answers. It is one process and no validator: there is no consensus and no bytecode verifier, and
//! gas follows Sui's schedule as far as [`ledger::gas`] says.
//!
//! Inside, from the pure to the shell: [`vm`] interprets bytecode, `ptb` runs programmable
//! transactions on it, [`ledger`] is the chain as a state machine, [`node`] gives it a thread, a
//! clock and a journal, and [`Devnet`] serves it.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = devnet::Config::in_memory("framework.bcs");
//! let chain = devnet::Devnet::start(config).await?;
//! let client = sui_rpc::Client::new(chain.url())?;
//! chain.faucet("0xa11ce".parse()?, 1_000_000_000).await?;
//! # drop(client);
//! chain.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod config;
mod devnet;
mod error;
mod faucet;
pub mod framework;
mod introspect;
mod journal;
pub mod ledger;
pub mod node;
mod ptb;
mod rpc;
mod simulated_nitro;
mod time;
pub mod vm;

pub use config::Config;
pub use devnet::Devnet;
pub use error::{DevnetError, JournalError};
pub use faucet::{FaucetError, MAX_PAYMENT_MIST, Payment};
pub use introspect::framework_packages;
pub use rpc::{CHAIN_NAME, SERVER};
pub use simulated_nitro::{SimulatedDocument, SimulatedNitro, SimulatedNitroError};
