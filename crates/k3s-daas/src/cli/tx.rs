use clap::Args;

/// Who a transaction is by and who pays for it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Tx {
    /// Name of the wallet that the transaction is by
    #[arg(long, global = true, value_name = "WALLET")]
    pub(crate) wallet: Option<String>,
    /// Name of the wallet that pays for gas
    #[arg(long, global = true, value_name = "WALLET")]
    pub(crate) sponsor: Option<String>,
    /// Say what would change and what it would cost, and change nothing
    #[arg(long, global = true)]
    pub(crate) dry_run: bool,
}
