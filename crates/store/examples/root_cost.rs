//! What the state root costs beside puts: processor time of this process for the same puts, without a root and with one
//! every second. Run with `cargo run --release -p store --example root_cost`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use store::proto::PutRequest;
use store::{Config, Store};

const PUTS: usize = 400_000;
const CLIENTS: usize = 100;
/// Clock ticks of `/proc/self/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    for keys in [10_000, 400_000] {
        let mut ways = [Vec::new(), Vec::new()];
        for round in 0..6 {
            let rooted = round % 2 == 1;
            ways[usize::from(rooted)].push(puts(keys, rooted).await?);
        }
        let [without, with] = ways.map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[1]
        });
        let more = 100.0 * (with / without - 1.0);
        println!(
            "{keys} keys, {CLIENTS} clients: {without:.1} µs a put, {with:.1} with a root a second ({more:+.1} %)"
        );
    }
    let (store, _dir) = open()?;
    for keys in [10_000, 100_000, 1_000_000] {
        write(&store, keys, keys, CLIENTS).await?;
        let began = Instant::now();
        store.state_root_at(store.revision())?;
        println!("{keys} keys: {:.0} ms for a root made from history", began.elapsed().as_secs_f64() * 1e3);
        store.state_root();
        let mut took = Vec::new();
        for _ in 0..20 {
            write(&store, 1_000, keys, CLIENTS).await?;
            let began = Instant::now();
            store.state_root();
            took.push(began.elapsed().as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        println!("{keys} keys: {:.2} ms for the root after 1,000 puts", took[10]);
    }
    Ok(())
}

fn open() -> Result<(Store, tempfile::TempDir), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let mut config = Config::new(dir.path(), tee::SealingKey::from_bytes([7; 32]));
    config.quota_bytes = 16 << 30;
    Ok((Store::open(config)?, dir))
}

/// Microseconds of processor time a put.
async fn puts(keys: usize, rooted: bool) -> Result<f64, Box<dyn std::error::Error>> {
    let (store, _dir) = open()?;
    write(&store, keys, keys, CLIENTS).await?;
    if rooted {
        store.state_root();
    }
    let before = cpu()?;
    let asking = rooted.then(|| tokio::spawn(ask(store.clone())));
    write(&store, PUTS, keys, CLIENTS).await?;
    // What was put off counts.
    if let Some(asking) = asking {
        asking.abort();
        store.state_root();
    }
    Ok((cpu()? - before) * 1e6 / PUTS as f64)
}

/// A root every second.
async fn ask(store: Store) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let store = store.clone();
        let _root = tokio::task::spawn_blocking(move || store.state_root()).await;
    }
}

async fn write(
    store: &Store,
    puts: usize,
    keys: usize,
    clients: usize,
) -> Result<(), Box<dyn std::error::Error>> {
    let writers = (0..clients).map(|client| {
        let store = store.clone();
        tokio::spawn(async move {
            for at in (client..puts).step_by(clients) {
                // Spread over all keys, and 1 KiB as in the benchmark.
                let key = format!("/registry/benchmark/{:042}", at.wrapping_mul(2_654_435_761) % keys);
                let value = vec![at as u8; 1024];
                store
                    .put(PutRequest { key: key.into(), value: value.into(), ..PutRequest::default() })
                    .await?;
            }
            Ok::<_, store::EtcdError>(())
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer??;
    }
    Ok(())
}

/// Processor time of this process so far, seconds.
fn cpu() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after = stat.rsplit_once(')').ok_or("no name in stat")?.1;
    let ticks = |at: usize| after.split_whitespace().nth(at).and_then(|text| text.parse::<f64>().ok());
    Ok((ticks(11).ok_or("no utime")? + ticks(12).ok_or("no stime")?) / TICKS_PER_SECOND)
}
