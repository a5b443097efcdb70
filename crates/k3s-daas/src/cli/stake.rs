use clap::{Args, ValueEnum};

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
pub(crate) struct Stake {
    /// What the stake is for
    #[arg(long, value_enum)]
    pub(crate) tier: Tier,
    /// Name of the wallet that pays and owns the stake
    #[arg(long, default_value = "staker", value_name = "WALLET")]
    pub(crate) wallet: String,
    /// Amount in MIST (1 SUI = 1,000,000,000 MIST) [default: the tier's minimum]
    #[arg(long, value_name = "MIST")]
    pub(crate) amount: Option<u64>,
    /// Name of the node (node tier only), a DNS label, yours as long as the stake lives
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// What this state directory calls the token [default: the node's or the wallet's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Unstake {
    #[command(flatten)]
    pub(crate) stake: StakeRef,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StakeRef {
    /// Token name of this state directory, or the stake's object id
    #[arg(value_name = "NAME|0xID")]
    pub(crate) stake: String,
    /// Name of the wallet that owns it [default: the one that staked]
    #[arg(long, value_name = "WALLET")]
    pub(crate) wallet: Option<String>,
}
