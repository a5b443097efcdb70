//! The worker with the real contracts on a development chain: what it believes of master and membership
//! comes from there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chain::{
    Admin, Calls, Client, Draft, EnclaveClaims, Event, Keypair, Measurement, Place, Registry, SealToken,
    TcbBounds, Tier,
};
use devnet::Devnet;
use tee::Platform;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use worker::agent::Gone;
use worker::{ChainSource, HolderKey, NodeAgent, OnChain, StopReason, Worker};

use crate::support::{self, Gateway, Node, now_ms, worker_config};

const SUI: u64 = 1_000_000_000;

fn framework() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    let path = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}

/// A chain with one cluster whose registered enclave is a fake gateway's.
struct World {
    devnet: Devnet,
    client: Client,
    operator: Keypair,
    calls: Calls,
    cluster: chain::ClusterCreated,
    admin: Admin,
    measurement: Measurement,
}

impl World {
    async fn start() -> Self {
        let devnet = Devnet::start(devnet::Config::in_memory(framework())).await.unwrap();
        let client = Client::connect(&devnet.url()).await.unwrap();
        let operator = wallet(&devnet, 100 * SUI).await;
        let published = client.publish(&operator, &chain::package::bundled()).await.unwrap();
        let calls = Calls::new(published.package);
        let receipt = client.execute(&operator, &calls.create_cluster("test", true)).await.unwrap();
        let (cluster, admin) = receipt.founded(calls.package()).unwrap();
        let measurement = Measurement::new("simulated", &[].into());
        Self { devnet, client, operator, calls, cluster, admin, measurement }
    }

    async fn run(&self, wallet: &Keypair, draft: &Draft) -> Vec<Event> {
        self.client.execute(wallet, draft).await.unwrap().events_of(self.calls.package())
    }

    /// Registers the gateway's enclave and lets it say where it is.
    async fn announce(&mut self, gateway: &Gateway, url: String) {
        let (calls, registry) = (&self.calls, self.cluster.registry);
        self.measurement = Measurement::new("simulated", &gateway.platform.measurement());
        self.run(&self.operator, &calls.allow_measurement(registry, self.admin, &self.measurement)).await;
        let verifier = Keypair::generate().unwrap();
        let verifiers = [verifier.public_key()];
        self.run(&self.operator, &calls.set_verifiers(registry, self.admin, &verifiers, 1)).await;
        let claims = EnclaveClaims {
            cluster: self.cluster.cluster,
            measurement: self.measurement.clone(),
            public_key: gateway.enclave.public_key().to_vec(),
            expires_ms: now_ms() + 3_600_000,
        };
        let verified = claims.sign_all(&[&verifier], now_ms()).unwrap();
        let events = self.run(&self.operator, &calls.register_enclave(registry, &verified)).await;
        let [Event::EnclaveRegistered(registered)] = &events[..] else { panic!("{events:?}") };

        let place = Place {
            cluster: self.cluster.cluster,
            gateway: url,
            apiserver: "https://127.0.0.1:6443".into(),
            ca_hash: gateway.ca.hash().to_vec(),
        };
        let now = now_ms();
        let payload = place.payload(registered.enclave).unwrap();
        let signature = gateway.enclave.sign(chain::INTENT_ENDPOINT, now, &payload);
        let draft = calls.set_place(registry, registered.enclave, &place, now, &signature);
        self.run(&self.operator, &draft).await;
    }

    /// Stakes as a node and has a token issued; gives it with a gateway that knows it.
    async fn member(&self, staker: &Keypair, holder: &HolderKey) -> (chain::TokenIssued, Arc<Gateway>) {
        let events = self.run(staker, &self.calls.stake(self.cluster.cluster, Tier::Node, 100)).await;
        let [Event::Staked(staked)] = &events[..] else { panic!("{events:?}") };
        let draft = self.calls.issue_token(
            staked.stake,
            self.cluster.cluster,
            self.cluster.names,
            &holder.public_key(),
            "worker-1",
        );
        let events = self.run(staker, &draft).await;
        let [Event::TokenIssued(issued)] = &events[..] else { panic!("{events:?}") };
        let issued = issued.clone();
        let gateway = Gateway::new(holder.public_key());
        {
            let mut record = gateway.record.lock();
            record.token_id = issued.token.into_inner();
            record.seal = issued.seal[..].try_into().unwrap();
        }
        (issued, gateway)
    }
}

async fn wallet(devnet: &Devnet, mist: u64) -> Keypair {
    let wallet = Keypair::generate().unwrap();
    devnet.faucet(wallet.address(), mist).await.unwrap();
    wallet
}

async fn wait(
    status: &mut watch::Receiver<api::WorkerStatus>,
    what: &str,
    fits: impl Fn(&api::WorkerStatus) -> bool,
) -> api::WorkerStatus {
    let shown = status.clone();
    let found = tokio::time::timeout(Duration::from_secs(20), status.wait_for(|status| fits(status))).await;
    match found {
        Ok(status) => status.unwrap().clone(),
        Err(_) => panic!("never {what}: {:#?}", shown.borrow()),
    }
}

/// Planned on chain and learnt before the chain falls silent: the worker's own clock ends it.
#[tokio::test]
async fn a_planned_retirement_ends_the_node_also_without_a_chain() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = worker_config(dir.path());
    let holder = HolderKey::open_or_create(&config.holder_key).unwrap();
    let mut world = World::start().await;
    let staker = wallet(&world.devnet, 10 * SUI).await;
    let (issued, gateway) = world.member(&staker, &holder).await;
    let running = support::start(&gateway).await;
    world.announce(&gateway, format!("https://{}", running.address)).await;
    (config.cluster_id, config.token_id) = (world.cluster.cluster.into(), issued.token.into());
    let package = world.calls.package().into();
    let source = OnChain::new(world.client.clone(), package, config.cluster_id, config.token_id, None);
    let node = Arc::new(Node::default());
    let worker =
        Worker::bind(config, Arc::new(source), Arc::clone(&node) as Arc<dyn NodeAgent>).await.unwrap();
    let (mut status, shutdown) = (worker.subscribe(), CancellationToken::new());
    let task = tokio::spawn(worker.run(shutdown.clone()));
    wait(&mut status, "running", |status| status.phase == "running" && status.node.ready).await;

    let at_ms = now_ms() + 4_000;
    let calls = &world.calls;
    let plan = calls.plan_retirement(world.cluster.registry, world.admin, &world.measurement, at_ms);
    world.run(&world.operator, &plan).await;
    // Long enough for a read of the chain, every 100 ms here.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(status.borrow().phase, "running");
    world.devnet.shutdown().await;
    let over = wait(&mut status, "left", |status| status.phase == "gone" && !status.node.ready).await;
    assert!(now_ms() >= at_ms);
    assert_eq!(over.problem.unwrap().reason, "measurement_retired");
    assert_eq!(node.stops.lock()[..], [StopReason::Gone(Gone::Measurement)]);
    shutdown.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_chain_decides_whom_to_trust_and_who_is_a_member() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = worker_config(dir.path());
    let holder = HolderKey::open_or_create(&config.holder_key).unwrap();
    let mut world = World::start().await;
    let staker = wallet(&world.devnet, 10 * SUI).await;
    let (issued, gateway) = world.member(&staker, &holder).await;
    let running = support::start(&gateway).await;

    (config.cluster_id, config.token_id) = (world.cluster.cluster.into(), issued.token.into());
    let source = Arc::new(OnChain::new(
        world.client.clone(),
        world.calls.package().into(),
        config.cluster_id,
        config.token_id,
        Some(staker.clone()),
    ));
    let node = Arc::new(Node::default());
    let chain = Arc::clone(&source) as Arc<dyn ChainSource>;
    let worker = Worker::bind(config, chain, Arc::clone(&node) as Arc<dyn NodeAgent>).await.unwrap();
    let (mut status, shutdown) = (worker.subscribe(), CancellationToken::new());
    let task = tokio::spawn(worker.run(shutdown.clone()));

    let problem = |reason: &'static str| {
        move |status: &api::WorkerStatus| {
            status.problem.as_ref().is_some_and(|problem| problem.reason == reason)
        }
    };
    wait(&mut status, "without a gateway", problem("no_gateway")).await;
    assert!(gateway.calls.lock().is_empty());

    world.announce(&gateway, format!("https://{}", running.address)).await;
    let joined = wait(&mut status, "running", |status| status.phase == "running" && status.node.ready).await;
    assert_eq!((joined.node_name.as_str(), joined.gateway.simulated), ("worker-1", true));

    // The operator no longer trusts the code: nothing more is sent, and the worker says which measurement.
    let retire = world.calls.retire_measurement(world.cluster.registry, world.admin, &world.measurement);
    world.run(&world.operator, &retire).await;
    let refused = wait(&mut status, "retired", problem("measurement_retired")).await;
    let message = refused.problem.unwrap().message;
    let actual = hex::encode(&gateway.platform.measurement()["code"]);
    assert!(message.contains("\"code\"") && message.contains(&actual), "{message}");
    // Its node ends with the trust.
    assert_eq!(refused.phase, "gone");
    let over = wait(&mut status, "left", |status| !status.node.ready).await;
    assert!(!over.gateway.attested, "{over:?}");
    assert_eq!(node.stops.lock()[..], [StopReason::Gone(Gone::Measurement)]);
    let registry: Registry = world.client.read(world.calls.package(), world.cluster.registry).await.unwrap();
    assert!(registry.allowed.is_empty());
    let allow = world.calls.allow_measurement(world.cluster.registry, world.admin, &world.measurement);
    world.run(&world.operator, &allow).await;
    wait(&mut status, "running again", |status| status.phase == "running").await;

    // What the cluster asks of platforms holds for its master too, from the next look at the chain on: none that is simulated has
    // a security version.
    let bounds = TcbBounds {
        platform: "simulated".into(),
        components: vec!["microcode".into()],
        minimums: vec![1],
        statuses: Vec::new(),
        any_advisory: true,
        advisories: Vec::new(),
        max_age_ms: 300_000,
    };
    let (registry, admin) = (world.cluster.registry, world.admin);
    world.run(&world.operator, &world.calls.set_tcb_bounds(registry, admin, &bounds)).await;
    let untrusted = |status: &api::WorkerStatus| {
        let problem = status.problem.as_ref();
        problem.is_some_and(|problem| problem.message.contains("microcode")) && !status.gateway.attested
    };
    wait(&mut status, "bounded", untrusted).await;
    world.run(&world.operator, &world.calls.clear_tcb_bounds(registry, admin, "simulated")).await;
    wait(&mut status, "attested again", |status| status.gateway.attested && status.node.ready).await;

    // With the owner's wallet the token is renewed.
    world.devnet.advance_clock(Duration::from_secs(60)).await.unwrap();
    source.renew_token().await.unwrap();
    let renewed: SealToken = world.client.read(world.calls.package(), issued.token).await.unwrap();
    assert!(renewed.expires_ms >= issued.expires_ms + 60_000);

    world.run(&staker, &world.calls.revoke_token(issued.token)).await;
    wait(&mut status, "gone", |status| status.phase == "gone" && !status.node.ready).await;
    assert_eq!(node.stops.lock()[1..], [StopReason::Gone(Gone::Revoked)]);

    world.devnet.shutdown().await;
    wait(&mut status, "without a chain", |status| !status.chain.reachable && status.chain.error.is_some())
        .await;
    shutdown.cancel();
    task.await.unwrap().unwrap();
}
