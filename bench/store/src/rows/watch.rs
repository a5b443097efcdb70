//! Events to a thousand watchers of one key.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::task::LocalSet;

use super::{key, kinds, takes_part};
use crate::grpc::{self, Connection, Sink};
use crate::result::{Goal, Measured};
use crate::server::{Kind, Server};
use crate::settings::Settings;
use crate::stats::Latencies;
use crate::{lean, official, process, wire};

const STREAMS: usize = 20;
const WATCHERS: usize = 50;
const CONNECTIONS: usize = 10;
const PUTS: u32 = 500;
const PUTS_PER_SECOND: u32 = 100;
const EVENTS: f64 = STREAMS as f64 * WATCHERS as f64 * PUTS as f64;

/// With the lean generator: from sending the put to the event.
pub(super) async fn measure(settings: &Settings) -> anyhow::Result<Measured> {
    let servers = Server::start_all(&kinds(settings, true), settings).await?;
    let mut measured = Measured::default();
    for run in 0..settings.runs {
        for server in servers.iter().filter(|server| takes_part(server.kind, run)) {
            server.settled().await?;
            let mut watching = Watching::start(server).await?;
            let (before, own_before) = (server.usage()?, process::usage(std::process::id())?);
            let mut latencies = watching.deliver(server).await?;
            let used = server.usage()? - before;
            let own = process::usage(std::process::id())? - own_before;
            let [p50, p99, slowest] = latencies.percentiles([50.0, 99.0, 100.0]);
            let kind = server.kind;
            measured.add(kind, "p50 from put to event", "ms", None, p50);
            measured.add(kind, "p99 from put to event", "ms", Some(Goal::RatioAtMost(0.5)), p99);
            measured.add(kind, "slowest", "ms", None, slowest);
            let cheap = Some(Goal::RatioAtMost(0.333));
            measured.add(kind, "server CPU per event", "µs", cheap, used.cpu / EVENTS * 1e6);
            measured.add(kind, "load generator's CPU per event", "µs", None, own.cpu / EVENTS * 1e6);
        }
    }
    Ok(measured)
}

/// With etcd's tool: from the answer to the put to the event.
pub(super) async fn official(settings: &Settings) -> anyhow::Result<Measured> {
    let servers = Server::start_all(&kinds(settings, true), settings).await?;
    let (puts, rate) = (format!("--put-total={PUTS}"), format!("--put-rate={PUTS_PER_SECOND}"));
    let (streams, watchers) = (format!("--streams={STREAMS}"), format!("--watchers-per-stream={WATCHERS}"));
    let arguments = ["watch-latency", "--clients=10", "--conns=10", &streams, &watchers, &puts, &rate];
    let mut measured = Measured::default();
    for run in 0..settings.runs {
        for server in servers.iter().filter(|server| takes_part(server.kind, run)) {
            server.settled().await?;
            let before = server.usage()?;
            let summaries = official::run(settings, server, &arguments).await?;
            let used = server.usage()? - before;
            // Of the puts, and of the events.
            let events = summaries.get(1).context("the tool reports no events")?;
            let kind = server.kind;
            measured.add(kind, "p50 from answer to event", "ms", None, events.p50);
            measured.add(kind, "p99 from answer to event", "ms", Some(Goal::RatioAtMost(0.5)), events.p99);
            let cheap = Some(Goal::RatioAtMost(0.333));
            measured.add(kind, "server CPU per event", "µs", cheap, used.cpu / EVENTS * 1e6);
        }
    }
    Ok(measured)
}

/// Connections with all watches created.
struct Watching {
    connections: Vec<(Connection, Events)>,
}

impl Watching {
    async fn start(server: &Server) -> anyhow::Result<Self> {
        let create = wire::watch_create(&key(0));
        let per_connection = STREAMS / CONNECTIONS;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut connection = Connection::open(server.address, grpc::WATCH).await?;
            let mut events = Events::default();
            for _ in 0..per_connection {
                let stream = connection.call(&create, false);
                events.partial.push((stream, Vec::new()));
                for _ in 1..WATCHERS {
                    connection.send(stream, &create, false);
                }
            }
            while events.created < per_connection * WATCHERS {
                let turn = connection.turn(&mut events);
                tokio::time::timeout(Duration::from_secs(20), turn)
                    .await
                    .with_context(|| format!("{} watches created", events.created))??;
                ensure!(!events.ended, "the server ends a watch stream");
            }
            connections.push((connection, events));
        }
        Ok(Self { connections })
    }

    /// Puts at a steady rate, until every watcher has every event.
    async fn deliver(&mut self, server: &Server) -> anyhow::Result<Latencies> {
        let mut putting = Connection::open(server.address, grpc::PUT).await?;
        let epoch = Instant::now();
        let tasks = LocalSet::new();
        let all = Rc::new(RefCell::new(Latencies::default()));
        let receivers: Vec<_> = self
            .connections
            .drain(..)
            .map(|(mut connection, mut events)| {
                let all = Rc::clone(&all);
                tasks.spawn_local(async move {
                    events.epoch = Some(epoch);
                    let expected = STREAMS / CONNECTIONS * WATCHERS * PUTS as usize;
                    while events.latencies.count() < expected {
                        connection.turn(&mut events).await?;
                        ensure!(!events.ended, "the server ends a watch stream");
                    }
                    all.borrow_mut().merge(events.latencies);
                    anyhow::Ok(())
                })
            })
            .collect();
        let puts = tasks.spawn_local(async move {
            let mut tick = tokio::time::interval(Duration::from_secs(1) / PUTS_PER_SECOND);
            for _ in 0..PUTS {
                tick.tick().await;
                // The value says when it was sent.
                let mut value = [7; 64];
                value[..8].copy_from_slice(&(epoch.elapsed().as_nanos() as u64).to_be_bytes());
                lean::unary(&mut putting, &wire::put(&key(0), &value)).await?;
            }
            anyhow::Ok(())
        });
        let patience = if server.kind == Kind::Kine { 120 } else { 60 };
        tokio::time::timeout(Duration::from_secs(patience), tasks)
            .await
            .context("not every watcher got every event in time")?;
        puts.await??;
        for receiver in receivers {
            receiver.await??;
        }
        Ok(all.take())
    }
}

/// Takes a connection's watch responses apart.
#[derive(Default)]
struct Events {
    /// Streams, each with the beginning of a message whose rest is still to come.
    partial: Vec<(u32, Vec<u8>)>,
    created: usize,
    ended: bool,
    epoch: Option<Instant>,
    latencies: Latencies,
}

impl Sink for Events {
    fn data(&mut self, stream: u32, bytes: &[u8]) {
        let Some(index) = self.partial.iter().position(|(known, _)| *known == stream) else { return };
        let mut partial = std::mem::take(&mut self.partial[index].1);
        let now = self.epoch.map(|epoch| epoch.elapsed());
        if partial.is_empty() {
            let rest = self.messages(bytes, now);
            partial.extend_from_slice(rest);
        } else {
            partial.extend_from_slice(bytes);
            let rest = self.messages(&partial, now).len();
            partial.drain(..partial.len() - rest);
        }
        self.partial[index].1 = partial;
    }

    fn end(&mut self, _stream: u32) {
        self.ended = true;
    }
}

impl Events {
    /// Reads all whole messages. What is left.
    fn messages<'a>(&mut self, mut bytes: &'a [u8], now: Option<Duration>) -> &'a [u8] {
        while let Some((prefix, rest)) = bytes.split_first_chunk::<5>() {
            let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
            let Some((message, rest)) = rest.split_at_checked(length) else { break };
            self.response(message, now);
            bytes = rest;
        }
        bytes
    }

    fn response(&mut self, message: &[u8], now: Option<Duration>) {
        wire::fields(message, |number, field| match (number, field) {
            (3, wire::Field::Number(1)) => self.created += 1,
            (11, wire::Field::Bytes(event)) => {
                let value = wire::bytes_field(event, 2).and_then(|kv| wire::bytes_field(kv, 5));
                let sent =
                    value.and_then(|value| value.first_chunk()).map(|bytes| u64::from_be_bytes(*bytes));
                if let (Some(sent), Some(now)) = (sent, now) {
                    self.latencies.add(now.saturating_sub(Duration::from_nanos(sent)));
                }
            }
            _ => {}
        });
    }
}
