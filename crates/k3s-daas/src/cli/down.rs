use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Down {
    /// Remove the state directory's contents too: chain, wallets, cluster and images
    #[arg(long)]
    pub(crate) purge: bool,
}
