use clap::Args;

use super::ControlPlaneFlags;

#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// Return when the node is Ready and leave everything running
    #[arg(long)]
    pub(crate) detach: bool,
    /// Run the control plane without a worker (the default when not root)
    #[arg(long)]
    pub(crate) no_worker: bool,
    /// Do not run the demonstration pod
    #[arg(long)]
    pub(crate) no_demo: bool,
    /// Name of the worker's node, pinned on chain
    #[arg(long, default_value = "worker-1", value_name = "NAME")]
    pub(crate) node_name: String,
    /// Give up waiting for the Ready node after this many seconds
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    pub(crate) timeout: u64,
    #[command(flatten)]
    pub(crate) control_plane: ControlPlaneFlags,
}
