//! The workers: each has a TLS connection of its own and sends a signed heartbeat every interval.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use api::{Heartbeat, Instance, NodeMetrics};
use ed25519_dalek::Signer;
use rustls::ClientConfig;
use seal_token::{Claims, Proof};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{Worker, World, now_ms};

/// A heartbeat that takes longer is missed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Load {
    workers: Vec<Arc<Agent>>,
    interval: Duration,
}

struct Agent {
    worker: Worker,
    tls: Arc<ClientConfig>,
    address: String,
    cluster: chain::Address,
    ca_hash: [u8; 32],
    started_ms: u64,
    connection: tokio::sync::Mutex<Option<TlsStream<TcpStream>>>,
}

#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) accepted: usize,
    pub(crate) missed: usize,
    pub(crate) elapsed: Duration,
    pub(crate) failures: BTreeMap<String, usize>,
    latencies_us: Vec<u64>,
}

impl Measured {
    /// Milliseconds.
    pub(crate) fn quantile(&self, q: f64) -> f64 {
        let last = self.latencies_us.len().saturating_sub(1);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "q is 0 to 1")]
        let at = (last as f64 * q).round() as usize;
        self.latencies_us.get(at).copied().unwrap_or(0) as f64 / 1000.0
    }
}

impl Load {
    pub(crate) async fn new(world: &World, workers: Vec<Worker>, interval: Duration) -> anyhow::Result<Self> {
        let tls = Arc::new(trusting(world).await?);
        let agent = |worker| {
            Arc::new(Agent {
                worker,
                tls: tls.clone(),
                address: world.config.listen.to_string(),
                cluster: world.cluster,
                ca_hash: world.ca_hash,
                started_ms: now_ms(),
                connection: tokio::sync::Mutex::new(None),
            })
        };
        Ok(Self { workers: workers.into_iter().map(agent).collect(), interval })
    }

    /// One heartbeat of each, spread over an interval: handshakes are paid here.
    pub(crate) async fn warm_up(&self) {
        self.measure(self.interval).await;
    }

    pub(crate) async fn measure(&self, length: Duration) -> Measured {
        let begin = tokio::time::Instant::now();
        let (end_sender, end) = watch::channel(());
        let mut tasks = Vec::with_capacity(self.workers.len());
        for (n, agent) in self.workers.iter().enumerate() {
            let (agent, interval, end) = (agent.clone(), self.interval, end.clone());
            let phase = interval.mul_f64(n as f64 / self.workers.len() as f64);
            tasks.push(tokio::spawn(async move {
                let _end = end;
                let mut results = Vec::new();
                let mut due = phase;
                while due < length {
                    sleep_until(begin + due).await;
                    let started = Instant::now();
                    results.push((agent.beat().await, started.elapsed()));
                    due += interval;
                }
                results
            }));
        }
        drop(end_sender);
        let mut measured = Measured::default();
        for task in tasks {
            for (result, took) in task.await.unwrap_or_default() {
                match result {
                    Ok(()) => {
                        measured.accepted += 1;
                        measured.latencies_us.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
                    }
                    Err(error) => {
                        measured.missed += 1;
                        *measured.failures.entry(error.to_string()).or_default() += 1;
                    }
                }
            }
        }
        measured.elapsed = begin.elapsed().max(length);
        measured.latencies_us.sort_unstable();
        measured
    }
}

impl Agent {
    async fn beat(&self) -> anyhow::Result<()> {
        let request = self.request()?;
        let answer = timeout(PATIENCE, async {
            let mut connection = self.connection.lock().await;
            let mut stream = match connection.take() {
                Some(stream) => stream,
                None => connect(&self.tls, &self.address).await?,
            };
            stream.write_all(&request).await?;
            let answer = read(&mut stream).await?;
            *connection = Some(stream);
            anyhow::Ok(answer)
        });
        let answer = answer.await.context("no answer in time")??;
        let first = answer.lines().next().unwrap_or_default();
        ensure!(first.starts_with("HTTP/1.1 200"), "{first}: {}", answer.lines().last().unwrap_or_default());
        Ok(())
    }

    fn request(&self) -> anyhow::Result<Vec<u8>> {
        let now_ms = now_ms();
        let mut beat = Heartbeat {
            node_name: self.worker.name.clone(),
            timestamp_ms: now_ms,
            ready: true,
            reason: None,
            metrics: NodeMetrics { cpu_cores: 4, pods: 10, memory_bytes: 8 << 30, ..NodeMetrics::default() },
            instance: Instance { id: "0d".repeat(16), started_ms: self.started_ms },
            signature: None,
        };
        let statement = chain::NodeStatement {
            cluster: self.cluster,
            token: self.worker.token,
            subject: beat.subject(),
            sequence: now_ms,
            digest: beat.digest().to_vec(),
        };
        let signature = self.worker.key.sign(&statement.message(now_ms)?);
        beat.signature = Some(hex::encode(signature.to_bytes()));
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&now_ms.to_le_bytes());
        let claims = Claims {
            version: seal_token::VERSION,
            token_id: self.worker.token.into_inner(),
            seal: self.worker.seal,
            audience: self.ca_hash,
            not_before_ms: now_ms - 5_000,
            not_after_ms: now_ms + 55_000,
            nonce,
        };
        let proof = Proof::mint(&self.worker.key, claims);
        let body = serde_json::to_string(&beat)?;
        Ok(format!(
            "POST /api/v1/nodes/heartbeat HTTP/1.1\r\nHost: master\r\nAuthorization: Bearer {proof}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes())
    }
}

/// Asks once, over a connection of its own; gives the whole answer.
pub(crate) async fn get(world: &World, path: &str) -> anyhow::Result<String> {
    let tls = Arc::new(trusting(world).await?);
    let mut stream = connect(&tls, &world.config.listen.to_string()).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: master\r\n\r\n").as_bytes()).await?;
    read(&mut stream).await
}

async fn connect(tls: &Arc<ClientConfig>, address: &str) -> anyhow::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(TlsConnector::from(tls.clone()).connect("localhost".try_into()?, stream).await?)
}

/// One answer with a length.
async fn read(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<String> {
    let mut bytes = Vec::with_capacity(512);
    loop {
        ensure!(stream.read_buf(&mut bytes).await? > 0, "the master closed the connection");
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Ok(text.into_owned());
        }
    }
}

/// TLS under the CA of this master, which lies on the same disk.
async fn trusting(world: &World) -> anyhow::Result<ClientConfig> {
    let ca =
        std::fs::read_to_string(world.ca_file()).context("the control plane has not written its CA yet")?;
    Ok(engine::tls::client(&ca, None)?)
}
