//! Lists as kube-apiserver makes them: page after page, all at the revision of the first.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{key, kinds, takes_part};
use crate::grpc::{self, Connection};
use crate::lean::{self, Load};
use crate::result::{Goal, Measured};
use crate::server::{Kind, Server};
use crate::settings::Settings;
use crate::stats::Latencies;
use crate::wire::{self, Field};

const KEYS: u64 = 10_000;
const PAGE: u64 = 500;
/// Of all clients together, in one run.
const LISTS: usize = 80;

pub(super) async fn measure(settings: &Settings) -> anyhow::Result<Measured> {
    let servers = Server::start_all(&kinds(settings, true), settings).await?;
    for server in &servers {
        let load =
            Load { address: server.address, path: grpc::PUT, connections: 4, clients: 40, total: KEYS };
        lean::closed_loop(load, |number| wire::put(&key(number), &[7; 1024])).await?;
        lists(server.address, 4, 4).await?;
    }
    let mut measured = Measured::default();
    for run in 0..settings.runs {
        for clients in [1, 4] {
            for server in servers.iter().filter(|server| takes_part(server.kind, run)) {
                server.settled().await?;
                let total = if server.kind == Kind::Kine { LISTS / 10 } else { LISTS };
                let before = server.usage()?;
                let (seconds, mut pages) = lists(server.address, clients, total).await?;
                let used = server.usage()? - before;
                let [p50, p99] = pages.percentiles([50.0, 99.0]);
                let goal = Some(Goal::RatioAtLeast(2.0));
                let mut add = |name: &str, unit: &str, goal, value| {
                    let clients =
                        if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
                    measured.add(server.kind, &format!("{name}, {clients}"), unit, goal, value);
                };
                add("lists", "per s", goal, total as f64 / seconds);
                add("p50 of a page", "ms", None, p50);
                add("p99 of a page", "ms", None, p99);
                add("server CPU per list", "ms", None, used.cpu / total as f64 * 1e3);
            }
        }
    }
    Ok(measured)
}

/// Seconds for all lists, and how long each page took.
async fn lists(address: SocketAddr, clients: usize, total: usize) -> anyhow::Result<(f64, Latencies)> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address, grpc::RANGE).await?);
    }
    let pages = RefCell::new(Latencies::default());
    let started = Instant::now();
    let tasks = tokio::task::LocalSet::new();
    let pages = std::rc::Rc::new(pages);
    let running: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let pages = std::rc::Rc::clone(&pages);
            tasks.spawn_local(async move {
                for _ in 0..total / clients {
                    list(&mut connection, |took| pages.borrow_mut().add(took)).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    tasks.await;
    let seconds = started.elapsed().as_secs_f64();
    for list in running {
        list.await??;
    }
    let pages = pages.take();
    Ok((seconds, pages))
}

async fn list(connection: &mut Connection, mut page_took: impl FnMut(Duration)) -> anyhow::Result<()> {
    let (mut start, end) = (b"/bench/".to_vec(), b"/bench0");
    let (mut revision, mut seen) = (0, 0);
    loop {
        let started = Instant::now();
        let answer = lean::unary(connection, &wire::range_page(&start, end, PAGE, revision)).await?;
        page_took(started.elapsed());
        let page = Page::read(&answer);
        seen += page.keys;
        if !page.more {
            ensure!(seen == KEYS, "the list has {seen} keys instead of {KEYS}");
            return Ok(());
        }
        ensure!(page.keys == PAGE, "a page has {} keys instead of {PAGE}", page.keys);
        if revision == 0 {
            revision = page.revision;
        }
        start = page.last_key;
        start.push(0);
    }
}

/// What a list needs to know of a `RangeResponse`.
#[derive(Default)]
struct Page {
    revision: u64,
    keys: u64,
    last_key: Vec<u8>,
    more: bool,
}

impl Page {
    fn read(message: &[u8]) -> Self {
        let mut page = Self::default();
        let mut last = None;
        wire::fields(message, |number, field| match (number, field) {
            (1, Field::Bytes(header)) => page.revision = wire::number_field(header, 3),
            (2, Field::Bytes(kv)) => {
                page.keys += 1;
                last = Some(kv);
            }
            (3, Field::Number(more)) => page.more = more == 1,
            _ => {}
        });
        page.last_key = last.and_then(|kv| wire::bytes_field(kv, 1)).unwrap_or_default().to_vec();
        page
    }
}
