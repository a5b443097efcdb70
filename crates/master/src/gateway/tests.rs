//! The gateway over real TLS, with the membership fed by hand: every refusal reason and every bad input.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use engine::control_plane::{SERVICE_ACCOUNT_ISSUER, WEBHOOK_CLIENT};
use engine::pki::{ClusterPki, Identity, Profile};
use reqwest::{Client, RequestBuilder, Response};
use seal_token::{Claims, Proof};
use serde_json::{Value, json};
use tee::{Evidence, Platform, SimulatedPlatform};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Gateway, GatewayLimits};
use crate::Id;
use crate::board::Board;
use crate::config::ClusterNetwork;
use crate::health::HealthLimits;
use crate::membership::{Fact, Limits, Refusal, Requirements, Stake, Tier, Token};
use crate::shared::{Facts, Shared};
use crate::tls::GatewayTls;

mod beats;
mod crowd;
mod evidence;
mod evidence_crowd;
mod inputs;
mod joining;
mod k3s_agent;
mod ledger;
mod reviews;
mod tunnels;

const START: u64 = 1_900_000_000_000;
const WINDOW_MS: u64 = 60_000;
const NODE: Id = Id([0xa1; 32]);
const USER: Id = Id([0xa2; 32]);
const ADMIN: Id = Id([0xa3; 32]);
const OWNER: Id = Id([0x0e; 32]);

/// A gateway on a loopback port with three live tokens: node `n1`, a user's and an administrator's.
struct House {
    shared: Arc<Shared>,
    pki: Arc<ClusterPki>,
    address: SocketAddr,
    now_ms: Arc<AtomicU64>,
    nonce: AtomicU64,
    _stop: DropGuard,
    _dir: tempfile::TempDir,
}

fn key(token: Id) -> SigningKey {
    SigningKey::from_bytes(&[token.0[0]; 32])
}

fn stake_of(token: Id) -> Id {
    let mut id = token;
    id.0[31] = 0x57;
    id
}

fn token(id: Id) -> Token {
    Token {
        id,
        stake: stake_of(id),
        public_key: key(id).verifying_key().to_bytes(),
        seal: [3; 32],
        node_name: (id == NODE).then(|| "n1".to_owned()),
        generation: 1,
        expires_ms: START + 3_600_000,
        revoked: false,
    }
}

fn stake(id: Id) -> Stake {
    let tier = match id {
        NODE => Tier::Node,
        USER => Tier::User,
        _ => Tier::Admin,
    };
    Stake { id: stake_of(id), owner: OWNER, tier, amount_mist: 10_000, active: true }
}

impl House {
    async fn new() -> Self {
        Self::with(GatewayLimits::default()).await
    }

    async fn with(limits: GatewayLimits) -> Self {
        Self::on(limits, |platform| Arc::new(platform)).await
    }

    /// On a platform that is made of the simulated one.
    async fn on(
        limits: GatewayLimits,
        platform: impl FnOnce(SimulatedPlatform) -> Arc<dyn Platform>,
    ) -> Self {
        Self::built(limits, platform, |shared| shared).await
    }

    /// The same, with what the gateway shares changed before it is.
    async fn built(
        limits: GatewayLimits,
        platform: impl FnOnce(SimulatedPlatform) -> Arc<dyn Platform>,
        change: impl FnOnce(Shared) -> Shared,
    ) -> Self {
        let made = platform;
        let dir = tempfile::tempdir().unwrap();
        // Certificates carry real dates, so the clock starts at the real time.
        let real = crate::shared::system_clock()();
        let now_ms = Arc::new(AtomicU64::new(START));
        let ticking = now_ms.clone();
        let pki = Arc::new(ClusterPki::generate(real).unwrap());
        let platform = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(b"code")).unwrap();
        let facts = Facts {
            cluster: chain::Address::new([0xcc; 32]),
            cluster_id: Id([0xcc; 32]).to_string(),
            ca_hash: pki.ca_der_sha256().unwrap(),
            public_key: [0xee; 32],
            kubernetes_version: "v0".into(),
            apiservers: vec!["127.0.0.1:6443".into()],
            apiserver_port: 6443,
            supervisor_port: 9345,
            network: ClusterNetwork::default(),
            certificate_lifetime_ms: 3_600_000,
        };
        let membership_limits = Limits {
            proof: seal_token::Limits { max_window_ms: WINDOW_MS, max_clock_skew_ms: 1_000 },
            chain_silence_ms: 10_000,
        };
        let shared = Shared::new(
            facts,
            Arc::new(move || ticking.load(Ordering::SeqCst)),
            membership_limits,
            HealthLimits::default(),
            Board::new("http://chain".into()),
            pki.clone(),
            made(platform),
        );
        let shared = Arc::new(change(shared));
        let tls = GatewayTls::new(pki.clone(), shared.platform.clone(), &[], real).unwrap();
        let tls = tls.server_config().unwrap();
        let gateway =
            Gateway::bind("127.0.0.1:0".parse().unwrap(), tls, limits, shared.clone()).await.unwrap();
        let address = gateway.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(gateway.serve(stop.clone()));
        let house = Self {
            shared,
            pki,
            address,
            now_ms,
            nonce: AtomicU64::new(0),
            _stop: stop.drop_guard(),
            _dir: dir,
        };
        house.tell(Fact::Requirements(Requirements { node_mist: 100, user_mist: 1000, admin_mist: 10_000 }));
        for id in [NODE, USER, ADMIN] {
            house.tell(Fact::Stake(stake(id)));
            house.tell(Fact::Token(token(id)));
        }
        house.shared.membership.write().chain_contact(START);
        house
    }

    fn tell(&self, fact: Fact) {
        self.shared.membership.write().apply(fact);
    }

    fn wait(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The chain answers, now.
    fn contact(&self) {
        let now_ms = self.shared.now_ms();
        self.shared.membership.write().chain_contact(now_ms);
    }

    fn claims(&self, token: Id) -> Claims {
        let now_ms = self.shared.now_ms();
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&self.nonce.fetch_add(1, Ordering::SeqCst).to_le_bytes());
        Claims {
            version: seal_token::VERSION,
            token_id: token.0,
            seal: [3; 32],
            audience: self.pki.ca_der_sha256().unwrap(),
            not_before_ms: now_ms,
            not_after_ms: now_ms + WINDOW_MS,
            nonce,
        }
    }

    fn proof(&self, token: Id) -> String {
        Proof::mint(&key(token), self.claims(token)).to_string()
    }

    /// Time passes as it does in a master: a second at a time.
    fn pass(&self, seconds: u64) {
        for _ in 0..seconds {
            self.wait(1_000);
            self.shared.tick();
        }
    }

    fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    fn client(&self, identity: Option<&Identity>) -> Client {
        let tls = engine::tls::client(self.pki.ca_pem(), identity).unwrap();
        Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
    }

    /// A client with a certificate of the cluster's client CA.
    fn client_as(&self, user: &str, groups: &[&str]) -> Client {
        let real = crate::shared::system_clock()();
        let identity = self.pki.issue(&Profile::client(user, groups, 3600), real).unwrap();
        self.client(Some(&identity))
    }

    /// How often `reason` was counted as a refusal.
    fn refused(&self, reason: &str) -> u64 {
        self.metric(&format!("k3s_daas_token_refusals_total{{reason=\"{reason}\"}}"))
    }

    fn metric(&self, series: &str) -> u64 {
        let text = self.shared.metrics.text();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        line.unwrap_or(0)
    }
}

async fn expect(request: RequestBuilder, status: u16, reason: &str) -> String {
    problem(request.send().await.unwrap(), status, reason).await
}

/// Checks an answer that is not a success; gives its message.
async fn problem(response: Response, status: u16, reason: &str) -> String {
    let found = response.status().as_u16();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    let body: api::ErrorBody = serde_json::from_str(&text).unwrap();
    assert_eq!(body.reason, reason, "{text}");
    assert!(body.message.len() > 10, "{text}");
    body.message
}

fn csr() -> Vec<u8> {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::default().serialize_request(&key).unwrap().der().to_vec()
}
