use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Credential {
    /// Token name
    #[arg(long, default_value = "admin", value_name = "NAME")]
    pub(crate) token: String,
    /// Only for a master that proves what the kubeconfig pins
    #[arg(long)]
    pub(crate) pinned: bool,
}
