//! A fake gateway, and stand-ins for the chain and the node's processes, so that only the worker is under
//! test.

mod gateway;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use worker::agent::{Failure, FailureKind, Token, View};
use worker::{
    ChainSource, Config, Epoch, HolderKey, NodeAgent, NodeAgentError, NodeBundle, NodeStatus, ObjectId,
    PostedShare, Reach, StopReason,
};

pub use gateway::{Fault, Gateway, Running, start, start_at};

pub const TOKEN_ID: [u8; 32] = [0x70; 32];
pub const SEAL: [u8; 32] = [0x5e; 32];

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A chain that says what the test wants.
pub struct Chain {
    pub view: Mutex<View>,
    pub up: Mutex<bool>,
    pub renewals: Mutex<u32>,
    /// What it has of the epoch that was asked about last.
    pub epoch: Mutex<Option<Epoch>>,
    pub asked: Mutex<Option<PostedShare>>,
}

#[async_trait]
impl ChainSource for Chain {
    fn url(&self) -> &str {
        "http://chain.test:9000"
    }

    fn can_renew_token(&self) -> bool {
        true
    }

    async fn view(&self) -> Result<View, Failure> {
        if *self.up.lock() { Ok(self.view.lock().clone()) } else { Err(chain_down()) }
    }

    async fn epoch(&self, share: &PostedShare) -> Result<Option<Epoch>, Failure> {
        if !*self.up.lock() {
            return Err(chain_down());
        }
        *self.asked.lock() = Some(share.clone());
        Ok(*self.epoch.lock())
    }

    async fn renew_token(&self) -> Result<(), Failure> {
        if !*self.up.lock() {
            return Err(chain_down());
        }
        *self.renewals.lock() += 1;
        if let Some(token) = &mut self.view.lock().token {
            token.expires_ms = now_ms() + token.lifetime_ms;
        }
        Ok(())
    }
}

impl Chain {
    pub fn new(view: View) -> Self {
        Self {
            view: view.into(),
            up: true.into(),
            renewals: 0.into(),
            epoch: None.into(),
            asked: None.into(),
        }
    }
}

fn chain_down() -> Failure {
    Failure {
        kind: FailureKind::Unreachable,
        reason: "chain_unreachable".to_owned(),
        message: "the chain does not answer".to_owned(),
    }
}

/// Node processes that only remember.
#[derive(Default)]
pub struct Node {
    pub fails: Mutex<bool>,
    pub bundles: Mutex<Vec<NodeBundle>>,
    pub stops: Mutex<Vec<StopReason>>,
    pub running: Mutex<bool>,
    /// Where the master is led to as the kubelet.
    pub kubelet: Mutex<Option<SocketAddr>>,
    /// Whether it joins the gateway itself.
    pub joins: Mutex<bool>,
    /// Gateway and token of each invitation.
    pub invitations: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl NodeAgent for Node {
    async fn start(&self, bundle: NodeBundle) -> Result<(), NodeAgentError> {
        if *self.fails.lock() {
            let cause: Box<dyn std::error::Error + Send + Sync> = "containerd is not installed".into();
            return Err(cause.into());
        }
        self.bundles.lock().push(bundle);
        *self.running.lock() = true;
        Ok(())
    }

    async fn stop(&self, reason: StopReason) -> Result<(), NodeAgentError> {
        self.stops.lock().push(reason);
        *self.running.lock() = false;
        Ok(())
    }

    async fn status(&self) -> NodeStatus {
        let ready = *self.running.lock();
        NodeStatus { ready, reason: (!ready).then(|| "not started".to_owned()), pods: 2 }
    }

    fn joins_itself(&self) -> bool {
        *self.joins.lock()
    }

    async fn invite(&self, gateway: &str, token: &str) -> Result<(), NodeAgentError> {
        self.invitations.lock().push((gateway.to_owned(), token.to_owned()));
        Ok(())
    }

    async fn reach(&self) -> Option<Reach> {
        let kubelet = *self.kubelet.lock();
        kubelet.map(|kubelet| Reach { kubelet, pods: None })
    }
}

/// A worker that runs against a fake gateway.
pub struct Bench {
    pub gateway: Arc<Gateway>,
    pub chain: Arc<Chain>,
    pub node: Arc<Node>,
    pub api: SocketAddr,
    pub status: tokio::sync::watch::Receiver<api::WorkerStatus>,
    pub shutdown: tokio_util::sync::CancellationToken,
    pub task: JoinHandle<Result<(), worker::WorkerError>>,
    pub dir: tempfile::TempDir,
}

pub fn token(holder: &HolderKey) -> Token {
    Token {
        stake_id: [0x57; 32],
        node_name: "worker-1".to_owned(),
        public_key: holder.public_key(),
        seal: SEAL,
        expires_ms: now_ms() + 3_600_000,
        lifetime_ms: 3_600_000,
        revoked: false,
        stake_covers_tier: true,
        stake: Some(api::StakeStatus { mist: 100, locked_until_ms: 5_000, ..api::StakeStatus::default() }),
    }
}

pub fn worker_config(dir: &Path) -> Config {
    Config {
        state_dir: dir.join("state"),
        holder_key: dir.join("holder.pem"),
        cluster_id: ObjectId([0xc1; 32]),
        token_id: ObjectId(TOKEN_ID),
        node_ip: Ipv4Addr::LOCALHOST.into(),
        listen: (Ipv4Addr::LOCALHOST, 0).into(),
        allow_simulated: true,
        attestation: tee::TrustFiles::default(),
        tee: worker::TeeConfig::default(),
        chain_poll_ms: 100,
        heartbeat_ms: 500,
        proof_window_ms: 60_000,
        rewards_poll_ms: 100,
        retry_min_ms: 50,
        retry_max_ms: 200,
    }
}

impl Bench {
    /// Starts a worker against `running`, after `prepare` had its way with chain and node.
    pub async fn start(
        make: impl FnOnce(&Config, &Arc<Gateway>, &Arc<Chain>, &Arc<Node>) -> Config,
        fault: Fault,
    ) -> (Self, Running) {
        let dir = tempfile::tempdir().unwrap();
        let config = worker_config(dir.path());
        let holder = HolderKey::open_or_create(&config.holder_key).unwrap();
        let gateway = Gateway::new(holder.public_key());
        gateway.set(fault);
        let running = start(&gateway).await;
        let view = View { target: Ok(gateway.target(running.address)), token: Some(token(&holder)) };
        let chain = Arc::new(Chain::new(view));
        let node = Arc::new(Node::default());
        let config = make(&config, &gateway, &chain, &node);
        let worker = worker::Worker::bind(
            config,
            Arc::clone(&chain) as Arc<dyn ChainSource>,
            Arc::clone(&node) as Arc<dyn NodeAgent>,
        )
        .await
        .unwrap();
        let (api, status) = (worker.local_addr().unwrap(), worker.subscribe());
        let shutdown = tokio_util::sync::CancellationToken::new();
        let task = tokio::spawn(worker.run(shutdown.clone()));
        (Self { gateway, chain, node, api, status, shutdown, task, dir }, running)
    }

    /// Waits for a status that fits, or fails with the last one.
    pub async fn wait(&mut self, what: &str, fits: impl Fn(&api::WorkerStatus) -> bool) -> api::WorkerStatus {
        let mut status = self.status.clone();
        let found =
            tokio::time::timeout(Duration::from_secs(20), status.wait_for(|status| fits(status))).await;
        match found {
            Ok(status) => status.unwrap().clone(),
            Err(_) => panic!("never {what}: {:#?}", self.status.borrow().clone()),
        }
    }

    pub async fn phase(&mut self, phase: &str) -> api::WorkerStatus {
        self.wait(phase, |status| status.phase == phase).await
    }

    /// Waits until `condition` holds, or fails.
    pub async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if condition(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {what}");
    }

    /// One GET of the worker's API: status and body.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nhost: worker\r\nconnection: close\r\n\r\n");
        exchange(self.api, request.as_bytes()).await
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// Sends raw bytes and reads until the other side closes: status (0 when none came) and body.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
    // A reset after the answer is an end like any other.
    let _ = read.expect("the connection was never closed");
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}
