use clap::{Args, Subcommand};

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
    /// Say what would change and what it would cost, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
