//! The one binary of K3s-DaaS: `up` runs everything on one machine; the other commands run a part alone or
//! talk to the chain and the cluster.
#![forbid(unsafe_code)]

mod arena;
mod cli;
mod collateral;
mod commands;
mod deployment;
mod economics_check;
mod failure;
mod harden;
mod input;
mod invitation;
mod links;
mod output;
mod parts;
mod pending;
mod pin;
mod prove;
mod session;
mod settings;
mod state_dir;
mod tokens;
mod up;
mod wallets;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::cli::Cli;
use crate::failure::{Failure, Result};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(format_args!("{} {failure}", output::paint("31", "error:")));
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    // ring for every TLS connection that does not choose by itself; a second call finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let filter = EnvFilter::try_new(&cli.global.log_level)
        .map_err(|error| Failure::usage(format!("--log-level {:?}: {error}", cli.global.log_level)))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    if cli.command.serves_many() {
        arena::one_for_all();
    }
    harden::no_core_dumps();
    if cli.command.holds_keys() {
        harden::keep_memory();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("starting the runtime: {error}")))?;
    runtime.block_on(commands::run(cli))
}
