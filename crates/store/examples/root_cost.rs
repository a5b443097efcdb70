//! What the state root costs beside puts of 100 clients through etcd's API: processor time of a serving store's thread that makes
//! roots, every second or once when as much is put as in a minute, beside what its other threads take. Run with
//! `cargo run --release -p store --example root_cost`; it starts itself as the server.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints what it measured")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use store::proto::{PutRequest, PutResponse};
use store::{Config, Listener, Server, Store};
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// When a root is made, how many puts are measured, how often. The last is about what a minute brings, which is how often a master
/// posts one at most.
const SCHEDULES: [(&str, Duration, usize, usize); 2] = [
    ("a root a second", Duration::from_secs(1), 400_000, 3),
    ("one root after 2,400,000 puts", Duration::MAX, 2_400_000, 1),
];
const CLIENTS: usize = 100;
const CONNECTIONS: usize = 10;
/// Clock ticks of `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

/// Of the server, microseconds of processor time a put.
struct Cost {
    /// Of the thread that makes roots.
    roots: f64,
    /// Of all others.
    rest: f64,
    /// How long all puts took.
    seconds: f64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match std::env::args().nth(1) {
        Some(dir) => serve(Path::new(&dir)).await,
        None => run().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    for keys in [10_000, 400_000] {
        for (when, every, puts, rounds) in SCHEDULES {
            for _ in 0..rounds {
                let cost = cost(keys, every, puts).await?;
                println!(
                    "{keys} keys, {when}: {:.2} µs for roots beside {:.2} for all else of a put, {:.1} %; {:.1} s",
                    cost.roots,
                    cost.rest,
                    100.0 * cost.roots / cost.rest,
                    cost.seconds
                );
            }
        }
    }
    let dir = tempfile::tempdir()?;
    let store = open(dir.path())?;
    for keys in [10_000, 100_000, 1_000_000] {
        for first in (0..keys).step_by(CLIENTS) {
            let group = (first..first + CLIENTS).map(|at| store.put(request(at, keys)));
            futures::future::try_join_all(group).await?;
        }
        let began = Instant::now();
        store.state_root_at(store.revision())?;
        println!("{keys} keys: {:.0} ms for a root made from history", began.elapsed().as_secs_f64() * 1e3);
        let began = Instant::now();
        store.state_root();
        println!("{keys} keys: {:.0} ms to follow up to there", began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(())
}

/// The server: serves on loopback, and makes a root for every line it reads.
async fn serve(dir: &Path) -> Result<()> {
    let store = open(dir)?;
    let server = Server::bind(store.clone(), Listener::parse_urls("http://127.0.0.1:0", None)?).await?;
    println!("{}", server.urls().join(","));
    let asked = store.clone();
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        for _line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
            let before = thread_cpu();
            asked.state_root();
            println!("{}", thread_cpu() - before);
        }
        drop(ended);
    });
    server
        .run(async {
            let _ended = end.await;
        })
        .await?;
    store.close();
    Ok(())
}

/// Nanoseconds that this thread ran.
fn thread_cpu() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    stat.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn open(dir: &Path) -> Result<Store> {
    let mut config = Config::new(dir, tee::SealingKey::from_bytes([7; 32]));
    config.quota_bytes = 16 << 30;
    Ok(Store::open(config)?)
}

/// This program as a server.
struct Serving {
    process: Child,
    talk: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    url: String,
    _dir: tempfile::TempDir,
}

impl Serving {
    fn start() -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let mut process = Command::new(std::env::current_exe()?)
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = process.stdin.take().ok_or("no stdin")?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("no stdout")?);
        let mut url = String::new();
        lines.read_line(&mut url)?;
        Ok(Self { process, talk: Mutex::new((stdin, lines)), url: url.trim().to_owned(), _dir: dir })
    }

    /// Has a root made; nanoseconds of processor time that it took.
    fn root(&self) -> Result<u64> {
        let mut talk = self.talk.lock().map_err(|_| "a root failed")?;
        talk.0.write_all(b"root\n")?;
        let mut took = String::new();
        talk.1.read_line(&mut took)?;
        Ok(took.trim().parse()?)
    }

    /// Processor time so far, seconds.
    fn cpu(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let after = stat.rsplit_once(')').ok_or("no name in stat")?.1;
        let ticks = |at: usize| after.split_whitespace().nth(at).and_then(|text| text.parse::<f64>().ok());
        Ok((ticks(11).ok_or("no utime")? + ticks(12).ok_or("no stime")?) / TICKS_PER_SECOND)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn cost(keys: usize, every: Duration, puts: usize) -> Result<Cost> {
    let serving = Arc::new(Serving::start()?);
    write(&serving.url, keys, keys).await?;
    serving.root()?;
    let (before, began) = (serving.cpu()?, Instant::now());
    let made = Arc::new(AtomicU64::new(0));
    let asking = tokio::spawn({
        let (serving, made) = (serving.clone(), made.clone());
        async move {
            loop {
                tokio::time::sleep(every).await;
                let serving = serving.clone();
                if let Ok(Ok(took)) = tokio::task::spawn_blocking(move || serving.root()).await {
                    made.fetch_add(took, Ordering::Relaxed);
                }
            }
        }
    });
    write(&serving.url, puts, keys).await?;
    asking.abort();
    let seconds = began.elapsed().as_secs_f64();
    // What was put off counts.
    let roots = (made.load(Ordering::Relaxed) + serving.root()?) as f64 / 1e3 / puts as f64;
    let all = (serving.cpu()? - before) * 1e6 / puts as f64;
    Ok(Cost { roots, rest: all - roots, seconds })
}

async fn write(url: &str, puts: usize, keys: usize) -> Result<()> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Endpoint::from_shared(url.to_owned())?.connect().await?);
    }
    let writers = (0..CLIENTS).map(|client| {
        let channel = connections[client % CONNECTIONS].clone();
        tokio::spawn(async move {
            let mut grpc = Grpc::new(channel);
            for at in (client..puts).step_by(CLIENTS) {
                put(&mut grpc, request(at, keys)).await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        })
    });
    for writer in futures::future::join_all(writers).await {
        writer??;
    }
    Ok(())
}

/// Spread over all keys, and 1 KiB as in the benchmark.
fn request(at: usize, keys: usize) -> PutRequest {
    let key = format!("/registry/benchmark/{:042}", at.wrapping_mul(2_654_435_761) % keys);
    PutRequest { key: key.into(), value: vec![at as u8; 1024].into(), ..PutRequest::default() }
}

async fn put(grpc: &mut Grpc<Channel>, request: PutRequest) -> Result<()> {
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/etcdserverpb.KV/Put");
    let codec: ProstCodec<PutRequest, PutResponse> = ProstCodec::default();
    grpc.unary(Request::new(request), path, codec).await?;
    Ok(())
}
