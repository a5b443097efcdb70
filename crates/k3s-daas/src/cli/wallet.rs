use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Wallet {
    /// Make a new wallet
    New {
        /// Its name
        name: String,
    },
    /// Names, addresses and balances
    List,
    /// Ask the development chain's faucet for SUI
    Faucet {
        /// Wallet name
        name: String,
        /// Amount in MIST
        #[arg(long, default_value_t = 10_000_000_000, value_name = "MIST")]
        amount: u64,
    },
}
