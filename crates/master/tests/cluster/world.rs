//! A development chain with the contracts, and a master with a real control plane over it.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chain::{
    Admin, Calls, Client, Draft, EnclaveClaims, Event, Keypair, Keystore, Measurement, Tier, TokenIssued,
};
use devnet::Devnet;
use ed25519_dalek::SigningKey;
use engine::pki::Identity;
use master::{Config, Id, Master};
use seal_token::{Claims, Proof};
use zeroize::Zeroizing;

use crate::wire::Wire;

const SUI: u64 = 1_000_000_000;
/// How long the chain may be silent in these tests.
pub(crate) const SILENCE_MS: u64 = 2_000;

/// Chain, contracts, and what belongs to a master.
pub(crate) struct World {
    pub(crate) devnet: Devnet,
    pub(crate) wire: Wire,
    pub(crate) client: Client,
    pub(crate) calls: Calls,
    pub(crate) cluster: chain::ClusterCreated,
    pub(crate) admin: Admin,
    pub(crate) operator: Keypair,
    pub(crate) config: Config,
    pub(crate) ca_hash: [u8; 32],
}

/// A wallet with a stake and the holder key of its token.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) wallet: Keypair,
    pub(crate) key: SigningKey,
    pub(crate) token: TokenIssued,
}

impl World {
    /// Publishes, makes the cluster, and registers the enclave of the master that will live in `dir`.
    pub(crate) async fn start(dir: &Path) -> Self {
        Self::start_with(dir, |_| ()).await
    }

    /// The same, with what `change` makes of the master's configuration.
    pub(crate) async fn start_with(dir: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let devnet = Devnet::start(devnet::Config::in_memory(framework())).await.unwrap();
        let client = Client::connect(&devnet.url()).await.unwrap();
        let operator = Keypair::generate().unwrap();
        devnet.faucet(operator.address(), 100 * SUI).await.unwrap();
        let package = client.publish(&operator, &chain::package::bundled()).await.unwrap().package;
        let calls = Calls::new(package);
        let receipt = client.execute(&operator, &calls.create_cluster("test", true)).await.unwrap();
        let (cluster, admin) = receipt.founded(package).unwrap();
        let keystore = dir.join("sui.keystore");
        Keystore::open(&keystore).unwrap().insert(operator.clone()).unwrap();
        let wire = Wire::to(devnet.local_addr()).await;
        let mut config = config(dir, &wire, &cluster, package, keystore);
        change(&mut config);
        let identity = master::identity(&config, master::kept(&config).unwrap()).unwrap();
        let world =
            Self { devnet, wire, client, calls, cluster, admin, operator, config, ca_hash: identity.ca_hash };
        world.register(&identity).await;
        world
    }

    async fn register(&self, identity: &master::Identity) {
        let registry = self.cluster.registry;
        let measurement = Measurement::new(identity.platform.as_str(), &identity.measurement);
        self.run(&self.operator, &self.calls.allow_measurement(registry, self.admin, &measurement)).await;
        let verifier = Keypair::generate().unwrap();
        let verifiers = [verifier.public_key()];
        self.run(&self.operator, &self.calls.set_verifiers(registry, self.admin, &verifiers, 1)).await;
        let claims = EnclaveClaims {
            cluster: self.cluster.cluster,
            measurement,
            public_key: identity.public_key.to_vec(),
            expires_ms: now_ms() + 3_600_000,
        };
        let verified = claims.sign_all(&[&verifier], now_ms()).unwrap();
        self.run(&self.operator, &self.calls.register_enclave(registry, &verified)).await;
    }

    pub(crate) async fn run(&self, wallet: &Keypair, draft: &Draft) -> Vec<Event> {
        self.client.execute(wallet, draft).await.unwrap().events_of(self.calls.package())
    }

    /// A new wallet that stakes in `tier` and has a token issued.
    pub(crate) async fn stake(&self, tier: Tier, node_name: &str) -> Holder {
        let wallet = Keypair::generate().unwrap();
        self.devnet.faucet(wallet.address(), SUI).await.unwrap();
        let draft = self.calls.stake(self.cluster.cluster, tier, 10_000);
        let events = self.run(&wallet, &draft).await;
        let [Event::Staked(staked)] = &events[..] else { panic!("{events:?}") };
        let mut seed = [0; 32];
        seed.copy_from_slice(&wallet.address().into_inner());
        let key = SigningKey::from_bytes(&seed);
        let public_key = key.verifying_key().to_bytes();
        let (cluster, names) = (self.cluster.cluster, self.cluster.names);
        let draft = self.calls.issue_token(staked.stake, cluster, names, &public_key, node_name);
        let events = self.run(&wallet, &draft).await;
        let [Event::TokenIssued(token)] = &events[..] else { panic!("{events:?}") };
        Holder { wallet, key, token: token.clone() }
    }

    pub(crate) async fn grant(&self, holder: &Holder, namespace: &str, role: &str) {
        let (cluster, grantee) = (self.cluster.cluster, holder.wallet.address());
        self.run(&self.operator, &self.calls.grant(cluster, self.admin, grantee, namespace, role)).await;
    }

    pub(crate) fn proof(&self, holder: &Holder) -> String {
        proof(self.ca_hash, holder)
    }

    pub(crate) async fn master(&self) -> Master {
        let master = Master::start(self.config.clone()).await.unwrap();
        master.ready(Duration::from_secs(60)).await.unwrap();
        master
    }

    /// A client of gateway and apiserver that trusts what `/cacerts` says, once it fits the chain.
    pub(crate) async fn https(&self, identity: Option<&Identity>) -> reqwest::Client {
        let unverified =
            reqwest::Client::builder().tls_backend_preconfigured(insecure()).no_proxy().build().unwrap();
        let url = format!("{}/cacerts", self.config.gateway_url);
        let ca = unverified.get(url).send().await.unwrap().text().await.unwrap();
        let tls = engine::tls::client(&ca, identity).unwrap();
        reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
    }

    /// Has the gateway sign a certificate for a new key.
    pub(crate) async fn certificate(&self, holder: &Holder, what: &str) -> Result<Identity, (u16, String)> {
        let key = rcgen::KeyPair::generate().unwrap();
        let csr = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
        let response = self
            .https(None)
            .await
            .post(format!("{}/v1-k3s/{what}.crt", self.config.gateway_url))
            .basic_auth("seal", Some(self.proof(holder)))
            .header("k3s-Node-Name", &holder.token.node_name)
            .header("k3s-Node-IP", "127.0.0.1")
            .body(csr.der().to_vec())
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        if status != 200 {
            let body: api::ErrorBody = serde_json::from_str(&text).unwrap();
            return Err((status, body.reason));
        }
        Ok(Identity { certificate: text, key: Zeroizing::new(key.serialize_pem()) })
    }
}

pub(crate) fn proof(ca_hash: [u8; 32], holder: &Holder) -> String {
    let now_ms = now_ms();
    let claims = Claims {
        version: seal_token::VERSION,
        token_id: holder.token.token.into_inner(),
        seal: holder.token.seal[..].try_into().unwrap(),
        audience: ca_hash,
        not_before_ms: now_ms,
        not_after_ms: now_ms + 60_000,
        nonce: now_ms.to_le_bytes().repeat(2).try_into().unwrap(),
    };
    Proof::mint(&holder.key, claims).to_string()
}

fn config(
    dir: &Path,
    wire: &Wire,
    cluster: &chain::ClusterCreated,
    package: chain::Address,
    keystore: PathBuf,
) -> Config {
    let (gateway, apiserver) = (free_address(), free_address());
    let mut config = Config {
        state_dir: dir.join("master"),
        listen: gateway,
        apiserver_listen: apiserver,
        gateway_url: format!("https://{gateway}"),
        apiserver_url: format!("https://{apiserver}"),
        kubernetes_binary: kubernetes(),
        ..Config::default()
    };
    config.chain.url = format!("http://{}", wire.address);
    config.chain.package = Some(Id(package.into_inner()));
    config.chain.cluster = Some(Id(cluster.cluster.into_inner()));
    config.chain.gas_keystore = Some(keystore);
    config.chain.silence_ms = SILENCE_MS;
    config.health.interval_ms = 500;
    config.health.suspect_after_ms = 1_500;
    config.health.down_after_ms = 4_000;
    config.health.ready_after_ms = 1_000;
    config.health.drain_before_ms = 1_000;
    config.reconcile_interval_ms = 1_000;
    config
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn framework() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/framework.bcs");
    let path = std::env::var_os("K3S_DAAS_FRAMEWORK").map_or_else(|| default.into(), PathBuf::from);
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}

fn kubernetes() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bin/kubernetes");
    path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}: run `make build`", path.display()))
}

/// TLS that trusts anybody, for the one call that has nothing to trust yet.
fn insecure() -> rustls::ClientConfig {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

    #[derive(Debug)]
    struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }
        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
        }
    }

    rustls::ClientConfig::builder_with_provider(std::sync::Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(Anybody))
        .with_no_client_auth()
}

pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
