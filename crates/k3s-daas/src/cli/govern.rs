use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Tx;

#[derive(Debug, Args)]
pub(crate) struct Govern {
    #[command(flatten)]
    pub(crate) tx: Tx,
    #[command(subcommand)]
    pub(crate) what: GovernCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GovernCommand {
    /// Capabilities, economics, pools and what waits for the timelock
    Show,
    /// The right to change the cluster
    #[command(subcommand)]
    Cap(CapCommand),
    /// Penalties, rewards, prices and the timelock
    #[command(subcommand)]
    Economics(EconomicsCommand),
    /// The pool of what penalties brought in
    #[command(subcommand)]
    Insurance(InsuranceCommand),
    /// Upgrades of the contracts
    #[command(subcommand)]
    Upgrade(UpgradeCommand),
    /// End a seal token for good
    RevokeToken {
        /// Token name of this state directory, or the token's object id
        #[arg(value_name = "NAME|0xID")]
        token: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum CapCommand {
    /// Give an address the same right
    Issue {
        /// Wallet name or address
        #[arg(value_name = "WALLET|0xADDRESS")]
        recipient: String,
        /// How long it lasts, days from now
        #[arg(long, value_name = "DAYS")]
        days: u64,
    },
    /// Make a capability worthless
    Revoke {
        /// The capability's object id
        #[arg(value_name = "0xID")]
        cap: String,
    },
    /// Offer to hand your capability on
    Offer {
        /// Wallet name or address
        #[arg(value_name = "WALLET|0xADDRESS")]
        recipient: String,
    },
    /// Take that back
    WithdrawOffer,
    /// Accept a capability that is offered to your wallet
    Accept {
        /// The offered capability's object id
        #[arg(value_name = "0xID")]
        cap: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EconomicsCommand {
    /// What is in force, as the TOML that `propose` takes
    Show,
    /// Propose other values; they can be applied when the timelock is over
    Propose {
        /// Values to change, TOML; what it does not name stays
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Withdraw what waits
    Cancel,
    /// Put what waits in force
    Apply,
}

#[derive(Debug, Subcommand)]
pub(crate) enum InsuranceCommand {
    /// Add to the pool
    Donate {
        /// Amount in MIST
        #[arg(value_name = "MIST")]
        amount: u64,
    },
    /// Propose a payout; it can be paid when the timelock is over
    Propose {
        /// Wallet name or address
        #[arg(value_name = "WALLET|0xADDRESS")]
        recipient: String,
        /// Amount in MIST
        #[arg(value_name = "MIST")]
        amount: u64,
    },
    /// Withdraw a proposed payout
    Cancel {
        /// Its number
        number: u64,
    },
    /// Pay a proposed payout
    Pay {
        /// Its number
        number: u64,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UpgradeCommand {
    /// The timelock and what waits for it
    Show,
    /// Put the right to upgrade behind a timelock, for good
    Guard {
        /// The timelock, hours
        #[arg(long, default_value_t = 168, value_name = "HOURS")]
        hours: u64,
    },
    /// Announce the upgrade to the contracts of this program
    Propose,
    /// Withdraw the announced upgrade
    Cancel,
    /// Upgrade to the contracts of this program, as announced
    Apply,
    /// Offer the right to upgrade to another address
    Offer {
        /// Wallet name or address
        #[arg(value_name = "WALLET|0xADDRESS")]
        recipient: String,
    },
    /// Accept the right to upgrade that is offered to your wallet
    Accept,
    /// Bring the upgrader to the version of the upgraded package
    Migrate,
}
