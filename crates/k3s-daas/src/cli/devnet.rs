use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Devnet {
    /// Address to listen on [default: [devnet] listen, or 127.0.0.1:9000]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Keep the chain in this directory; without it the chain is gone at exit
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Bytecode of the Sui framework as made by `make setup`
    #[arg(long, env = "K3S_DAAS_FRAMEWORK", value_name = "FILE")]
    pub(crate) framework: Option<PathBuf>,
}
