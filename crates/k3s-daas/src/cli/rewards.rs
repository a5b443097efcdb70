use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Args)]
pub(crate) struct Rewards {
    #[command(flatten)]
    pub(crate) tx: Tx,
    #[command(subcommand)]
    pub(crate) what: RewardsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RewardsCommand {
    /// The pool, its epochs and their shards
    Show,
    /// Add to the pool
    Fund {
        /// Amount in MIST
        #[arg(value_name = "MIST")]
        amount: u64,
    },
    /// Post the shares of an epoch that an enclave has signed
    Post {
        /// The signed statement, JSON
        #[arg(value_name = "FILE")]
        statement: PathBuf,
    },
    /// Open the shard of a stake for claims
    Open(SharesOf),
    /// Pay what a stake has earned to its owner; without --shares the master is asked for the proof
    Claim(SharesOf),
    /// Give back to the pool what was not claimed of a shard in time
    SweepShard {
        /// The shard's object id
        #[arg(value_name = "0xID")]
        shard: String,
    },
    /// Give back to the pool what no shard of an epoch took in time
    SweepEpoch {
        /// The epoch's object id
        #[arg(value_name = "0xID")]
        epoch: String,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SharesOf {
    /// Token name of this state directory, or the stake's object id
    #[arg(value_name = "NAME|0xID")]
    pub(crate) stake: String,
    /// The shares of the epoch as the master publishes them: JSON with number and shares
    #[arg(long, value_name = "FILE", conflicts_with = "epoch")]
    pub(crate) shares: Option<PathBuf>,
    /// Number of the epoch; without it the earliest one that is not claimed yet
    #[arg(long, value_name = "NUMBER")]
    pub(crate) epoch: Option<u64>,
}
