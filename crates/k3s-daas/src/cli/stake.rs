use clap::{Args, Subcommand, ValueEnum};

use super::Tx;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Brings a machine
    Node,
    /// Uses the cluster
    User,
    /// Administers the cluster
    Admin,
}

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Stake {
    #[command(subcommand)]
    pub(crate) what: Option<StakeCommand>,
    /// What the stake is for
    #[arg(long, value_enum, required = true)]
    pub(crate) tier: Option<Tier>,
    /// Name of the wallet that pays and owns the stake
    #[arg(long, default_value = "staker", value_name = "WALLET")]
    pub(crate) wallet: String,
    /// Name of the wallet that pays for gas
    #[arg(long, value_name = "WALLET")]
    pub(crate) sponsor: Option<String>,
    /// Amount in MIST (1 SUI = 1,000,000,000 MIST) [default: the tier's minimum]
    #[arg(long, value_name = "MIST")]
    pub(crate) amount: Option<u64>,
    /// Name of the node (node tier only), a DNS label, yours as long as the stake lives
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// What this state directory calls the token [default: the node's or the wallet's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Say what would change and what it would cost, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum StakeCommand {
    /// Every stake of the cluster
    List,
    /// Add to a stake
    TopUp {
        #[command(flatten)]
        tx: Tx,
        /// Token name of this state directory, or the stake's object id
        #[arg(value_name = "NAME|0xID")]
        stake: String,
        /// Amount in MIST
        #[arg(value_name = "MIST")]
        amount: u64,
    },
    /// Announce that a node is taken down on purpose: it is drained first, and the time is not held against it
    Maintenance {
        #[command(flatten)]
        tx: Tx,
        /// Token name of this state directory, or the stake's object id
        #[arg(value_name = "NAME|0xID")]
        stake: String,
        /// When it begins, minutes from now
        #[arg(long = "in", default_value_t = 10, value_name = "MINUTES")]
        minutes: u64,
        /// How long it lasts, at most 24
        #[arg(long = "for", default_value_t = 1, value_name = "HOURS")]
        hours: u64,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Unstake {
    #[command(flatten)]
    pub(crate) stake: StakeRef,
    #[command(flatten)]
    pub(crate) tx: Tx,
    /// Have the node drained first, as disruption budgets allow; without this its pods are deleted at once
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) drain: bool,
    /// How long the drain may take, seconds; afterwards nothing is unstaked
    #[arg(long, default_value_t = 600, value_name = "SECONDS", requires = "drain")]
    pub(crate) drain_timeout: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Withdraw {
    #[command(flatten)]
    pub(crate) stake: StakeRef,
    #[command(flatten)]
    pub(crate) tx: Tx,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StakeRef {
    /// Token name of this state directory, or the stake's object id
    #[arg(value_name = "NAME|0xID")]
    pub(crate) stake: String,
}
