use std::path::PathBuf;

use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Worker {
    /// Name of the node's token in this state directory
    #[arg(long, default_value = "worker-1", value_name = "NAME")]
    pub(crate) token: String,
    /// What `k3s-daas token export` printed where the stake was made; all that a new machine needs
    #[arg(long, env = "K3S_DAAS_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,
}
