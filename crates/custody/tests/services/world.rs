//! A cluster with the real contracts on a development chain, and services over real sockets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use chain::{Admin, Calls, Client, Draft, Event, Keypair, Measurement};
use custody::{Custodian, Listener, OnChain, Registrar, Registration, Verifier, no_collateral};
use devnet::Devnet;
use tee::custody::{Dealing, Member};
use tee::{Anchors, Clock, EnclaveKey, KeyPolicy, Platform, Policy, SimulatedPlatform, measure_bytes};
use tokio_util::sync::CancellationToken;

const SUI: u64 = 1_000_000_000;

pub fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

pub fn clock() -> Clock {
    Arc::new(now_ms)
}

pub struct World {
    pub dir: tempfile::TempDir,
    pub client: Client,
    pub operator: Keypair,
    pub calls: Calls,
    pub cluster: chain::ClusterCreated,
    pub admin: Admin,
    pub stop: CancellationToken,
    _devnet: Devnet,
}

/// A machine: a simulated platform of its own and the enclave's key that it seals.
pub struct Machine {
    pub platform: Arc<dyn Platform>,
    pub key: Arc<EnclaveKey>,
}

impl World {
    pub async fn start() -> Self {
        // reqwest takes the process's provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let devnet = Devnet::start(devnet::Config::in_memory(framework())).await.unwrap();
        let client = Client::connect(&devnet.url()).await.unwrap();
        let operator = Keypair::generate().unwrap();
        devnet.faucet(operator.address(), 100 * SUI).await.unwrap();
        let published = client.publish(&operator, &chain::package::bundled()).await.unwrap();
        let calls = Calls::new(published.package);
        let receipt = client.execute(&operator, &calls.create_cluster("test", true)).await.unwrap();
        let (cluster, admin) = receipt.founded(calls.package()).unwrap();
        let (dir, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
        Self { dir, client, operator, calls, cluster, admin, stop, _devnet: devnet }
    }

    pub async fn run(&self, draft: &Draft) -> Vec<Event> {
        self.client.execute(&self.operator, draft).await.unwrap().events_of(self.calls.package())
    }

    pub fn on_chain(&self) -> OnChain {
        OnChain::new(self.client.clone(), self.calls.package(), self.cluster.cluster)
    }

    pub fn machine(&self, name: &str, code: &[u8]) -> Machine {
        let dir = self.dir.path().join(name);
        let platform = SimulatedPlatform::open(&dir, &measure_bytes(code)).unwrap();
        let sealing = platform.sealing_key(KeyPolicy::Measurement).unwrap();
        let key = EnclaveKey::open_or_create(&dir.join("enclave.key"), &sealing).unwrap();
        Machine { platform: Arc::new(platform), key: Arc::new(key) }
    }

    pub async fn allow(&self, machine: &Machine) {
        let measurement = Measurement::new("simulated", &machine.platform.measurement());
        self.run(&self.calls.allow_measurement(self.cluster.registry, self.admin, &measurement)).await;
    }

    pub async fn set_verifiers(&self, keys: &[&Keypair], threshold: u64) {
        let keys: Vec<[u8; 32]> = keys.iter().map(|key| key.public_key()).collect();
        self.run(&self.calls.set_verifiers(self.cluster.registry, self.admin, &keys, threshold)).await;
    }

    pub async fn serve(&self, router: axum::Router) -> String {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let url = format!("http://{}", listener.address());
        tokio::spawn(listener.serve(router, self.stop.clone()));
        url
    }

    pub async fn verifier(&self, key: &Keypair) -> String {
        let (policy, anchors) = (Policy::default(), Anchors::default());
        let verifier = Verifier::new(key.clone(), self.on_chain(), policy, anchors, no_collateral(), clock());
        self.serve(verifier.router()).await
    }

    pub fn custodian(&self, dir: &Path) -> Arc<Custodian> {
        let (policy, anchors) = (Policy::default(), Anchors::default());
        std::fs::create_dir_all(dir).unwrap();
        Custodian::open(dir, self.on_chain(), policy, anchors, no_collateral(), clock()).unwrap()
    }

    /// Has `machine` registered by the verifiers at `urls`; gives the enclave's object.
    pub async fn register(
        &self,
        machine: &Machine,
        urls: &[String],
    ) -> Result<chain::Address, custody::Error> {
        let verifiers = urls.to_vec();
        let registrar = Registrar { platform: machine.platform.clone(), verifiers, clock: clock() };
        let what = Registration {
            cluster: self.cluster.cluster,
            public_key: machine.key.public_key(),
            ca_hash: [7; 32],
            expires_ms: now_ms() + 3_600_000,
        };
        let registry = self.on_chain().read(None).await.unwrap().registry;
        let verified = registrar.collect(&what, &registry).await?;
        let events = self.run(&self.calls.register_enclave(self.cluster.registry, &verified)).await;
        let [Event::EnclaveRegistered(registered)] = &events[..] else { panic!("{events:?}") };
        Ok(registered.enclave)
    }

    /// Puts `machine`'s enclave at the cluster's place.
    pub async fn announce(&self, machine: &Machine, enclave: chain::Address) {
        let place = chain::Place {
            cluster: self.cluster.cluster,
            gateway: "https://127.0.0.1:9345".into(),
            apiserver: "https://127.0.0.1:6443".into(),
            ca_hash: vec![7; 32],
        };
        let now = now_ms();
        let signature = machine.key.sign(chain::INTENT_ENDPOINT, now, &place.payload(enclave).unwrap());
        self.run(&self.calls.set_place(self.cluster.registry, enclave, &place, now, &signature)).await;
    }

    /// Allows, registers and announces a first master.
    pub async fn first_master(&self, code: &[u8]) -> Machine {
        self.first_enclave(code).await.0
    }

    /// The same, with its registration.
    pub async fn first_enclave(&self, code: &[u8]) -> (Machine, chain::Address) {
        let machine = self.machine("first", code);
        self.allow(&machine).await;
        let verifier = Keypair::generate().unwrap();
        self.set_verifiers(&[&verifier], 1).await;
        let url = self.verifier(&verifier).await;
        let enclave = self.register(&machine, &[url]).await.unwrap();
        self.announce(&machine, enclave).await;
        (machine, enclave)
    }

    pub fn asking(&self, machine: &Machine, enclave: Option<chain::Address>) -> custody::Asking {
        custody::Asking {
            platform: machine.platform.clone(),
            cluster: self.cluster.cluster.into_inner(),
            enclave_key: machine.key.public_key(),
            enclave,
            clock: clock(),
        }
    }

    pub fn deal(
        &self,
        secret: &tee::ClusterSecret,
        threshold: u8,
        members: Vec<Member>,
        dealer: &Machine,
    ) -> Dealing {
        let cluster = self.cluster.cluster.into_inner();
        Dealing::deal(secret, cluster, threshold, members, &dealer.key, now_ms()).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn framework() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    let path = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}
