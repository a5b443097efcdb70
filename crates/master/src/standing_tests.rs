//! An enclave's registration on a development chain: got from a verifier service, renewed before it ends, and lost.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chain::{Address, Admin, Calls, Client, Draft, EnclaveClaims, Keypair, Measurement};
use custody::{Listener, OnChain, Verifier, no_collateral};
use devnet::Devnet;
use engine::pki::ClusterPki;
use tee::{Anchors, EnclaveKey, KeyPolicy, Platform, Policy, SimulatedPlatform};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::board::Board;
use crate::config::{ClusterNetwork, Config};
use crate::follow::{Follow, Standing};
use crate::registration::{RegistrationConfig, RegistrationKeeper};
use crate::right::Right;
use crate::shared::{Facts, Shared, system_clock};

const SUI: u64 = 1_000_000_000;

struct House {
    client: Client,
    calls: Calls,
    operator: Keypair,
    registry: Address,
    admin: Admin,
    verifier: Keypair,
    measurement: Measurement,
    shared: Arc<Shared>,
    standing: watch::Receiver<Option<Standing>>,
    _devnet: Devnet,
    _stop: DropGuard,
}

impl House {
    /// A cluster with one verifier, and an enclave of allowed code that nobody has registered.
    async fn start(dir: &Path, registration: RegistrationConfig) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let framework = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
        let framework: std::path::PathBuf =
            std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| framework.into(), Into::into);
        let devnet = Devnet::start(devnet::Config::in_memory(framework)).await.unwrap();
        let client = Client::connect(&devnet.url()).await.unwrap();
        let operator = Keypair::generate().unwrap();
        devnet.faucet(operator.address(), 100 * SUI).await.unwrap();
        let calls = Calls::new(client.publish(&operator, &chain::package::bundled()).await.unwrap().package);
        let receipt = client.execute(&operator, &calls.create_cluster("test", true)).await.unwrap();
        let (created, admin) = receipt.founded(calls.package()).unwrap();

        let platform: Arc<dyn Platform> =
            Arc::new(SimulatedPlatform::open(dir, &tee::measure_bytes(b"code")).unwrap());
        let sealing = platform.sealing_key(KeyPolicy::Measurement).unwrap();
        let key = EnclaveKey::open_or_create(&dir.join("enclave.key"), &sealing).unwrap();
        let measurement = Measurement::new("simulated", &platform.measurement());
        let (clock, stop) = (system_clock(), CancellationToken::new());
        let trusted = OnChain::new(client.clone(), calls.package(), created.cluster);
        let verifier = Keypair::generate().unwrap();
        let run = async |draft: &Draft| client.execute(&operator, draft).await.unwrap();
        run(&calls.set_verifiers(created.registry, admin, &[verifier.public_key()], 1)).await;
        run(&calls.allow_measurement(created.registry, admin, &measurement)).await;
        let service = Verifier::new(
            verifier.clone(),
            trusted.clone(),
            Policy::default(),
            Anchors::default(),
            no_collateral(),
            clock.clone(),
        );
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", listener.address());
        tokio::spawn(listener.serve(service.router(), stop.clone()));

        let pki = Arc::new(ClusterPki::generate(clock()).unwrap());
        let facts = Facts {
            cluster: created.cluster,
            cluster_id: created.cluster.to_string(),
            ca_hash: pki.ca_der_sha256().unwrap(),
            public_key: key.public_key(),
            kubernetes_version: "v0".into(),
            apiservers: vec!["127.0.0.1:6443".into()],
            apiserver_port: 6443,
            supervisor_port: 9345,
            network: ClusterNetwork::default(),
            certificate_lifetime_ms: 3_600_000,
        };
        let config = Config::default();
        let limits = config.membership_limits();
        let board = Board::new(client.url().to_owned());
        let shared = Arc::new(Shared::new(facts, clock, limits, config.health, board, pki, platform));
        let ((standing, seen), (addressee, _)) = (watch::channel(None), watch::channel(None));
        let follow = Follow {
            shared: shared.clone(),
            client: client.clone(),
            package: calls.package(),
            cluster: created.cluster,
            since_checkpoint: 0,
            standing,
            addressee,
        };
        tokio::spawn(follow.run(stop.clone()));
        let keeper = RegistrationKeeper {
            shared: shared.clone(),
            chain: trusted,
            client: client.clone(),
            calls,
            wallet: operator.clone(),
            config: RegistrationConfig { verifiers: vec![url], ..registration },
        };
        tokio::spawn(keeper.run(stop.clone()));
        let registry = created.registry;
        let (_devnet, _stop) = (devnet, stop.drop_guard());
        let standing = seen;
        Self {
            client,
            calls,
            operator,
            registry,
            admin,
            verifier,
            measurement,
            shared,
            standing,
            _devnet,
            _stop,
        }
    }

    async fn run(&self, draft: &Draft) {
        self.client.execute(&self.operator, draft).await.unwrap();
    }

    fn right(&self) -> Right {
        self.shared.board.read().right
    }

    /// Waits until `good`, and fails after `limit`; says how long it took.
    async fn until(&self, what: &str, limit: Duration, good: impl Fn(&Self) -> bool) -> Duration {
        let started = Instant::now();
        while !good(self) {
            assert!(started.elapsed() < limit, "never {what}: {:?}", self.right());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        started.elapsed()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_registration_is_got_renewed_before_it_ends_and_lost_when_the_measurement_is_retired() {
    let dir = tempfile::tempdir().unwrap();
    let short = RegistrationConfig { lifetime_ms: 9_000, renew_before_ms: 6_000, ..Default::default() };
    let house = House::start(dir.path(), short).await;
    house.until("registered", Duration::from_secs(10), |house| house.right() == Right::Held).await;
    let first = house.shared.board.read().registered_until_ms;
    let renewed = |house: &House| {
        // Between two registrations there is no gap.
        assert_eq!(house.right(), Right::Held);
        house.shared.board.read().registered_until_ms > first
    };
    house.until("renewed", Duration::from_secs(8), renewed).await;
    assert!(house.standing.borrow().is_some());

    let retire = house.calls.retire_measurement(house.registry, house.admin, &house.measurement);
    house.run(&retire).await;
    let lost = |house: &House| house.right().lost().is_some();
    let took = house.until("without its right", Duration::from_secs(60), lost).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(house.right().lost().unwrap().contains("measurement"), "{:?}", house.right());
    assert!(house.standing.borrow().is_none(), "whoever signs looks here");
    assert!(house.shared.status().tee.problem.unwrap().contains("measurement"));

    // The verifier does not vouch for it any more either.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(house.right().lost().is_some());
    house.run(&house.calls.allow_measurement(house.registry, house.admin, &house.measurement)).await;
    house.until("registered again", Duration::from_secs(30), |house| house.right() == Right::Held).await;
}

/// A master that goes back to an earlier build or setting keeps its key, and the registration of the later one may last longer.
#[tokio::test(flavor = "multi_thread")]
async fn the_registration_of_the_code_that_runs_is_the_one_to_speak_by() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), RegistrationConfig::default()).await;
    house.until("registered", Duration::from_secs(10), |house| house.standing.borrow().is_some()).await;
    let ours = house.standing.borrow().as_ref().map(|standing| standing.enclave);
    let other = Measurement::new("simulated", &[("code".to_owned(), vec![7; 48])].into());
    house.run(&house.calls.allow_measurement(house.registry, house.admin, &other)).await;
    let claims = EnclaveClaims {
        cluster: house.shared.facts.cluster,
        measurement: other,
        public_key: house.shared.facts.public_key.to_vec(),
        expires_ms: house.shared.board.read().registered_until_ms + 60_000,
    };
    let verified = claims.sign_all(&[&house.verifier], house.shared.now_ms()).unwrap();
    let draft = house.calls.register_enclave(house.registry, &verified);
    let receipt = house.client.execute(&house.operator, &draft).await.unwrap();
    let seen = |house: &House| house.shared.board.read().chain.checkpoint >= receipt.checkpoint.unwrap();
    house.until("seen", Duration::from_secs(10), seen).await;
    assert_eq!(house.standing.borrow().as_ref().map(|standing| standing.enclave), ours);
    assert_eq!(house.right(), Right::Held);
}

/// Workers' code is on chain too: without it no evidence is taken, retired it takes the label away, and a bound on the platform
/// has everybody show theirs again.
#[tokio::test(flavor = "multi_thread")]
async fn the_chain_says_which_workers_count_as_attested() {
    let dir = tempfile::tempdir().unwrap();
    let house = House::start(dir.path(), RegistrationConfig::default()).await;
    let (calls, registry, admin) = (&house.calls, house.registry, house.admin);
    let (token, key) = (crate::Id([7; 32]), [8; 32]);
    let now_ms = || house.shared.now_ms();
    let offer = |house: &House| {
        let fresh = tee::fresh_nonce().unwrap();
        house.shared.workers.book.lock().offer("n1", token, fresh, house.shared.now_ms())
    };
    let attested = |house: &House| house.shared.workers.book.lock().view(house.shared.now_ms()).len() == 1;
    house.until("registered", Duration::from_secs(10), |house| house.right() == Right::Held).await;
    assert_eq!(offer(&house), None, "that code may be a master makes no worker of it");

    let worker = SimulatedPlatform::open(&dir.path().join("worker"), &tee::measure_bytes(b"worker")).unwrap();
    let code = Measurement::new("simulated", &worker.measurement());
    let allow = calls.allow_worker_measurement(registry, admin, &code);
    let show = || {
        let mut book = house.shared.workers.book.lock();
        let nonce = book.offer("n1", token, [9; 32], now_ms()).unwrap();
        let policy = book.spend("n1", token, &nonce, now_ms()).unwrap();
        let evidence = worker.attest(&[0; 64], now_ms()).unwrap();
        let claims = tee::verify(&evidence, &policy, &[0; 64], now_ms()).unwrap();
        book.record("n1", token, key, &claims, &policy, now_ms()).unwrap()
    };
    house.run(&allow).await;
    house.until("wanted", Duration::from_secs(10), |house| offer(house).is_some()).await;
    let until_ms = show();
    assert!(attested(&house) && until_ms > now_ms() + 200_000);

    let bounds = chain::TcbBounds {
        platform: "simulated".to_owned(),
        components: Vec::new(),
        minimums: Vec::new(),
        statuses: Vec::new(),
        any_advisory: false,
        advisories: Vec::new(),
        max_age_ms: 60_000,
    };
    house.run(&calls.set_tcb_bounds(registry, admin, &bounds)).await;
    house.until("wanted again", Duration::from_secs(10), |house| offer(house).is_some()).await;
    assert!(attested(&house), "for less than a minute it still counts");
    assert!(show() <= now_ms() + 60_000, "older than the chain allows");

    house.run(&calls.retire_worker_measurement(registry, admin, &code)).await;
    let took = house.until("retired", Duration::from_secs(60), |house| !attested(house)).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(offer(&house), None);
}
