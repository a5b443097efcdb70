use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Args)]
pub(crate) struct Escrow {
    #[command(flatten)]
    pub(crate) tx: Tx,
    #[command(subcommand)]
    pub(crate) what: EscrowCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EscrowCommand {
    /// Every escrow and how far it reaches
    List,
    /// Pay for use to come
    Open {
        /// Units that are used at a time
        #[arg(long)]
        units: u64,
        /// Amount in MIST
        #[arg(value_name = "MIST")]
        amount: u64,
    },
    /// Add to an escrow
    TopUp {
        /// The escrow's object id
        #[arg(value_name = "0xID")]
        escrow: String,
        /// Amount in MIST
        #[arg(value_name = "MIST")]
        amount: u64,
    },
    /// Pay for the use so far
    Settle {
        /// The escrow's object id
        #[arg(value_name = "0xID")]
        escrow: String,
    },
    /// Take out what is not needed to stay ahead
    Withdraw {
        /// The escrow's object id
        #[arg(value_name = "0xID")]
        escrow: String,
        /// Amount in MIST
        #[arg(value_name = "MIST")]
        amount: u64,
    },
    /// Change the number of units, at the present price
    Resize {
        /// The escrow's object id
        #[arg(value_name = "0xID")]
        escrow: String,
        /// Units that are used at a time
        #[arg(long)]
        units: u64,
    },
    /// Bring an escrow to the present price
    Reprice {
        /// The escrow's object id
        #[arg(value_name = "0xID")]
        escrow: String,
    },
    /// Bring what was used to the reward pool
    Collect {
        /// The escrow's object id
        #[arg(value_name = "0xID")]
        escrow: String,
    },
    /// End an escrow and take the rest
    Close {
        /// The escrow's object id
        #[arg(value_name = "0xID")]
        escrow: String,
    },
}
