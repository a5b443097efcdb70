use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct WalrusDev {
    /// Address to listen on, as publisher and aggregator both
    #[arg(long, default_value = "127.0.0.1:31415", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Keep the blobs in this directory [default: walrus-dev in the state directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// How many shards the network it plays has, from which ids follow; mainnet and testnet have 1000
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    pub(crate) shards: u16,
    /// End the epoch after this many seconds
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) epoch: u64,
    /// The largest blob, in MiB
    #[arg(long, default_value_t = 64, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(crate) max_blob: u64,
}
