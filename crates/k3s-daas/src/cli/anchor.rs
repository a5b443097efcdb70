use clap::Args;

#[derive(Clone, Debug, Args)]
pub(crate) struct Anchor {
    /// Where the master's store listens: unix:///PATH; without it this state directory's master
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}
