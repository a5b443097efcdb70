//! Loads of etcd's own tool.

use super::{kinds, takes_part};
use crate::grpc::PUT as PUT_PATH;
use crate::result::{Goal, Measured};
use crate::server::{Kind, Server};
use crate::settings::Settings;
use crate::{lean, official, process, wire};

/// A load of the `benchmark` tool, and what is asked of it.
pub(super) struct Load {
    arguments: &'static [&'static str],
    /// Operations in a run; a tenth of it for kine.
    total: u32,
    kine_can: bool,
    writes: bool,
    throughput: Option<Goal>,
    p50: Option<Goal>,
    p99: Option<Goal>,
    cpu: Option<Goal>,
    written: Option<Goal>,
}

const NO_GOALS: Load = Load {
    arguments: &[],
    total: 0,
    kine_can: true,
    writes: true,
    throughput: None,
    p50: None,
    p99: None,
    cpu: None,
    written: None,
};

/// Read by the range load.
const KEY: &str = "/registry/pods/default/one-key";

pub(super) const PUT: Load = Load {
    arguments: &[
        "put",
        "--clients=100",
        "--conns=10",
        "--key-size=64",
        "--val-size=1024",
        "--key-space-size=100000",
    ],
    total: 60_000,
    throughput: Some(Goal::RatioAtLeast(1.6)),
    p99: Some(Goal::RatioAtMost(0.5)),
    cpu: Some(Goal::RatioAtMost(0.25)),
    written: Some(Goal::AtMost(1.35)),
    ..NO_GOALS
};

pub(super) const PUT_ONE: Load = Load {
    arguments: &[
        "put",
        "--clients=1",
        "--conns=1",
        "--key-size=64",
        "--val-size=1024",
        "--key-space-size=100000",
    ],
    total: 5_000,
    p50: Some(Goal::RatioAtMost(0.8)),
    cpu: Some(Goal::RatioAtMost(0.25)),
    ..NO_GOALS
};

pub(super) const RANGE: Load = Load {
    arguments: &["range", KEY, "--clients=100", "--conns=10"],
    total: 100_000,
    writes: false,
    throughput: Some(Goal::RatioAtLeast(1.5)),
    cpu: Some(Goal::RatioAtMost(0.333)),
    ..NO_GOALS
};

pub(super) const TXN_PUT: Load = Load {
    arguments: &[
        "txn-put",
        "--clients=100",
        "--conns=10",
        "--key-size=64",
        "--val-size=1024",
        "--key-space-size=100000",
    ],
    total: 50_000,
    kine_can: false,
    throughput: Some(Goal::RatioAtLeast(1.6)),
    cpu: Some(Goal::RatioAtMost(0.25)),
    ..NO_GOALS
};

pub(super) const TXN_MIXED: Load = Load {
    arguments: &[
        "txn-mixed",
        "--clients=100",
        "--conns=10",
        "--key-size=64",
        "--val-size=1024",
        "--key-space-size=1000",
        "--limit=10",
    ],
    total: 50_000,
    kine_can: false,
    throughput: Some(Goal::RatioAtLeast(1.6)),
    cpu: Some(Goal::RatioAtMost(0.25)),
    ..NO_GOALS
};

pub(super) async fn measure(load: &Load, settings: &Settings) -> anyhow::Result<Measured> {
    let servers = Server::start_all(&kinds(settings, load.kine_can), settings).await?;
    for server in &servers {
        lean::once(server.address, PUT_PATH, &wire::put(KEY.as_bytes(), &[7; 1024])).await?;
        run(load, settings, server, 10).await?;
    }
    let mut measured = Measured::default();
    for run in 0..settings.runs {
        for server in servers.iter().filter(|server| takes_part(server.kind, run)) {
            one(load, settings, server, &mut measured).await?;
        }
    }
    Ok(measured)
}

async fn one(
    load: &Load,
    settings: &Settings,
    server: &Server,
    measured: &mut Measured,
) -> anyhow::Result<()> {
    server.settled().await?;
    let before = server.usage()?;
    let (total, summaries) = run(load, settings, server, 1).await?;
    server.settled().await?;
    let used = server.usage()? - before;
    let total = f64::from(total);
    // txn-mixed reports reads and writes apart: their rates add up, and the slower of the two says how late it gets.
    let worst = |time: fn(&official::Summary) -> f64| summaries.iter().map(time).fold(0.0, f64::max);
    let kind = server.kind;
    let per_second = summaries.iter().map(|summary| summary.per_second).sum();
    measured.add(kind, "throughput", "op/s", load.throughput, per_second);
    measured.add(kind, "p50", "ms", load.p50, worst(|summary| summary.p50));
    measured.add(kind, "p99", "ms", load.p99, worst(|summary| summary.p99));
    measured.add(kind, "mean", "ms", None, worst(|summary| summary.average));
    measured.add(kind, "server CPU per op", "µs", load.cpu, used.cpu / total * 1e6);
    if load.writes {
        measured.add(kind, "written per op", "KiB", load.written, used.written / total / 1024.0);
    }
    measured.add(
        kind,
        "resident after the run",
        "MiB",
        None,
        process::resident(server.pid())?.0 / f64::from(1 << 20),
    );
    Ok(())
}

/// Runs `1/share` of the load. How many operations that were, and what the tool says.
async fn run(
    load: &Load,
    settings: &Settings,
    server: &Server,
    share: u32,
) -> anyhow::Result<(u32, Vec<official::Summary>)> {
    let total = load.total / share / if server.kind == Kind::Kine { 10 } else { 1 };
    // With fewer the tool has no 99th percentile.
    let total = total.max(200);
    let total_argument = format!("--total={total}");
    let mut arguments = load.arguments.to_vec();
    arguments.push(&total_argument);
    Ok((total, official::run(settings, server, &arguments).await?))
}
