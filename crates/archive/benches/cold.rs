//! What snapshots of a large state cost: `cargo bench -p archive --bench cold [-- KEYS]` (1,000,000 keys of 1 KiB).
//! Prints lines of a Markdown table. Values are random printable text, which compresses little: objects of Kubernetes do better.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and its output is the result"
)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use archive::cold::{ColdKeys, ColdStore, Directory, Entry, Fetched, Spool, Taking};
use futures::StreamExt as _;
use futures::stream;
use rand::Rng as _;
use store::proto::PutRequest;
use store::{Config, Store};
use tee::SealingKey;

const VALUE: usize = 1_024;
const CLUSTER: [u8; 32] = [1; 32];

fn main() {
    let keys = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000);
    tokio::runtime::Runtime::new().unwrap().block_on(run(keys));
}

async fn run(keys: usize) {
    let home = tempfile::tempdir_in(std::env::var("BENCH_DIR").unwrap_or(".".to_owned())).unwrap();
    let config = |name: &str| {
        let mut config = Config::new(home.path().join(name), SealingKey::from_bytes([2; 32]));
        config.quota_bytes = 16 << 30;
        config
    };
    let store = Store::open(config("store")).unwrap();
    write(&store, 0..keys).await;
    let raw = (keys * (VALUE + key(0).len())) as f64;
    row("state, keys and values", &format!("{:.0} MiB", raw / MIB));
    row("resident with it", &format!("{:.0} MiB", resident("VmRSS")));

    let quiet = puts(&store, &AtomicBool::new(true), Duration::from_secs(10)).await;
    let place = Directory::open(home.path().join("cold")).unwrap();
    let busy = Arc::new(AtomicBool::new(true));
    let writer = tokio::spawn({
        let (store, busy) = (store.clone(), busy.clone());
        async move { puts(&store, &busy, Duration::from_secs(600)).await }
    });
    let (before, raw_before) = (reset_peak(), used(&store));
    let (took, base) = snapshot(&store, home.path(), &place, None).await;
    busy.store(false, Ordering::Relaxed);
    let during = writer.await.unwrap();
    row("base: taken and stored", &format!("{took:.1} s"));
    row("base: bytes", &format!("{:.0} MiB", base.link.bytes as f64 / MIB));
    // What was put meanwhile is state.
    let over = resident("VmHWM") - before - (used(&store) - raw_before);
    row("base: memory besides", &format!("{over:.0} MiB, {:.1} % of the state", over * MIB / raw * 100.0));
    let after = puts(&store, &AtomicBool::new(true), Duration::from_secs(10)).await;
    for (when, puts) in [("nothing else", &quiet), ("meanwhile", &during), ("afterwards", &after)] {
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(puts, share));
        let ratio = p99 / percentile(&quiet, 0.99);
        row(
            &format!("put, p99, {when}"),
            &format!("{p99:.2} ms, {ratio:.2}× (p50 {p50:.2}, p99.9 {p999:.2})"),
        );
    }

    own_snapshots(&store, &quiet).await;

    write(&store, 0..keys / 100).await;
    let (took, delta) = snapshot(&store, home.path(), &place, Some(&base)).await;
    row("changes of 1 %: taken and stored", &format!("{took:.2} s"));
    let share = delta.link.bytes as f64 / base.link.bytes as f64 * 100.0;
    row(
        "changes of 1 %: bytes",
        &format!("{:.1} MiB, {share:.1} % of the base", delta.link.bytes as f64 / MIB),
    );
    let hash = store.hash_kv(0).unwrap();
    store.close();
    drop(store);

    let began = Instant::now();
    let dir = home.path().join("fetched");
    let fetched =
        Fetched::chain(&place, &delta.link.last.name, &CLUSTER, &cold_keys(), &dir, |_| ()).await.unwrap();
    fetched.restore(&config("restored"), None).unwrap();
    row("restore: fetched and written", &format!("{:.1} s", began.elapsed().as_secs_f64()));
    let restored = Store::open(config("restored")).unwrap();
    row("restore: until it serves", &format!("{:.1} s", began.elapsed().as_secs_f64()));
    assert_eq!(restored.hash_kv(0).unwrap(), hash);
    restored.close();
}

/// What puts wait for while the store writes its own snapshots: the one that cuts its log, and the one that `etcdctl` saves.
async fn own_snapshots(store: &Store, quiet: &[f64]) {
    for what in ["cuts the log", "is saved by etcdctl"] {
        let busy = Arc::new(AtomicBool::new(true));
        let writer = tokio::spawn({
            let (store, busy) = (store.clone(), busy.clone());
            async move { puts(&store, &busy, Duration::from_secs(600)).await }
        });
        let began = Instant::now();
        if what == "cuts the log" {
            store.defragment().await.unwrap();
        } else {
            drop(store.snapshot().await.unwrap());
        }
        let took = began.elapsed().as_secs_f64();
        busy.store(false, Ordering::Relaxed);
        let during = writer.await.unwrap();
        let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(&during, share));
        let ratio = p99 / percentile(quiet, 0.99);
        row(
            &format!("put, p99, while a snapshot {what} ({took:.1} s)"),
            &format!("{p99:.2} ms, {ratio:.2}× (p50 {p50:.2}, p99.9 {p999:.2})"),
        );
    }
}

const MIB: f64 = 1_048_576.0;

fn row(what: &str, figure: &str) {
    println!("| {what} | {figure} |");
}

fn cold_keys() -> ColdKeys {
    ColdKeys::new(SealingKey::from_bytes([3; 32]))
}

fn key(number: usize) -> String {
    format!("/registry/things/{number:010}")
}

async fn write(store: &Store, numbers: std::ops::Range<usize>) {
    let puts = stream::iter(numbers).map(|number| {
        let value: Vec<u8> = rand::rng().sample_iter(rand::distr::Alphanumeric).take(VALUE).collect();
        store.put(PutRequest { key: key(number).into(), value: value.into(), ..PutRequest::default() })
    });
    puts.buffer_unordered(1_000).for_each(|put| async { drop(put.unwrap()) }).await;
}

/// Puts at an even pace, a thousand a second, as long as `busy` says and at `most` so long; what each took in milliseconds,
/// shortest first.
async fn puts(store: &Store, busy: &AtomicBool, most: Duration) -> Vec<f64> {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut taken = Vec::new();
    while busy.load(Ordering::Relaxed) && began.elapsed() < most {
        ticks.tick().await;
        let batch = stream::iter(0..10).map(|number| async move {
            let began = Instant::now();
            let put = PutRequest {
                key: format!("/registry/writer/{number}").into(),
                value: vec![b'v'; VALUE].into(),
                ..PutRequest::default()
            };
            store.put(put).await.unwrap();
            began.elapsed().as_secs_f64() * 1_000.0
        });
        taken.extend(batch.buffer_unordered(10).collect::<Vec<_>>().await);
    }
    taken.sort_by(f64::total_cmp);
    taken
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[(sorted.len() as f64 * share) as usize]
}

/// What the store says it holds, MiB.
fn used(store: &Store) -> f64 {
    store.status().used_bytes as f64 / MIB
}

async fn snapshot(store: &Store, home: &Path, place: &Directory, before: Option<&Entry>) -> (f64, Entry) {
    let began = Instant::now();
    let extract = store.extract(before.map(|entry| entry.link.revision)).unwrap();
    let (dir, place, before) = (home.join("spool"), place.clone(), before.cloned());
    let store_id = store.status().store_id;
    let taking = move || {
        let keys = cold_keys();
        let taking = Taking {
            keys: &keys,
            cluster: CLUSTER,
            store_id,
            attachments: Vec::new(),
            before: before.as_ref(),
            now_ms: 1,
            piece_bytes: 32 << 20,
        };
        (Spool::take(&dir, extract, &taking, &place).unwrap(), place)
    };
    let (mut spool, place) = tokio::task::spawn_blocking(taking).await.unwrap();
    let entry = spool.send(&place as &dyn ColdStore, |_| ()).await.unwrap();
    spool.done().unwrap();
    (began.elapsed().as_secs_f64(), entry)
}

/// A line of `/proc/self/status` in MiB.
fn resident(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1_024.0
}

/// Forgets the highest resident size so far; gives the one now.
fn reset_peak() -> f64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    resident("VmRSS")
}
