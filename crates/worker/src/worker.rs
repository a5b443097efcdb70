use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chain::Address;
use parking_lot::RwLock;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::agent::{Agent, Failure, Outcome, Phase, Settings, Step};
use crate::chain_source::ChainSource;
use crate::evidence::Evidence;
use crate::gateway::Trust;
use crate::holder_key::HolderKey;
use crate::metrics::Metrics;
use crate::node_agent::{NodeAgent, NodeStatus, StopReason};
use crate::rewards::{Watch, keep_looking};
use crate::server::{self, Shown};
use crate::shell::{Memory, Shell};
use crate::statements::{self, Statements};
use crate::status::snapshot;
use crate::tunnel::TunnelKeeper;
use crate::usage::Usage;
use crate::{Config, WorkerError, clock, node_password};

/// The status is looked at anew at least this often, whatever happens.
const STATUS_INTERVAL_MS: u64 = 1_000;
/// How long the node agent may take to say how it is.
const NODE_STATUS_TIMEOUT: Duration = Duration::from_secs(1);
/// How long the node agent may take to stop when the worker ends.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A worker whose API's port is bound.
pub struct Worker {
    driver: Driver,
    listener: TcpListener,
}

impl Worker {
    /// Checks the configuration, opens the keys and binds the API's port.
    ///
    /// # Errors
    ///
    /// What only a person can mend: a bad configuration, an unreadable key, a taken port.
    pub async fn bind(
        config: Config,
        chain: Arc<dyn ChainSource>,
        node: Arc<dyn NodeAgent>,
    ) -> Result<Self, WorkerError> {
        config.validate().map_err(WorkerError::Config)?;
        let state_dir = |source| WorkerError::StateDir { path: config.state_dir.clone(), source };
        std::fs::create_dir_all(&config.state_dir).map_err(state_dir)?;
        let node_password = node_password::open_or_create(&config.state_dir).map_err(state_dir)?;
        let holder = HolderKey::open(&config.holder_key)?;
        let trust = Trust::read(&config.attestation, config.allow_simulated)?;
        let evidence = Evidence::open(&config, &*node)?.map(Arc::new);
        let address = config.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|source| WorkerError::Listen { address, source })?;

        let agent = Agent::new(Settings {
            holder_key: holder.public_key(),
            chain_poll_ms: config.chain_poll_ms,
            heartbeat_ms: config.heartbeat_ms,
            backoff: config.backoff(),
            shows_evidence: evidence.is_some(),
            can_renew_token: chain.can_renew_token(),
            seed: clock::now_ms() ^ u64::from(std::process::id()),
        });
        let (cluster, token) = (Address::new(config.cluster_id.0), Address::new(config.token_id.0));
        let rewards = Watch::new(config.token_id.0, config.rewards_poll_ms, clock::now_ms());
        let shell = Shell {
            instance: statements::instance()?,
            statements: Statements::new(cluster, token).into(),
            config,
            chain,
            node,
            holder: RwLock::new(Arc::new(holder)),
            node_password,
            trust,
            evidence,
            tunnel: TunnelKeeper::new(),
            rewards: rewards.into(),
            memory: Memory::default().into(),
        };
        let metrics = Metrics::new(&shell.tunnel.counts);
        let first = snapshot(&agent, &shell, &NodeStatus::default(), clock::now_ms());
        let driver = Driver {
            shell: Arc::new(shell),
            agent,
            status: watch::Sender::new(first),
            metrics: Arc::new(metrics),
            phase: None,
            node_ready: false,
            logged: HashMap::new(),
        };
        Ok(Self { driver, listener })
    }

    /// Where the API listens.
    pub fn local_addr(&self) -> std::io::Result<std::net::SocketAddr> {
        self.listener.local_addr()
    }

    /// The status as it changes.
    pub fn subscribe(&self) -> watch::Receiver<api::WorkerStatus> {
        self.driver.status.subscribe()
    }

    /// Serves the API, joins, and keeps the membership alive until `shutdown`; then stops the node agent.
    ///
    /// A cluster that is not there, not trusted or does not want this worker is no error: the API says
    /// so, and the worker goes on trying.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), WorkerError> {
        let Self { mut driver, listener } = self;
        let usage =
            Usage { state_dir: driver.shell.config.state_dir.clone(), cgroup: driver.shell.node.cgroup() };
        let shown = Shown { status: driver.status.subscribe(), metrics: Arc::clone(&driver.metrics), usage };
        let api_shutdown = CancellationToken::new();
        let api = tokio::spawn(server::serve(listener, shown, api_shutdown.clone()));
        let (shell, over) = (Arc::clone(&driver.shell), shutdown.child_token());
        let tunnel = tokio::spawn(async move {
            let node = Arc::clone(&shell.node);
            shell.tunnel.run(node, shell.config.backoff(), over).await;
        });
        let (shell, over) = (Arc::clone(&driver.shell), shutdown.child_token());
        let rewards = tokio::spawn(async move { keep_looking(&shell, over).await });
        let driven = driver.drive(&shutdown).await;
        rewards.abort();
        // What goes through it belongs to a node that is stopped now.
        tunnel.abort();
        match tokio::time::timeout(STOP_TIMEOUT, driver.shell.node.stop(StopReason::Shutdown)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = crate::with_causes(&error), "cannot stop the node agent");
            }
            Err(_) => tracing::warn!("the node agent did not stop in {} s", STOP_TIMEOUT.as_secs()),
        }
        api_shutdown.cancel();
        api.await.map_err(WorkerError::Internal)?;
        driven
    }
}

/// Starts what the agent asks for, reports what came out, and shows where it stands.
struct Driver {
    shell: Arc<Shell>,
    agent: Agent,
    status: watch::Sender<api::WorkerStatus>,
    metrics: Arc<Metrics>,
    phase: Option<Phase>,
    /// Whether the node was ready at the last look.
    node_ready: bool,
    /// The failure of each step that was logged last, so that a lasting one is said once.
    logged: HashMap<&'static str, Failure>,
}

impl Driver {
    async fn drive(&mut self, shutdown: &CancellationToken) -> Result<(), WorkerError> {
        let mut under_way = JoinSet::new();
        loop {
            for step in self.agent.poll(clock::now_ms()) {
                let shell = Arc::clone(&self.shell);
                under_way.spawn(async move {
                    let result = shell.perform(&step).await;
                    (step, result)
                });
            }
            self.shell.keep_only(self.agent.session());
            self.publish().await;
            let now_ms = clock::now_ms();
            let wait_ms = self.agent.wake_at_ms(now_ms).saturating_sub(now_ms).min(STATUS_INTERVAL_MS);
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Ok(()),
                Some(ended) = under_way.join_next() => {
                    let (step, result) = ended.map_err(WorkerError::Internal)?;
                    self.report(&step, result);
                }
                () = tokio::time::sleep(Duration::from_millis(wait_ms)) => {}
            }
        }
    }

    fn report(&mut self, step: &Step, result: Result<Outcome, Failure>) {
        self.metrics.step(step, &result);
        let name = step.name();
        match &result {
            Ok(_) => {
                if self.logged.remove(name).is_some() {
                    tracing::info!(step = name, "works again");
                }
            }
            Err(failure) if self.logged.get(name) == Some(failure) => {
                tracing::debug!(step = name, reason = failure.reason, "failed again");
            }
            Err(failure) => {
                tracing::warn!(step = name, reason = failure.reason, "{}", failure.message);
                self.logged.insert(name, failure.clone());
            }
        }
        // A rotated key counts together with the look at the chain that named it, and not before: beside the view until then it would be
        // somebody else's.
        if matches!(step, Step::ReadChain) {
            self.agent.holds(self.shell.holder().public_key());
        }
        self.agent.done(clock::now_ms(), step, result);
    }

    async fn publish(&mut self) {
        let node = tokio::time::timeout(NODE_STATUS_TIMEOUT, self.shell.node.status()).await;
        let node = node.unwrap_or_else(|_| NodeStatus {
            ready: false,
            reason: Some("the node agent does not answer".to_owned()),
            pods: 0,
        });
        let now_ms = clock::now_ms();
        if self.node_ready != node.ready {
            self.node_ready = node.ready;
            self.agent.node_changed(now_ms);
        }
        let phase = self.agent.phase(now_ms);
        let status = snapshot(&self.agent, &self.shell, &node, now_ms);
        if self.phase != Some(phase) {
            let why = status.problem.as_ref().map(|problem| problem.message.as_str());
            tracing::info!(phase = phase.as_str(), node = status.node_name, why, "worker");
            self.phase = Some(phase);
        }
        self.metrics.status(phase, &status);
        self.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }
}
