use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Args)]
pub(crate) struct Grant {
    #[command(flatten)]
    pub(crate) tx: Tx,
    #[command(subcommand)]
    pub(crate) what: GrantCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Give a role
    Add(GrantAdd),
    /// Take a role back
    Revoke {
        /// Grant object id
        #[arg(value_name = "0xID")]
        grant: String,
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
}
