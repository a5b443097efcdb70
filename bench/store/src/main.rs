//! Measures the store against etcd and kine: same machine, same run, one after the other, round by round.
//!
//! `make bench-store` builds what it needs and runs it; what every row means is in `bench/README.md`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool for the terminal")]

mod cluster;
mod grpc;
mod lean;
mod official;
mod process;
mod program;
mod report;
mod result;
mod rows;
mod server;
mod settings;
mod stats;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use result::RowResult;
use rows::{ROWS, Row};
use settings::Settings;

#[derive(Parser)]
#[command(about = "Measures the store and its peers side by side")]
struct Arguments {
    /// Rows to run, comma-separated; all without it
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
    /// How often each load runs against each server
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Leave kine out
    #[arg(long)]
    without_kine: bool,
    /// Programs built by bench/peers/build.sh
    #[arg(long, default_value = ".cache/bench/bin")]
    peers: PathBuf,
    /// The release build that is measured
    #[arg(long, default_value = "target/release/k3s-daas")]
    k3s_daas: PathBuf,
    /// Kubernetes in one binary
    #[arg(long, default_value = "bin/kubernetes")]
    kubernetes: PathBuf,
    /// Where the servers keep their data for the time of a row, up to 10 GB
    #[arg(long, default_value = ".cache/bench")]
    scratch: PathBuf,
    /// Where the results of rows are kept; the report is made of all that are there
    #[arg(long, default_value = ".cache/bench/results")]
    results: PathBuf,
    /// Write the report of all kept results to this file
    #[arg(long)]
    report: Option<PathBuf>,
    /// List the rows and stop
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    if arguments.list {
        for row in ROWS {
            println!("{:<12} {}", row.name, row.title);
        }
        return Ok(());
    }
    let chosen = chosen(&arguments.rows)?;
    let settings = Settings::new(
        arguments.peers,
        &arguments.k3s_daas,
        arguments.kubernetes,
        &arguments.scratch,
        arguments.runs,
        !arguments.without_kine,
    )?;
    // The HTTPS client takes the installed provider.
    let _already_there = rustls::crypto::ring::default_provider().install_default();
    // One thread: the load shares two cores with the servers.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for row in chosen {
        let started = Instant::now();
        eprintln!("==> {}: {}", row.name, row.title);
        let measured = runtime.block_on(async {
            tokio::select! {
                measured = row.measure(&settings) => measured,
                stopped = asked_to_stop() => stopped.and(Err(anyhow!("stopped"))),
            }
        });
        let measured = measured.with_context(|| format!("row {}", row.name))?;
        let result = RowResult::new(row, measured, &settings, started.elapsed());
        result.save(&arguments.results)?;
        print!("{}", report::table(std::slice::from_ref(&result)));
    }
    if let Some(path) = arguments.report {
        let results = RowResult::load_all(&arguments.results)?;
        std::fs::write(&path, report::document(&results))
            .with_context(|| format!("writing {}", path.display()))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// SIGINT or SIGTERM: what was started is stopped and removed.
async fn asked_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    if names.iter().all(String::is_empty) {
        return Ok(ROWS.iter().collect());
    }
    names
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| match ROWS.iter().find(|row| row.name == name) {
            Some(row) => Ok(row),
            None => bail!("no row {name:?}; --list shows them"),
        })
        .collect()
}
