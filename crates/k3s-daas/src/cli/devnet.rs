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
    /// Keep this many checkpoints of history, not all; older ones are answered as pruned
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keep_checkpoints: Option<u64>,
    /// End the epoch after this many seconds; without it the first epoch never ends
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) epoch: Option<u64>,
    /// Take Nitro documents under this root too, which is not AWS's: a certificate, DER. For trying out only
    #[arg(long, value_name = "FILE")]
    pub(crate) simulated_nitro_root: Option<PathBuf>,
    /// Bytecode of the Sui framework as made by `make setup`
    #[arg(long, env = "K3S_DAAS_FRAMEWORK", value_name = "FILE")]
    pub(crate) framework: Option<PathBuf>,
}
