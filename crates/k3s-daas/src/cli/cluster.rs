use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Args)]
pub(crate) struct Cluster {
    #[command(flatten)]
    pub(crate) tx: Tx,
    #[command(subcommand)]
    pub(crate) what: ClusterCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Where it is, what it demands and how far its state is anchored
    Show,
    /// Make another cluster of the published contracts
    Create {
        /// Its name
        name: String,
        /// Accept simulated enclaves in it, for ever
        #[arg(long)]
        allow_simulated: bool,
    },
    /// Change what stakes and tokens are held to; what is not named stays
    Config(ClusterConfig),
    /// Say where the cluster is, as an enclave has signed it
    Place {
        /// The signed statement, JSON
        #[arg(value_name = "FILE")]
        statement: PathBuf,
    },
    /// Anchor a point of the cluster's state that an enclave has signed
    Anchor {
        /// The signed statement, JSON
        #[arg(value_name = "FILE")]
        statement: PathBuf,
    },
    /// Declare that an enclave has opened a state without having read the anchor, as it has signed it
    DeclareUnanchored {
        /// The signed statement, JSON
        #[arg(value_name = "FILE")]
        statement: PathBuf,
    },
    /// Stop new stakes, penalties and escrows; never withdrawals
    Pause {
        /// For how long, at most 336
        #[arg(long, default_value_t = 24, value_name = "HOURS")]
        hours: u64,
    },
    /// End a pause
    Unpause,
    /// Bring objects to the version of the upgraded package: first the governance, then all others
    Migrate {
        /// Kind and id of one object (stake:0x…, case:0x…); without it governance and everything known
        #[arg(value_name = "KIND:0xID")]
        object: Option<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ClusterConfig {
    /// Smallest stake of a node, MIST
    #[arg(long, value_name = "MIST")]
    pub(crate) node_minimum: Option<u64>,
    /// Smallest stake of a user, MIST
    #[arg(long, value_name = "MIST")]
    pub(crate) user_minimum: Option<u64>,
    /// Smallest stake of an administrator, MIST
    #[arg(long, value_name = "MIST")]
    pub(crate) admin_minimum: Option<u64>,
    /// A node's stake stays at least this long
    #[arg(long, value_name = "HOURS")]
    pub(crate) node_lock_hours: Option<u64>,
    /// A user's stake stays at least this long
    #[arg(long, value_name = "HOURS")]
    pub(crate) user_lock_hours: Option<u64>,
    /// An administrator's stake stays at least this long
    #[arg(long, value_name = "HOURS")]
    pub(crate) admin_lock_hours: Option<u64>,
    /// From asking for a stake back to having it
    #[arg(long, value_name = "HOURS")]
    pub(crate) unbonding_hours: Option<u64>,
    /// A seal token lives this long unless renewed
    #[arg(long, value_name = "HOURS")]
    pub(crate) token_hours: Option<u64>,
}
