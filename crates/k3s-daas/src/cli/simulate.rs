use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Simulate {
    /// Whether attacks on a cluster pay: agents against the rules of stakes, rewards and penalties
    Economics(Economics),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Economics {
    /// Write the report here and its plots into a directory of the same name beside it [default: print the page]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Prices, costs and chances, TOML; what it leaves out is as in docs/economics.md
    #[arg(long, value_name = "FILE")]
    pub(crate) assumptions: Option<PathBuf>,
    /// Smallest stake of a node, MIST [default: the recommended one]
    #[arg(long, value_name = "MIST")]
    pub(crate) node_minimum: Option<u64>,
    /// Runs of each attack
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    pub(crate) runs: u32,
    /// The same seed gives the same numbers
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}
