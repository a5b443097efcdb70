//! One master under the heartbeats of many workers. Everything is real but the workers: a development chain with
//! the contracts, a stake and a token for each worker on it, the master with its store and control plane in a
//! process of its own, TLS connections and signed heartbeats as workers send them.
//!
//! Prints a table in Markdown.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod load;
mod master_process;
mod nodes;
mod world;

use std::time::Duration;

use clap::Parser;

use load::Load;
use master_process::MasterProcess;
use world::World;

/// Measures a master under the heartbeats of many workers.
#[derive(Debug, Parser)]
struct Args {
    /// Workers, each with a stake, a token and a connection of its own
    #[arg(long, default_value_t = 10_000)]
    workers: usize,
    /// Seconds between two heartbeats of a worker
    #[arg(long, default_value_t = 10)]
    interval: u64,
    /// Seconds to measure, after a warm-up of one interval
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Nodes in Kubernetes, played by kwok (bench/peers/build.sh builds it)
    #[arg(long, default_value_t = 0)]
    nodes: usize,
    /// Pods on them
    #[arg(long, default_value_t = 0)]
    pods: usize,
    /// Directory of kwok and its stages
    #[arg(long, default_value = ".cache/bench/bin")]
    peers: std::path::PathBuf,
    /// Used by the benchmark itself: be the master that this file configures
    #[arg(long, hide = true)]
    master: Option<std::path::PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match &args.master {
        Some(config) => runtime.block_on(master_process::run(config)),
        None => runtime.block_on(measure(&args)),
    }
}

async fn measure(args: &Args) -> anyhow::Result<()> {
    // A connection for each worker.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, raised)?;
    let dir = tempfile::tempdir()?;
    let world = World::start(dir.path(), args.interval).await?;
    let workers = world.stake(args.workers).await?;
    eprintln_progress(&format!("{} stakes and tokens are on chain", workers.len()));
    let mut master = MasterProcess::start(dir.path(), &world).await?;
    eprintln_progress("the master is ready");
    let empty = master.usage()?;
    let mut kwok = None;
    if args.nodes > 0 {
        kwok = Some(nodes::start(args, &world, dir.path()).await?);
        eprintln_progress("nodes and pods run");
    }
    let load = Load::new(&world, workers, Duration::from_secs(args.interval)).await?;
    load.warm_up().await;
    let before = master.usage()?;
    let result = load.measure(Duration::from_secs(args.seconds)).await;
    let after = master.usage()?;
    master.still_runs()?;
    let (accepted, counted) = (result.accepted, master.heartbeats_accepted(&world).await?);
    if let Some(kwok) = &mut kwok {
        kwok.still_runs()?;
    }

    let cpu = (after.cpu - before.cpu).as_secs_f64() / result.elapsed.as_secs_f64();
    println!(
        "| workers | nodes | pods | heartbeats/s | accepted | missed | p50 ms | p99 ms | max ms | master CPU cores | master RSS MiB (idle → loaded, peak) |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    println!(
        "| {} | {} | {} | {:.0} | {} | {} | {:.1} | {:.1} | {:.1} | {:.2} | {} → {}, {} |",
        args.workers,
        args.nodes,
        args.pods,
        accepted as f64 / result.elapsed.as_secs_f64(),
        accepted,
        result.missed,
        result.quantile(0.5),
        result.quantile(0.99),
        result.quantile(1.0),
        cpu,
        empty.rss_mib,
        after.rss_mib,
        after.peak_mib,
    );
    for (what, count) in &result.failures {
        println!("- {count} × {what}");
    }
    println!("\nThe master counted {counted} accepted heartbeats since its start, warm-up included.");
    Ok(())
}

#[allow(clippy::print_stderr, reason = "talk goes there")]
fn eprintln_progress(what: &str) {
    eprintln!("{what}");
}
