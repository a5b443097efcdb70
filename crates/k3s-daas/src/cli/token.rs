use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Tokens of this state directory and what the chain says of them
    List,
    /// Print a fresh proof
    Mint {
        /// Token name
        #[arg(default_value = "admin")]
        name: String,
        /// How long the proof is valid, seconds
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        ttl: u64,
        /// Print it as K3S_TOKEN: K10<ca hash>::seal:<proof>
        #[arg(long)]
        k3s: bool,
    },
    /// Print all that another machine needs to join, as one line: `worker --token-file` there takes it
    Export {
        /// The node's token, whose key then is in the line: a secret. Without it, only where the cluster is
        name: Option<String>,
        /// Write it to this file, for this user only, instead of stdout
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// Take in what `token export` printed on another machine
    Import {
        /// The file, or - for stdin
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Extend the token on chain
    Renew(TokenChange),
    /// Replace the holder key, on chain and here
    Rotate(TokenChange),
    /// End the token on chain; the stake stays
    Revoke(TokenChange),
    /// Issue a new token for a stake whose token was revoked or has expired
    Issue(TokenChange),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TokenChange {
    /// Token name
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) tx: Tx,
}
