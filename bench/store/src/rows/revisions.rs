//! What a put costs when a long history is kept.

use super::{key, kinds};
use crate::grpc;
use crate::lean::{self, Load};
use crate::process;
use crate::result::{Goal, Measured};
use crate::server::Server;
use crate::settings::Settings;
use crate::wire;

const SHORT: u64 = 10_000;
const LONG: u64 = 5_000_000;
const KEYS: u64 = 10_000;
/// Small, so that five million of them are written in minutes and fit the disk.
const VALUE: usize = 128;
/// Puts that are measured, every time.
const PUTS: u64 = 50_000;
/// Filling takes most of the time.
const MOST_RUNS: u32 = 3;

pub(super) async fn measure(settings: &Settings) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    let servers = Server::start_all(&kinds(settings, false), settings).await?;
    for server in &servers {
        let filling = puts(server, LONG).await?;
        server.settled().await?;
        let resident = process::resident(server.pid())?.0 / f64::from(1 << 20);
        measured.add(server.kind, "writing 5 M revisions", "s", None, filling.seconds);
        measured.add(server.kind, "resident with 5 M revisions", "MiB", None, resident);
    }
    for _ in 0..settings.runs.min(MOST_RUNS) {
        for long in &servers {
            let short = Server::start(long.kind, settings).await?;
            puts(&short, SHORT).await?;
            let (short, long_cost) = (cost(&short).await?, cost(long).await?);
            let mut add = |name, unit, goal, value| measured.add(long.kind, name, unit, goal, value);
            add("server CPU per put at 10 k", "µs", None, short.cpu);
            add("server CPU per put at 5 M", "µs", None, long_cost.cpu);
            add("CPU at 5 M / at 10 k", "×", Some(Goal::AtMost(1.2)), long_cost.cpu / short.cpu);
            add("time at 5 M / at 10 k", "×", Some(Goal::AtMost(1.2)), long_cost.seconds / short.seconds);
            add("p99 at 10 k", "ms", None, short.p99);
            add("p99 at 5 M", "ms", None, long_cost.p99);
        }
    }
    Ok(measured)
}

struct Cost {
    /// Server CPU of a put, µs.
    cpu: f64,
    /// For all.
    seconds: f64,
    /// ms
    p99: f64,
}

async fn cost(server: &Server) -> anyhow::Result<Cost> {
    server.settled().await?;
    let before = server.usage()?;
    let mut outcome = puts(server, PUTS).await?;
    server.settled().await?;
    let used = server.usage()? - before;
    let [p99] = outcome.latencies.percentiles([99.0]);
    Ok(Cost { cpu: used.cpu / PUTS as f64 * 1e6, seconds: outcome.seconds, p99 })
}

async fn puts(server: &Server, total: u64) -> anyhow::Result<lean::Outcome> {
    let load = Load { address: server.address, path: grpc::PUT, connections: 10, clients: 200, total };
    lean::closed_loop(load, |number| wire::put(&key(number % KEYS), &[7; VALUE])).await
}
