use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use api::{MasterStatus, NodeDrain, NodeList, NodeState, NodeSummary, TeeStatus};
use chain::Address;
use custody::Bucket;
use engine::pki::ClusterPki;
use parking_lot::{Mutex, RwLock};
pub(crate) use tee::Clock;
use tee::{Platform, Trusted};
use tokio::sync::Notify;

use crate::Id;
use crate::attestations::Workers;
use crate::attesting::Attester;
use crate::board::Board;
use crate::config::ClusterNetwork;
use crate::gateway::trees::Trees;
use crate::health::{Care, Health, HealthLimits, Saved};
use crate::membership::{
    Limits, Membership, NodeCertificate, Observed, ObservedNode, Refusal, Wanted, attested_value,
};
use crate::metrics::Metrics;
use crate::outbox::Drawer;
use crate::tunnels::{TunnelMetrics, Tunnels};

/// The system's clock; the one place where the master asks for the time.
pub(crate) fn system_clock() -> Clock {
    Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// What the gateway is told once and for all.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) cluster: Address,
    pub(crate) cluster_id: String,
    pub(crate) ca_hash: [u8; 32],
    pub(crate) public_key: [u8; 32],
    pub(crate) kubernetes_version: String,
    /// `host:port` of each apiserver.
    pub(crate) apiservers: Vec<String>,
    /// Port of kube-apiserver, as nodes reach it.
    pub(crate) apiserver_port: u16,
    /// Port of the gateway, as nodes reach it.
    pub(crate) supervisor_port: u16,
    pub(crate) network: ClusterNetwork,
    pub(crate) certificate_lifetime_ms: u64,
}

/// What the gateway and the loops beside it share.
pub(crate) struct Shared {
    pub(crate) facts: Facts,
    pub(crate) clock: Clock,
    pub(crate) membership: RwLock<Membership>,
    pub(crate) health: Mutex<Health>,
    pub(crate) metrics: Metrics,
    pub(crate) board: Arc<Board>,
    pub(crate) pki: Arc<ClusterPki>,
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) attester: Attester,
    /// Lines about credentials that anybody can make up, so that strangers cannot fill the log.
    pub(crate) stranger_lines: Mutex<Bucket>,
    /// Lines about what nodes with a live token do wrong, so that none of them fills the log either.
    pub(crate) node_lines: Mutex<Bucket>,
    /// What the master keeps on disk beside the store; set once at its start.
    pub(crate) ledger: OnceLock<Drawer>,
    /// Public reads of what is kept there, from disk.
    pub(crate) ledger_reads: Mutex<Bucket>,
    /// Public questions about epochs and single shares, most of which are answered from memory.
    pub(crate) ledger_proofs: Mutex<Bucket>,
    /// What those are answered from.
    pub(crate) trees: Trees,
    /// Shards of epochs that were opened on chain, by epoch and root.
    opened_shards: RwLock<HashMap<(Address, Vec<u8>), Address>>,
    /// What nodes have to prove of their own platforms, and have proven.
    pub(crate) workers: Workers,
    /// How far drains are, by name of the node.
    drains: RwLock<BTreeMap<String, NodeDrain>>,
    /// The tunnels of nodes.
    pub(crate) tunnels: Tunnels,
    pub(crate) tunnel_metrics: TunnelMetrics,
    /// Gives the cluster's secret to enclaves that prove themselves; set before the gateway is bound.
    pub(crate) releaser: OnceLock<Arc<custody::Releaser>>,
    /// Rung whenever Kubernetes may have to follow the membership.
    pub(crate) changed: Notify,
}

/// Reads of epochs and records per second, and at once: a large epoch takes some ten milliseconds.
const LEDGER_READS_PER_SECOND: u64 = 10;
const LEDGER_READS_BURST: u64 = 50;
/// Proofs and lists of epochs per second, and at once. A proof takes 0.2 ms (`chain`'s example `reward_proofs`); 1,000 stakers, who hear of an
/// epoch at the same time, are answered at once, whoever else asks for large things, and 10,000 workers that start together in a minute.
const LEDGER_PROOFS_PER_SECOND: u64 = 200;
const LEDGER_PROOFS_BURST: u64 = 1_000;
/// Log lines per second, and at once, about strangers.
const STRANGER_LINES_PER_SECOND: u64 = 5;
const STRANGER_LINES_BURST: u64 = 100;

impl Shared {
    pub(crate) fn new(
        facts: Facts,
        clock: Clock,
        limits: Limits,
        health: HealthLimits,
        board: Board,
        pki: Arc<ClusterPki>,
        platform: Arc<dyn Platform>,
    ) -> Self {
        let mut metrics = Metrics::new();
        let tunnel_metrics = TunnelMetrics::default();
        tunnel_metrics.register(metrics.registry());
        Self {
            membership: RwLock::new(Membership::new(facts.ca_hash, limits)),
            health: Mutex::new(Health::new(health)),
            drains: RwLock::default(),
            tunnels: Tunnels::default(),
            tunnel_metrics,
            metrics,
            attester: Attester::new(platform.clone(), clock.clone()),
            stranger_lines: Mutex::new(Bucket::new(STRANGER_LINES_PER_SECOND, STRANGER_LINES_BURST)),
            node_lines: Mutex::new(Bucket::new(STRANGER_LINES_PER_SECOND, STRANGER_LINES_BURST)),
            ledger: OnceLock::new(),
            ledger_reads: Mutex::new(Bucket::new(LEDGER_READS_PER_SECOND, LEDGER_READS_BURST)),
            ledger_proofs: Mutex::new(Bucket::new(LEDGER_PROOFS_PER_SECOND, LEDGER_PROOFS_BURST)),
            trees: Trees::default(),
            opened_shards: RwLock::default(),
            workers: Workers::new(Trusted::default(), false),
            releaser: OnceLock::new(),
            changed: Notify::new(),
            facts,
            clock,
            board: Arc::new(board),
            pki,
            platform,
        }
    }

    /// What nodes have to prove; without this, nothing.
    pub(crate) fn demanding(mut self, workers: Workers) -> Self {
        self.workers = workers;
        self
    }

    /// Goes on with the health of an earlier master.
    pub(crate) fn restore_health(&self, saved: Saved) {
        let mut health = self.health.lock();
        let limits = health.limits();
        *health = Health::restore(limits, saved, self.now_ms());
    }

    /// Counts a refusal and writes its one line: the reason and the token's id, never the token. What takes
    /// no token to provoke is counted always, but written only so often.
    pub(crate) fn refuse(&self, refusal: &Refusal, token: Option<Id>, route: &str, peer: Option<SocketAddr>) {
        let reason = refusal.reason();
        self.metrics.refusals.get_or_create(&[("reason", reason)]).inc();
        let known = token.is_some_and(|token| self.membership.read().roster().token(&token).is_some());
        if known || self.stranger_lines.lock().take(self.now_ms()) {
            let token = token.map(|token| token.to_string());
            tracing::info!(reason, route, ?peer, token, "refused: {refusal}");
        }
    }

    /// Counts what a node with a live token did wrong, and writes its line, but only so often.
    pub(crate) fn note_node(
        &self,
        reason: &'static str,
        route: &str,
        peer: Option<SocketAddr>,
        problem: &str,
    ) {
        self.metrics.bad_requests.get_or_create(&[("reason", reason)]).inc();
        if self.node_lines.lock().take(self.now_ms()) {
            tracing::info!(reason, route, ?peer, "refused: {problem}");
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.clock)()
    }

    /// Whether a certificate of a node still opens anything: its token is live, and a kubelet's is for the key that the node was
    /// attested by, if it was or has to be.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn may_act(&self, certificate: &NodeCertificate) -> Result<(), Refusal> {
        let now_ms = self.now_ms();
        let node = self.membership.read().node_by_certificate(certificate, None, now_ms)?;
        let book = self.workers.book.lock();
        let may = if certificate.is_kubelets() {
            book.may_act(&node.name, node.token, certificate.key().as_ref(), now_ms)
        } else {
            book.may_assist(&node.name, node.token)
        };
        if may { Ok(()) } else { Err(Refusal::KeyNotAttested) }
    }

    /// Lets time pass in the membership and the health, and sets the gauges that follow from it.
    pub(crate) fn tick(&self) {
        let now_ms = self.now_ms();
        self.membership.write().tick(now_ms);
        let (counts, live) = {
            let membership = self.membership.read();
            let is_live = |name: &str, token| {
                membership.roster().live_node(name, now_ms).is_some_and(|t| t.id == token)
            };
            let mut health = self.health.lock();
            // Before the chain was read no heartbeat is taken and no token is known to be gone: that time passes in one
            // step afterwards, as time in which nobody looked.
            if membership.is_synced() {
                health.tick(is_live, now_ms);
            }
            (health.counts(), membership.roster().live_nodes(now_ms).count())
        };
        let known: usize = NodeState::ALL.iter().filter_map(|state| counts.get(state.as_str())).sum();
        for state in NodeState::ALL {
            let mut count = counts.get(state.as_str()).copied().unwrap_or(0);
            if state == NodeState::Pending {
                let removed = counts.get(NodeState::Removed.as_str()).copied().unwrap_or(0);
                count += live.saturating_sub(known - removed);
            }
            self.metrics
                .nodes
                .get_or_create(&[("state", state.as_str())])
                .set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        self.watch_evidence(now_ms);
        self.watch_tunnels(now_ms);
        let chain = self.board.read().chain;
        self.metrics.chain_reachable.set(i64::from(chain.reachable));
        let silence = now_ms.saturating_sub(chain.last_contact_ms);
        self.metrics.chain_silence.set(i64::try_from(silence).unwrap_or(i64::MAX));
    }

    /// Evidence runs out, and goes with the membership of its node.
    fn watch_evidence(&self, now_ms: u64) {
        let over = {
            let membership = self.membership.read();
            let is_live = |name: &str, token| {
                membership.roster().live_node(name, now_ms).is_some_and(|live| live.id == token)
            };
            // Before the chain was read no token is known to be gone.
            if !membership.is_synced() {
                return;
            }
            self.workers.book.lock().tick(is_live, now_ms)
        };
        for node in &over {
            tracing::warn!(node, "the node's evidence has run out, it counts as not attested");
        }
        if !over.is_empty() {
            self.changed.notify_one();
        }
    }

    /// Ends the tunnels of nodes whose membership is over, and counts what goes through the others.
    fn watch_tunnels(&self, now_ms: u64) {
        {
            let membership = self.membership.read();
            // Before the chain was read, no token is known to be gone.
            let is_live = |certificate: &NodeCertificate| {
                let node = membership.node_by_certificate(certificate, None, now_ms);
                !matches!(node, Err(refusal) if refusal != Refusal::ChainNotSynced)
            };
            self.tunnels.end_unless(is_live);
        }
        let totals = self.tunnels.totals();
        let gauge = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.tunnel_metrics.open.set(gauge(totals.tunnels));
        self.tunnel_metrics.streams.set(gauge(totals.streams));
        for (direction, bytes) in [("received", totals.received), ("sent", totals.sent)] {
            self.tunnel_metrics.bytes.get_or_create(&[("direction", direction)]).inc_by(bytes);
        }
    }

    /// What Kubernetes shall look like because of the nodes' health.
    pub(crate) fn wanted(&self) -> Wanted {
        let now_ms = self.now_ms();
        let membership = self.membership.read();
        let expires_ms = |token: Id| membership.roster().token(&token).map(|token| token.expires_ms);
        let care = self.health.lock().care(expires_ms, now_ms);
        let book = self.workers.book.lock();
        Wanted {
            care,
            attestations: book.view(now_ms),
            settling: book.is_settling(now_ms),
            lapsed: book.lapsed(now_ms),
            require_attested: book.requires(),
        }
    }

    /// Takes over how far drains are, from what was just seen. A node that is not cordoned yet may be given pods yet.
    pub(crate) fn note_drains(&self, care: &BTreeMap<String, Care>, observed: &Observed) {
        let cordoned = observed.nodes.iter().filter(|(_, node)| node.unschedulable);
        let draining = cordoned.filter(|(name, _)| care.get(*name).is_some_and(|care| care.drain));
        let pods_left = |node: &ObservedNode| u32::try_from(node.left).unwrap_or(u32::MAX);
        *self.drains.write() =
            draining.map(|(name, node)| (name.clone(), NodeDrain { pods_left: pods_left(node) })).collect();
    }

    /// Takes over which shards of epochs are open on chain.
    pub(crate) fn note_shards<'a>(&self, shards: impl Iterator<Item = &'a chain::Shard>) {
        let opened = shards.map(|shard| ((shard.epoch, shard.root.clone()), shard.id));
        *self.opened_shards.write() = opened.collect();
    }

    /// The object of a shard that somebody has opened, by its epoch's object and its root.
    pub(crate) fn opened_shard(&self, epoch: &str, root: &str) -> Option<String> {
        let key = (epoch.parse().ok()?, hex::decode(root).ok()?);
        self.opened_shards.read().get(&key).map(ToString::to_string)
    }

    /// Whether a drain has not come to its end.
    pub(crate) fn is_draining(&self) -> bool {
        self.drains.read().values().any(|drain| drain.pods_left > 0)
    }

    /// Every node with a live token, and those removed lately, by name.
    pub(crate) fn node_list(&self) -> NodeList {
        let now_ms = self.now_ms();
        let membership = self.membership.read();
        let health = self.health.lock();
        let book = self.workers.book.lock();
        let drains = self.drains.read();
        let live = membership.roster().live_nodes(now_ms).filter_map(|token| {
            let name = token.node_name.clone()?;
            let beat = health.last_beat(&name, token.id);
            let detail = health.detail(&name, token.id, now_ms);
            let (counting, attestation_problem) = book.of(&name, token.id, now_ms);
            Some(NodeSummary {
                attested: attested_value(counting.as_ref().map(|(attestation, _)| attestation)).to_owned(),
                attested_until_ms: counting.as_ref().map(|(_, until_ms)| *until_ms),
                platform: counting.map(|(attestation, _)| attestation.platform),
                attestation_problem,
                stake_id: token.stake.to_string(),
                token_id: token.id.to_string(),
                state: health.state(&name, token.id),
                since_ms: detail.as_ref().map(|(since, _)| *since),
                reason: detail.and_then(|(_, reason)| reason),
                maintenance_until_ms: health.window(token.stake, now_ms).map(|window| window.to_ms),
                drain: drains.get(&name).copied(),
                last_heartbeat_ms: beat.map(|(at, _)| at),
                metrics: beat.map(|(_, metrics)| metrics),
                name,
            })
        });
        let removed = health.removed().map(|(name, token)| NodeSummary {
            name: name.to_owned(),
            stake_id: membership.roster().token(&token).map(|t| t.stake.to_string()).unwrap_or_default(),
            token_id: token.to_string(),
            state: NodeState::Removed,
            since_ms: None,
            reason: None,
            maintenance_until_ms: None,
            drain: None,
            last_heartbeat_ms: None,
            metrics: None,
            attested: attested_value(None).to_owned(),
            platform: None,
            attested_until_ms: None,
            attestation_problem: None,
        });
        let mut nodes: Vec<_> = live.chain(removed).collect();
        nodes.sort_by(|a, b| (&a.name, &a.token_id).cmp(&(&b.name, &b.token_id)));
        NodeList { nodes }
    }

    pub(crate) fn status(&self) -> MasterStatus {
        let board = self.board.read();
        let nodes = self.node_list().nodes;
        let count = |wanted: &dyn Fn(NodeState) -> bool| {
            u32::try_from(nodes.iter().filter(|node| wanted(node.state)).count()).unwrap_or(u32::MAX)
        };
        let kind = self.platform.kind();
        let measurement = self.platform.measurement();
        MasterStatus {
            pod_network: self.facts.network.flannel_backend.as_str().to_owned(),
            pod_network_encrypted: self.facts.network.flannel_backend.is_encrypted(),
            addons: self.facts.network.disable.left().into_iter().map(str::to_owned).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            kubernetes_version: self.facts.kubernetes_version.clone(),
            cluster_id: self.facts.cluster_id.clone(),
            ca_hash: hex::encode(self.facts.ca_hash),
            apiserver_ready: board.apiserver_ready,
            chain: board.chain,
            tee: TeeStatus {
                platform: kind.to_string(),
                simulated: self.platform.is_simulated(),
                sealing: if self.platform.seals() { "local" } else { "none" }.to_owned(),
                measurement: measurement.values().next().map(hex::encode).unwrap_or_default(),
                memory_locked: crate::memory::locked(),
                problem: board.right.lost().map(str::to_owned),
                enclave_id: board.enclave.map(|id| id.to_string()).unwrap_or_default(),
            },
            store_revision: board.store_revision,
            anchor: board.anchor,
            nodes_ready: count(&|state| state == NodeState::Ready),
            nodes_total: count(&|state| state != NodeState::Removed),
        }
    }
}
