use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Master {
    /// Make keys if needed, print the identity that has to be registered on chain, and exit
    #[arg(long)]
    pub(crate) print_identity: bool,
}
