use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Kubeconfig {
    /// Token name
    #[arg(long, default_value = "admin", value_name = "NAME")]
    pub(crate) token: String,
    /// Have the master prove what it is, and pin that: credentials are made only for a master that proves the same
    #[arg(long)]
    pub(crate) pin: bool,
    /// Write it to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}
