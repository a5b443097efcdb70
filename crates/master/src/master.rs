use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::MasterStatus;
use archive::cold::ColdKeys;
use chain::{Calls, Client, Keystore, Place};
use engine::control_plane::{ControlEngine, ControlPlane, ControlPlaneConfig, WEBHOOK_CLIENT, Webhooks};
use engine::pki::Profile;
use parking_lot::RwLock;
use store::{Listener, Server, Store};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::anchor_check::OnChain;
use crate::anchor_keeper::AnchorKeeper;
use crate::anchor_poster::Poster;
use crate::archiver::Archiver;
use crate::attestations::Workers;
use crate::board::Board;
use crate::bookkeeper::Bookkeeper;
use crate::config::Config;
use crate::enclave::{Enclave, private_dir};
use crate::error::MasterError;
use crate::facts;
use crate::follow::Follow;
use crate::gateway::Gateway;
use crate::k3s::K3s;
use crate::kubernetes::{Kubernetes, Reconciler};
use crate::newcomer::refuse_unfinished_recovery;
use crate::obtain::{Obtained, obtain};
use crate::outbox::{Drawer, Outbox, Post, Witness};
use crate::place::PlaceKeeper;
use crate::registration::RegistrationKeeper;
use crate::release;
use crate::shared::{Facts, Shared, system_clock};
use crate::tls::GatewayTls;
use crate::tunnels::{Egress, Routes, watch_nodes};
use crate::undeclared::Undeclared;

/// The Kubernetes that `bin/kubernetes` is.
const KUBERNETES_VERSION: &str = "v1.36.3";
/// How often time passes for membership and health, and gauges are set.
const TICK: Duration = Duration::from_secs(1);
/// The apiserver's certificate towards the webhooks; made anew at each start.
const WEBHOOK_CLIENT_LIFETIME_SECONDS: u64 = 365 * 24 * 3600;
/// How long parts may take to end at shutdown.
const GRACE: Duration = Duration::from_secs(10);

/// A running master: gateway, sealed store, control plane, and the loops that keep Kubernetes what the chain
/// says.
pub struct Master {
    shared: Arc<Shared>,
    gateway: SocketAddr,
    store: Store,
    control_plane: ControlPlane,
    kubernetes: Kubernetes,
    /// Ends the loops that talk to Kubernetes and the chain.
    loops: CancellationToken,
    /// Ends what Kubernetes talks to: gateway and store.
    servers: CancellationToken,
    tasks: TaskTracker,
}

impl Master {
    /// Starts everything; [`Master::ready`] says when it works. The gateway answers `/cacerts` and attestation
    /// before Kubernetes is up and before the enclave is registered.
    ///
    /// # Errors
    /// When the configuration is incomplete, keys or store cannot be opened, or an address cannot be bound.
    pub async fn start(config: Config) -> Result<Self, MasterError> {
        // On the heap: together they are too large for a caller's future.
        let obtained = Box::pin(obtain(&config)).await?;
        Box::pin(Self::start_with(config, obtained)).await
    }

    /// Starts everything with the keys that were obtained.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(config: Config, obtained: Obtained) -> Result<Self, MasterError> {
        config.check()?;
        refuse_unfinished_recovery(&config.state_dir)?;
        obtained.check(&config)?;
        allow_open_files(config.gateway.max_connections);
        let clock = system_clock();
        let now_ms = clock();
        let package = config.chain.package.ok_or_else(|| missing("chain.package"))?;
        let cluster = config.chain.cluster.ok_or_else(|| missing("chain.cluster"))?;
        let client = Client::new(&config.chain.url)?;
        let trusted = config.workers.files().read()?;
        let demanded = config.workers.check(config.health.interval_ms, trusted.policy.as_ref());
        demanded.map_err(MasterError::Config)?;
        let workers = Workers::new(trusted, config.workers.require_attested);
        let release = config.tee.release.trust.read()?;
        let k3s = K3s::prepare(&config, now_ms).await?;
        private_dir(&config.state_dir)?;
        let sealing = if obtained.platform.seals() { "local" } else { "none" };
        let enclave = blocking(&config, move |config| Enclave::open(config, obtained, now_ms)).await?;
        tracing::info!(
            platform = %enclave.platform.kind(),
            simulated = enclave.platform.is_simulated(),
            sealing,
            public_key = hex::encode(enclave.key.public_key()),
            "opened the enclave's keys"
        );

        let facts = Facts {
            cluster: facts::address(cluster),
            cluster_id: cluster.to_string(),
            ca_hash: enclave.ca_hash,
            public_key: enclave.key.public_key(),
            kubernetes_version: k3s.as_ref().map_or(KUBERNETES_VERSION, |k3s| &k3s.version).to_owned(),
            apiservers: vec![authority(&config.apiserver_url, "apiserver_url")?],
            apiserver_port: port(&config.apiserver_url, "apiserver_url")?,
            supervisor_port: port(&config.gateway_url, "gateway_url")?,
            network: config.network.clone(),
            certificate_lifetime_ms: config.certificate_lifetime_ms,
        };
        let shared = Shared::new(
            facts,
            clock.clone(),
            config.membership_limits(),
            config.health,
            Board::new(client.url().to_owned()),
            enclave.pki.clone(),
            enclave.platform.clone(),
        );
        let shared = Arc::new(shared.demanding(workers));
        let trusted = custody::OnChain::new(client.clone(), facts::address(package), facts::address(cluster));
        shared
            .releaser
            .get_or_init(|| release::releaser(&shared, trusted.clone(), enclave.secret.clone(), release));
        let (loops, servers) = (CancellationToken::new(), CancellationToken::new());
        let tasks = TaskTracker::new();

        let names = certificate_names(&config)?;
        let (pki, platform, for_tls) = (enclave.pki.clone(), enclave.platform.clone(), names.clone());
        let tls = blocking(&config, move |_| GatewayTls::new(pki, platform, &for_tls, now_ms)).await?;
        let listen = |source| MasterError::Listen { address: config.listen, source };
        let gateway = Gateway::bind(config.listen, tls.server_config()?, config.gateway, shared.clone())
            .await
            .map_err(listen)?;
        let gateway_address = gateway.local_addr().map_err(listen)?;
        tracing::info!(address = %gateway_address, "gateway listens");
        tasks.spawn(gateway.serve(servers.child_token()));
        tasks.spawn(tls.keep_fresh(clock.clone(), servers.child_token()));

        let ledger = Drawer::open(&config.state_dir.join("ledger"), &enclave.sealing)?;
        Bookkeeper::restore(&shared, &ledger)?;
        shared.ledger.get_or_init(|| ledger.clone());
        let (standing, standing_seen) = watch::channel(None);
        let (addressee, addressee_seen) = watch::channel(None);
        let follow = Follow {
            shared: shared.clone(),
            client: client.clone(),
            package: facts::address(package),
            cluster: facts::address(cluster),
            since_checkpoint: config.chain.since_checkpoint,
            standing,
            addressee,
        };
        tasks.spawn(follow.run(loops.child_token()));
        let (mut outbox, mut poster) = (None, None);
        if let Some(path) = &config.chain.gas_keystore {
            let (wallet, key) = (gas_wallet(path, config.chain.gas_address)?, Arc::new(enclave.key));
            if !config.registration.verifiers.is_empty() {
                let keeper = RegistrationKeeper {
                    shared: shared.clone(),
                    chain: trusted,
                    client: client.clone(),
                    calls: Calls::new(facts::address(package)),
                    wallet: wallet.clone(),
                    config: config.registration.clone(),
                };
                tasks.spawn(keeper.run(loops.child_token()));
            }
            outbox = Some(Outbox {
                post: Post {
                    client: client.clone(),
                    wallet: Arc::new(wallet.clone()),
                    drawer: ledger.clone(),
                    witness: count_steps(shared.clone()),
                },
                key: key.clone(),
                calls: Calls::new(facts::address(package)),
                gateway_url: config.gateway_url.clone(),
                pauses: HashMap::new(),
            });
            poster =
                Some(Poster { wallet: wallet.clone(), key: key.clone(), standing: standing_seen.clone() });
            let keeper = PlaceKeeper {
                client: client.clone(),
                package: facts::address(package),
                wallet,
                key,
                place: Place {
                    cluster: facts::address(cluster),
                    gateway: config.gateway_url.clone(),
                    apiserver: config.apiserver_url.clone(),
                    ca_hash: enclave.ca_hash.to_vec(),
                },
                clock: clock.clone(),
                standing: standing_seen,
            };
            tasks.spawn(keeper.run(loops.child_token()));
        }
        let bookkeeper =
            Bookkeeper { shared: shared.clone(), drawer: ledger, outbox, addressee: addressee_seen };
        tasks.spawn(bookkeeper.run(loops.child_token()));

        let cold_keys = ColdKeys::new(enclave.sealing.clone());
        let undeclared = Undeclared::open(&config.state_dir.join("anchor/undeclared"), &enclave.sealing)?;
        let listener = k3s.as_ref().map(K3s::listener);
        let engine = k3s.map(|k3s| k3s.engine(&config, &enclave.sealing));
        let store = open_store(&config, enclave.sealing).await?;
        let (package, cluster) = (facts::address(package), facts::address(cluster));
        let on_chain = OnChain { client, package, cluster };
        // Before anybody is served from it.
        let keeper = AnchorKeeper::open(
            shared.board.clone(),
            on_chain,
            store.clone(),
            config.anchor.clone(),
            clock.clone(),
            undeclared,
            poster.as_ref(),
        );
        let keeper = Box::pin(keeper).await?;
        tasks.spawn(keeper.run(poster, loops.child_token()));
        if let Some(place) = &config.snapshots.place {
            let archiver = Archiver {
                board: shared.board.clone(),
                store: store.clone(),
                keys: cold_keys,
                cluster: cluster.into_inner(),
                clock: clock.clone(),
                config: config.snapshots.clone(),
                place: place.open()?,
                dir: private_dir(&config.state_dir.join("archive"))?,
                attached: vec![config.state_dir.join("sealed/cluster.pki")],
            };
            let catalog = archiver.catalog()?;
            tasks.spawn(archiver.run(catalog, loops.child_token()));
        }
        let socket = config.state_dir.join("store.sock");
        let listeners = [Listener::Unix(socket.clone())].into_iter().chain(listener);
        let server = Server::bind(store.clone(), listeners.collect()).await?;
        let over_tls = server.urls().into_iter().find(|url| url.starts_with("https://"));
        let etcd_endpoint = over_tls.unwrap_or_else(|| format!("unix://{}", socket.display()));
        let serving = servers.child_token();
        tasks.spawn(async move {
            if let Err(error) = server.run(serving.cancelled_owned()).await {
                tracing::error!("the store ended: {error}");
            }
        });

        let egress_socket = config.state_dir.join("egress.sock");
        let egress_listener = Egress::bind(&egress_socket).map_err(|source| MasterError::Io {
            action: "listen on",
            path: egress_socket.clone(),
            source,
        })?;

        let webhook_client = Profile::client(WEBHOOK_CLIENT, &[], WEBHOOK_CLIENT_LIFETIME_SECONDS);
        let webhooks = SocketAddr::from(([127, 0, 0, 1], gateway_address.port()));
        let plane = ControlPlaneConfig {
            engine: engine.map_or(ControlEngine::Kubernetes, ControlEngine::K3s),
            listen: config.apiserver_listen,
            advertise_address: advertise_address(&config)?,
            names,
            service_cidr: config.network.service_cidr.clone(),
            cluster_cidr: config.network.cluster_cidr.clone(),
            cluster_domain: config.network.cluster_domain.clone(),
            disabled: config.network.disable.clone(),
            kubelet_egress: Some(egress_socket.clone()),
            storage_root: config.storage_root.clone(),
            webhooks: Some(Webhooks {
                token_review: format!("https://{webhooks}/webhook/token-review"),
                authorize: format!("https://{webhooks}/webhook/authorize"),
                audit: format!("https://{webhooks}/webhook/audit"),
                ca: enclave.pki.ca_pem().to_owned(),
                client: enclave.pki.issue(&webhook_client, now_ms)?,
            }),
            ..ControlPlaneConfig::new(
                config.kubernetes_binary.clone(),
                config.state_dir.join("kubernetes"),
                etcd_endpoint,
                config.apiserver_listen.port(),
            )
        };
        let control_plane = ControlPlane::start(&plane, &enclave.pki, now_ms).await?;
        let kubernetes = Kubernetes::new(control_plane.url(), enclave.pki.ca_pem(), control_plane.admin())?;
        let routes = Arc::new(RwLock::new(Routes::new(&config.network.service_cidr)));
        tasks.spawn(watch_nodes(kubernetes.client.clone(), routes.clone(), loops.child_token()));
        let egress = Egress { shared: shared.clone(), routes, kubernetes: kubernetes.client.clone() };
        tasks.spawn(egress.serve(egress_listener, servers.child_token()));
        let interval = Duration::from_millis(config.reconcile_interval_ms);
        let reconciler = Reconciler { shared: shared.clone(), kubernetes: kubernetes.clone(), interval };
        tasks.spawn(reconciler.run(loops.child_token()));
        tasks.spawn(tick(shared.clone(), store.clone(), kubernetes.clone(), loops.child_token()));
        Ok(Self { shared, gateway: gateway_address, store, control_plane, kubernetes, loops, servers, tasks })
    }

    /// Where the gateway listens.
    pub fn gateway_addr(&self) -> SocketAddr {
        self.gateway
    }

    /// Waits until users and nodes can be served: the chain is read, the apiserver is ready, and Kubernetes
    /// agrees with the chain.
    ///
    /// # Errors
    /// [`MasterError::NotReady`] with what is missing after `limit`.
    pub async fn ready(&self, limit: Duration) -> Result<(), MasterError> {
        let end = Instant::now() + limit;
        loop {
            if !self.shared.board.read().apiserver_ready {
                let ready = self.kubernetes.is_ready().await;
                self.shared.board.update(|board| board.apiserver_ready = ready);
            }
            let board = self.shared.board.read();
            let waiting_for = if !self.shared.membership.read().is_synced() {
                let why = board.chain.error.unwrap_or_else(|| "being read".to_owned());
                format!("the chain at {}: {why}", board.chain.url)
            } else if !board.apiserver_ready {
                "kube-apiserver does not say that it is ready".to_owned()
            } else if !board.reconciled {
                "Kubernetes does not agree with the chain yet".to_owned()
            } else {
                return Ok(());
            };
            if Instant::now() >= end {
                return Err(MasterError::NotReady { seconds: limit.as_secs(), waiting_for });
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// As `GET /api/v1/status`.
    pub fn status(&self) -> MasterStatus {
        self.shared.status()
    }

    /// Kubernetes' processes as they are now.
    pub fn processes(&self) -> Vec<engine::supervise::ChildStatus> {
        self.control_plane.status()
    }

    /// Resolves when the store can no longer work, with the reason; the master has to be started anew then.
    pub async fn failed(&self) -> MasterError {
        MasterError::Ended(format!("the store has stopped: {}", self.store.failed().await))
    }

    /// Stops everything: first who asks Kubernetes, whose watches would hold it up, then Kubernetes, then what
    /// Kubernetes asks.
    pub async fn shutdown(self) {
        self.loops.cancel();
        self.control_plane.shutdown().await;
        self.servers.cancel();
        self.tasks.close();
        if timeout(GRACE, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        let store = self.store;
        if tokio::task::spawn_blocking(move || store.close()).await.is_err() {
            tracing::error!("the store did not close cleanly");
        }
    }
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Master").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

/// Once a second, whatever else happens.
async fn tick(shared: Arc<Shared>, store: Store, kubernetes: Kubernetes, stop: CancellationToken) {
    loop {
        shared.tick();
        let ready = tokio::select! {
            () = stop.cancelled() => return,
            ready = kubernetes.is_ready() => ready,
        };
        let revision = store.revision();
        shared.board.update(|board| {
            board.apiserver_ready = ready;
            board.store_revision = revision;
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(TICK) => {}
        }
    }
}

/// Each connection is an open file; the usual soft limit of 1,024 would end the gateway at a thousand workers.
fn allow_open_files(connections: usize) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let needed = u64::try_from(connections).unwrap_or(u64::MAX).saturating_mul(2).saturating_add(4_096);
    let wanted = needed.min(maximum.unwrap_or(u64::MAX));
    if current.is_some_and(|current| current < wanted) {
        let limit = Rlimit { current: Some(wanted), maximum };
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::warn!("cannot raise the limit of open files to {wanted}: {error}");
        }
    }
    if wanted < needed {
        tracing::warn!(
            "the limit of open files is {wanted}, {needed} are needed for all connections that are allowed; \
             raise it (LimitNOFILE=)"
        );
    }
}

fn count_steps(shared: Arc<Shared>) -> Witness {
    Arc::new(move |step| {
        shared.metrics.outbox_steps.get_or_create(&[("step", step.as_str())]).inc();
    })
}

async fn open_store(config: &Config, sealing: tee::SealingKey) -> Result<Store, MasterError> {
    let anchors = private_dir(&config.state_dir.join("anchor"))?;
    let mut settings = store::Config::new(config.state_dir.join("store"), sealing)
        .with_anchor_file(anchors.join("store.anchor"));
    settings.quota_bytes = config.store_quota_bytes;
    if config.snapshots.place.is_some() {
        settings.held_history_bytes = config.snapshots.history_bytes;
    }
    blocking(config, move |_| Ok(Store::open(settings)?)).await
}

/// Runs what blocks on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(
    config: &Config,
    work: impl FnOnce(&Config) -> Result<T, MasterError> + Send + 'static,
) -> Result<T, MasterError> {
    let config = config.clone();
    match tokio::task::spawn_blocking(move || work(&config)).await {
        Ok(result) => result,
        Err(_) => Err(MasterError::Ended("a part failed while starting; the log says more".to_owned())),
    }
}

/// The wallet that pays for what the master says on chain.
pub(crate) fn gas_wallet(
    path: &std::path::Path,
    address: Option<crate::Id>,
) -> Result<chain::Keypair, MasterError> {
    let keystore = Keystore::load(path)?;
    if let Some(address) = address {
        return Ok(keystore.key(&facts::address(address))?.clone());
    }
    let mut keys = keystore.keys();
    match (keys.next(), keys.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(MasterError::Config(format!("{} has no usable key", path.display()))),
        (Some(_), Some(_)) => {
            let problem = format!("{} has several keys: set chain.gas_address", path.display());
            Err(MasterError::Config(problem))
        }
    }
}

/// Names for the certificates of gateway and apiserver: those configured, and those in the URLs.
fn certificate_names(config: &Config) -> Result<Vec<String>, MasterError> {
    let mut names = config.tls_san.clone();
    names.push(host(&config.gateway_url, "gateway_url")?);
    names.push(host(&config.apiserver_url, "apiserver_url")?);
    names.sort();
    names.dedup();
    Ok(names)
}

/// Address in the endpoints of the `kubernetes` service: the apiserver URL's, when it is one.
fn advertise_address(config: &Config) -> Result<IpAddr, MasterError> {
    let host = host(&config.apiserver_url, "apiserver_url")?;
    Ok(host.parse().unwrap_or(IpAddr::from([127, 0, 0, 1])))
}

fn host(url: &str, field: &'static str) -> Result<String, MasterError> {
    let uri = https(url, field)?;
    let host = uri.host().unwrap_or_default();
    Ok(host.trim_matches(['[', ']']).to_owned())
}

/// `host:port` of a URL.
fn authority(url: &str, field: &'static str) -> Result<String, MasterError> {
    let uri = https(url, field)?;
    Ok(format!("{}:{}", uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443)))
}

fn port(url: &str, field: &'static str) -> Result<u16, MasterError> {
    Ok(https(url, field)?.port_u16().unwrap_or(443))
}

fn https(url: &str, field: &'static str) -> Result<http::Uri, MasterError> {
    let bad = || MasterError::Config(format!("{field} is not https://HOST[:PORT]"));
    let uri: http::Uri = url.parse().map_err(|_| bad())?;
    let plain = uri.scheme_str() == Some("https") && uri.host().is_some_and(|host| !host.is_empty());
    if plain { Ok(uri) } else { Err(bad()) }
}

pub(crate) fn missing(field: &'static str) -> MasterError {
    MasterError::Config(format!(
        "{field} is not set; `k3s-daas up` sets it, or take it from who runs the cluster"
    ))
}
