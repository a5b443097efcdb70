use std::path::PathBuf;

use clap::Args;

use super::snapshot::StoreEndpoint;

#[derive(Clone, Debug, Args)]
pub(crate) struct Prove {
    /// The key as the store knows it, e.g. /registry/pods/default/web
    #[arg(id = "state-key", value_name = "KEY")]
    pub(crate) key: String,
    /// At which anchored revision [default: the latest]
    #[arg(long, value_name = "REVISION", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) revision: Option<i64>,
    /// Put the value into the proof, for whoever gets it to read; otherwise only its hash
    #[arg(long)]
    pub(crate) with_value: bool,
    #[command(flatten)]
    pub(crate) store: StoreEndpoint,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyProof {
    /// What `k3s-daas prove` printed; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The cluster that it has to be about; otherwise compare the id that is printed
    #[arg(long, value_name = "ID")]
    pub(crate) cluster: Option<chain::Address>,
}
