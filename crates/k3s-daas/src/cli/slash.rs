use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Args)]
pub(crate) struct Slash {
    #[command(flatten)]
    pub(crate) tx: Tx,
    #[command(subcommand)]
    pub(crate) what: SlashCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SlashCommand {
    /// Penalties that are not decided
    List,
    /// Propose the penalty for what an enclave saw
    Propose {
        /// The enclave's signed evidence, JSON
        #[arg(value_name = "FILE")]
        evidence: PathBuf,
    },
    /// Propose the penalty for two statements of a staker's key that contradict each other
    Contradiction {
        /// Token name of this state directory, or the stake's object id
        #[arg(value_name = "NAME|0xID")]
        stake: String,
        /// The staker's ed25519 key
        #[arg(long, value_name = "HEX")]
        public_key: String,
        /// One signed statement, JSON
        #[arg(value_name = "FILE")]
        first: PathBuf,
        /// The other
        #[arg(value_name = "FILE")]
        second: PathBuf,
    },
    /// Contest a penalty of your stake: governance has more time to look at it
    Contest {
        /// The penalty's object id
        #[arg(value_name = "0xID")]
        case: String,
        /// What you have to say; its SHA-256 goes on chain
        #[arg(value_name = "FILE")]
        statement: PathBuf,
    },
    /// Execute a penalty whose time has come
    Execute {
        /// The penalty's object id
        #[arg(value_name = "0xID")]
        case: String,
    },
    /// Dismiss a penalty, as governance
    Dismiss {
        /// The penalty's object id
        #[arg(value_name = "0xID")]
        case: String,
    },
    /// Free a stake of a penalty that was not executed in time
    Lapse {
        /// The penalty's object id
        #[arg(value_name = "0xID")]
        case: String,
    },
}
