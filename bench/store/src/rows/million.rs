//! A million keys: how much memory, and how long until it serves again.

use super::{key, kinds};
use crate::grpc;
use crate::lean::{self, Load};
use crate::process;
use crate::result::{Goal, Measured};
use crate::server::Server;
use crate::settings::Settings;
use crate::wire;

const KEYS: u64 = 1_000_000;
const VALUE: usize = 1024;
/// Keys and values alone, bytes.
const RAW: f64 = KEYS as f64 * (VALUE + 64) as f64;

pub(super) async fn measure(settings: &Settings) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    let mut servers = Server::start_all(&kinds(settings, false), settings).await?;
    for server in &servers {
        let load =
            Load { address: server.address, path: grpc::PUT, connections: 10, clients: 200, total: KEYS };
        let outcome = lean::closed_loop(load, |number| wire::put(&key(number), &[7; VALUE])).await?;
        server.settled().await?;
        let (all, anonymous) = process::resident(server.pid())?;
        let used = server.usage()?;
        let kind = server.kind;
        measured.add(kind, "loading", "s", None, outcome.seconds);
        measured.add(kind, "resident / raw bytes", "×", Some(Goal::AtMost(1.7)), all / RAW);
        measured.add(kind, "of it not pages of files", "×", None, anonymous / RAW);
        measured.add(kind, "written / raw bytes", "×", None, used.written / RAW);
    }
    for _ in 0..settings.runs {
        for server in &mut servers {
            let seconds = server.restart(settings).await?;
            let used = server.usage()?;
            server.settled().await?;
            let (all, _) = process::resident(server.pid())?;
            let kind = server.kind;
            measured.add(kind, "kill -9 to serving", "s", Some(Goal::RatioAtMost(1.0)), seconds);
            measured.add(kind, "CPU until serving", "s", None, used.cpu);
            measured.add(kind, "resident / raw bytes after it", "×", None, all / RAW);
        }
    }
    Ok(measured)
}
