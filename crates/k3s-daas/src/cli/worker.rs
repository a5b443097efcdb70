use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Worker {
    /// Name of the node's token in this state directory
    #[arg(long, default_value = "worker-1", value_name = "NAME")]
    pub(crate) token: String,
}
