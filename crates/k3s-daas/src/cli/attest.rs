use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::verify::Sources;

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Attest {
    #[command(subcommand)]
    pub(crate) command: Option<AttestCommand>,
    /// Why each platform was taken or passed over
    #[arg(long)]
    pub(crate) explain: bool,
    /// Bind the evidence to these 32 bytes, hexadecimal [default: fresh random ones]
    #[arg(long, value_name = "HEX")]
    pub(crate) nonce: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AttestCommand {
    /// Fetch what a platform's maker says of it, and keep it for verification without a network
    Collateral(CollateralArgs),
    /// Print the settings of the master that are measured beside its programs, for whoever computes its measurement
    Configuration,
    /// Let the next build open what this one sealed on this machine; the chain has to allow it
    HandOver(super::HandOver),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CollateralArgs {
    /// Whose evidence it is for [default: this machine's platform]
    #[arg(long, value_name = "PLATFORM", requires = "evidence")]
    pub(crate) platform: Option<tee::PlatformKind>,
    /// The evidence that it is for [default: fresh evidence of this machine]
    #[arg(long, value_name = "FILE", requires = "platform")]
    pub(crate) evidence: Option<PathBuf>,
    /// Write the bundle to this file [default: print it]
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    pub(crate) export: Option<Option<PathBuf>>,
    #[command(flatten)]
    pub(crate) sources: Sources,
}
