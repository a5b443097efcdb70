use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Master {
    /// Make keys if needed, print the identity that has to be registered on chain, and exit
    #[arg(long)]
    pub(crate) print_identity: bool,
    /// Leave one of these out: coredns, servicelb, local-storage, metrics-server
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) disable: Vec<String>,
    /// Serve though the chain cannot be reached, which alone knows whether this is the latest state
    #[arg(long)]
    pub(crate) accept_unanchored: bool,
}
