use clap::Args;

use super::ControlPlaneFlags;

#[derive(Clone, Debug, Args)]
pub(crate) struct Master {
    /// Make keys if needed, print the identity that has to be registered on chain, and exit
    #[arg(long)]
    pub(crate) print_identity: bool,
    #[command(flatten)]
    pub(crate) control_plane: ControlPlaneFlags,
    /// Make the keys of a cluster that never ran, on a platform that seals nothing, and share its secret among holders before
    /// anything is sealed; with --print-identity only print what has to be allowed on chain
    #[arg(long)]
    pub(crate) new_cluster: bool,
    /// On a platform that seals nothing: share the secret among these before serving, NAME=KEY@URL as for `committee deal`;
    /// replaces earlier shares
    #[arg(long = "holder", value_name = "NAME=KEY@URL", requires = "threshold")]
    pub(crate) holders: Vec<String>,
    /// How many of the holders it takes
    #[arg(long, value_name = "N", requires = "holders")]
    pub(crate) threshold: Option<u8>,
}
