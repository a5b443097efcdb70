use clap::Subcommand;

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
    Renew {
        /// Token name
        name: String,
    },
    /// Replace the holder key, on chain and here
    Rotate {
        /// Token name
        name: String,
    },
    /// End the token on chain; the stake stays
    Revoke {
        /// Token name
        name: String,
    },
    /// Issue a new token for a stake whose token was revoked or has expired
    Issue {
        /// Token name
        name: String,
    },
}
