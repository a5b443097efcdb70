use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Grant {
    /// Give a role
    Add(GrantAdd),
    /// Take a role back
    Revoke {
        /// Grant object id
        #[arg(value_name = "0xID")]
        grant: String,
        /// Say what would change and what it would cost, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Every grant of the cluster
    List,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct GrantAdd {
    /// Wallet name or address
    #[arg(value_name = "WALLET|0xADDRESS")]
    pub(crate) grantee: String,
    /// Namespace; without it the whole cluster
    #[arg(long, short = 'n', value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Role: view, edit, admin or cluster-admin
    #[arg(long, default_value = "edit", value_name = "ROLE")]
    pub(crate) role: String,
    /// Say what would change and what it would cost, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
