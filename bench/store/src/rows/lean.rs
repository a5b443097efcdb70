//! The two most frequent calls, from a load generator that takes little of the machine.

use super::{key, kinds, takes_part};
use crate::grpc;
use crate::lean::{self, Load};
use crate::process;
use crate::result::{Goal, Measured};
use crate::server::{Kind, Server};
use crate::settings::Settings;
use crate::wire;

const KEYS: u64 = 100_000;

pub(super) async fn put(settings: &Settings) -> anyhow::Result<Measured> {
    let value = [7; 1024];
    measure(settings, grpc::PUT, 100_000, move |number| wire::put(&key(scattered(number) % KEYS), &value))
        .await
}

pub(super) async fn range(settings: &Settings) -> anyhow::Result<Measured> {
    measure(settings, grpc::RANGE, 200_000, |_| wire::range_one(&key(0))).await
}

/// Visits numbers in no order, the same in every run.
fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20
}

async fn measure(
    settings: &Settings,
    path: &'static str,
    total: u64,
    message: impl Fn(u64) -> Vec<u8> + Copy + 'static,
) -> anyhow::Result<Measured> {
    let servers = Server::start_all(&kinds(settings, true), settings).await?;
    let load = |server: &Server, share: u64| {
        let total = total / share / if server.kind == Kind::Kine { 20 } else { 1 };
        Load { address: server.address, path, connections: 10, clients: 100, total }
    };
    for server in &servers {
        lean::once(server.address, grpc::PUT, &wire::put(&key(0), &[7; 1024])).await?;
        lean::closed_loop(load(server, 10), message).await?;
    }
    let mut measured = Measured::default();
    for run in 0..settings.runs {
        for server in servers.iter().filter(|server| takes_part(server.kind, run)) {
            server.settled().await?;
            let load = load(server, 1);
            let (before, own_before) = (server.usage()?, process::usage(std::process::id())?);
            let mut outcome = lean::closed_loop(load, message).await?;
            let own = process::usage(std::process::id())? - own_before;
            server.settled().await?;
            let used = server.usage()? - before;
            let total = load.total as f64;
            let [p50, p99] = outcome.latencies.percentiles([50.0, 99.0]);
            let (kind, faster) = (server.kind, Some(Goal::RatioAtLeast(3.0)));
            measured.add(kind, "throughput", "op/s", faster, total / outcome.seconds);
            measured.add(kind, "p50", "ms", None, p50);
            measured.add(kind, "p99", "ms", None, p99);
            measured.add(kind, "server CPU per op", "µs", None, used.cpu / total * 1e6);
            measured.add(kind, "load generator's CPU per op", "µs", None, own.cpu / total * 1e6);
            if path == grpc::PUT {
                measured.add(kind, "written per op", "KiB", None, used.written / total / 1024.0);
            }
        }
    }
    Ok(measured)
}
