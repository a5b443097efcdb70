use std::path::PathBuf;

use clap::Args;

/// Publish the contracts on a Sui network and make a cluster; run it again after a crash
#[derive(Clone, Debug, Args)]
pub(crate) struct Publish {
    /// Name of the cluster
    #[arg(long, default_value = "k3s-daas", value_name = "NAME")]
    pub(crate) name: String,
    /// Accept simulated enclaves, for ever: for trying out only, never with money
    #[arg(long)]
    pub(crate) allow_simulated: bool,
    /// Name of the wallet that publishes, owns the cluster's capability and pays
    #[arg(long, default_value = "operator", value_name = "WALLET")]
    pub(crate) wallet: String,
    /// What the cluster demands of stakes and tokens, TOML ([tiers.node] minimum, lock_hours …)
    #[arg(long, value_name = "FILE")]
    pub(crate) params: Option<PathBuf>,
    /// What parameters are judged by, TOML, as `simulate economics` takes it
    #[arg(long, value_name = "FILE")]
    pub(crate) assumptions: Option<PathBuf>,
    /// Say what it costs and what does not deter, and publish nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
