use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Clone, Debug, Args)]
pub(crate) struct Worker {
    /// Name of the node's token in this state directory
    #[arg(long, default_value = "worker-1", value_name = "NAME")]
    pub(crate) token: String,
    /// What `k3s-daas token export` printed where the stake was made; all that a new machine needs
    #[arg(long, env = "K3S_DAAS_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,
    /// What runs the node
    #[arg(long, value_enum, default_value_t = Engine::Builtin, value_name = "ENGINE")]
    pub(crate) engine: Engine,
    /// The k3s binary, when it is not in PATH
    #[arg(long, value_name = "FILE")]
    pub(crate) k3s_binary: Option<PathBuf>,
}

/// What runs a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// containerd, kubelet and kube-proxy, as this binary starts them
    #[value(alias = "kubernetes")]
    Builtin,
    /// `k3s agent`, which joins by K3s' own protocol with the node's seal token
    K3s,
}
