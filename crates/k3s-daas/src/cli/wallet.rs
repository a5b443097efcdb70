use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Wallet {
    /// Make a new wallet
    New {
        /// Its name
        name: String,
    },
    /// Name a wallet whose key is elsewhere; nothing is copied
    Link(WalletLink),
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

#[derive(Clone, Debug, Args)]
#[command(group = ArgGroup::new("place").required(true).args(["keystore", "key_file", "key_env", "signer", "multisig"]))]
pub(crate) struct WalletLink {
    /// Its name
    pub(crate) name: String,
    /// Keystore of the Sui CLI that has its key, e.g. ~/.sui/sui_config/sui.keystore
    #[arg(long, value_name = "FILE", requires = "address")]
    pub(crate) keystore: Option<PathBuf>,
    /// File that holds its key alone, as suiprivkey1…
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Environment variable that names such a file
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) key_env: Option<String>,
    /// Program that signs, with its arguments (see docs/signers.md)
    #[arg(long, value_name = "PROGRAM", num_args = 1.., requires = "address", allow_hyphen_values = true)]
    pub(crate) signer: Option<Vec<String>>,
    /// Member of a committee, once for each: base64 public key as `sui keytool list` has it, and weight
    #[arg(long, value_name = "KEY=WEIGHT", requires = "threshold")]
    pub(crate) multisig: Option<Vec<String>>,
    /// Weight that has to sign for the committee
    #[arg(long)]
    pub(crate) threshold: Option<u16>,
    /// Wallet here that signs as a member of the committee, once for each
    #[arg(long = "member", value_name = "WALLET")]
    pub(crate) members: Vec<String>,
    /// Address of the key
    #[arg(long, value_name = "0xADDRESS")]
    pub(crate) address: Option<String>,
}
