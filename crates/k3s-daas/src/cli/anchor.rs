use clap::Args;

use super::snapshot::StoreEndpoint;

#[derive(Clone, Debug, Args)]
pub(crate) struct Anchor {
    #[command(flatten)]
    pub(crate) store: StoreEndpoint,
}
