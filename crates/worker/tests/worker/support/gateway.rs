//! A small gateway behind real TLS, with knobs for everything that can be wrong with a master.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ::tunnel::tokio_tungstenite::WebSocketStream;
use ::tunnel::tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use ::tunnel::tokio_tungstenite::tungstenite::protocol::Role as WebSocketRole;
use ::tunnel::{Link, Role};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    PublicKeyData,
};
use rustls::pki_types::PrivateKeyDer;
use seal_token::{Limits, Proof, TokenRecord};
use tee::{EnclaveKey, KeyPolicy, Platform, PlatformKind, SimulatedPlatform};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use worker::ObjectId;
use worker::agent::Target;

use super::{SEAL, TOKEN_ID, now_ms};

pub struct Ca {
    pub certificate: Certificate,
    pub issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub fn hash(&self) -> [u8; 32] {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.certificate.der());
        digest.as_ref().try_into().unwrap()
    }
}

/// What is wrong with the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// `/cacerts` gives a CA that the chain does not know; TLS fits it.
    OtherCa,
    /// `/cacerts` gives the CA on chain, TLS is under another.
    OtherTls,
    /// A certificate of the CA on chain, without evidence.
    NoEvidence,
    /// A certificate of the CA on chain whose evidence is an hour old.
    OldEvidence,
    /// A certificate of the CA on chain with the master's evidence for another key.
    CopiedEvidence,
    /// A certificate of the CA on chain with evidence of code that the chain does not allow.
    OtherCodeInTls,
    /// A certificate of the CA on chain with something else where evidence belongs.
    GarbageInTls,
    /// Two certificates where one belongs.
    TwoCas,
    /// Evidence for code that the chain does not allow.
    OtherCode,
    /// Names another enclave key, honestly attested.
    OtherKey,
    /// Names the key on chain, but its evidence is for another.
    StolenName,
    /// Evidence over an earlier nonce.
    StaleNonce,
    /// Evidence with a flipped bit.
    Tampered,
    /// Evidence that is no evidence.
    Garbage,
    /// Evidence from an hour ago.
    Old,
    /// An answer without end.
    Endless,
    /// Sends the client elsewhere.
    Redirect,
}

/// The state of one fake gateway.
pub struct Gateway {
    pub ca: Ca,
    pub platform: SimulatedPlatform,
    pub enclave: EnclaveKey,
    /// What the gateway knows of the worker's token.
    pub record: Mutex<TokenRecord>,
    pub fault: Mutex<Fault>,
    /// Refuse every proof with this reason.
    pub refuse: Mutex<Option<&'static str>>,
    /// Life of the certificates, seconds.
    pub certificate_life_s: Mutex<i64>,
    /// Every Authorization header that ever came, with its path.
    pub authorizations: Mutex<Vec<(String, String)>>,
    pub calls: Mutex<Vec<String>>,
    pub beats: Mutex<Vec<api::Heartbeat>>,
    /// What the next heartbeat's answer asks evidence for.
    pub wanted_nonce: Mutex<Option<[u8; 32]>>,
    /// Refuse evidence with this reason.
    pub refuse_evidence: Mutex<Option<&'static str>>,
    /// Evidence that came, with what it said: bound to the key of its connection, or not.
    pub evidence: Mutex<Vec<Result<tee::Claims, String>>>,
    /// What it keeps of epochs: each with the proof of this worker's share, or none.
    pub rewards: Mutex<Vec<(u64, Option<api::RewardProof>)>>,
    /// The tunnel that the worker has open.
    pub tunnel: Mutex<Option<Link>>,
    nonces: Mutex<HashSet<[u8; 16]>>,
    _dir: tempfile::TempDir,
}

impl Gateway {
    pub fn new(holder_key: [u8; 32]) -> Arc<Self> {
        let record = TokenRecord {
            token_id: TOKEN_ID,
            public_key: holder_key,
            seal: SEAL,
            expires_ms: u64::MAX,
            revoked: false,
            stake_covers_tier: true,
        };
        let dir = tempfile::tempdir().unwrap();
        let platform = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(b"released code")).unwrap();
        let sealing = platform.sealing_key(KeyPolicy::Measurement).unwrap();
        let enclave = EnclaveKey::open_or_create(&dir.path().join("enclave.key"), &sealing).unwrap();
        Arc::new(Self {
            ca: Ca::new("cluster CA"),
            platform,
            enclave,
            record: Mutex::new(record),
            fault: Mutex::new(Fault::None),
            refuse: Mutex::new(None),
            certificate_life_s: Mutex::new(3600),
            authorizations: Mutex::default(),
            calls: Mutex::default(),
            beats: Mutex::default(),
            wanted_nonce: Mutex::default(),
            refuse_evidence: Mutex::default(),
            evidence: Mutex::default(),
            rewards: Mutex::default(),
            tunnel: Mutex::default(),
            nonces: Mutex::default(),
            _dir: dir,
        })
    }

    pub fn target(&self, address: SocketAddr) -> Target {
        Target {
            endpoint: format!("https://{address}"),
            ca_hash: self.ca.hash(),
            enclave_id: [0xe0; 32],
            enclave_key: self.enclave.public_key(),
            enclave_expires_ms: now_ms() + 3_600_000,
            code_retires_ms: u64::MAX,
            allowed: vec![(PlatformKind::Simulated, self.platform.measurement())],
            bounds: Vec::new(),
        }
    }

    pub fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    /// Every proof that came, checked: each is valid for this cluster and none came twice.
    pub fn proofs(&self) -> Vec<Proof> {
        let headers = self.authorizations.lock().clone();
        headers.iter().map(|(_, header)| proof_of(header).unwrap()).collect()
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Response> {
        let header = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let refuse = |reason: &str| error(StatusCode::UNAUTHORIZED, reason, "this proof is not good");
        let proof = proof_of(header).ok_or_else(|| refuse("malformed"))?;
        if let Some(reason) = *self.refuse.lock() {
            return Err(refuse(reason));
        }
        let record = self.record.lock().clone();
        let limits = Limits { max_window_ms: 300_000, max_clock_skew_ms: 5_000 };
        seal_token::verify(&proof, &self.ca.hash(), Some(&record), now_ms(), &limits)
            .map_err(|refusal| refuse(refusal.reason()))?;
        if !self.nonces.lock().insert(proof.claims.nonce) {
            return Err(refuse("replayed"));
        }
        Ok(())
    }
}

async fn reward_epochs(State(gateway): State<Arc<Gateway>>) -> Response {
    let epochs = gateway.rewards.lock().iter().map(|(number, _)| *number).collect();
    axum::Json(api::RewardEpochs { epochs }).into_response()
}

async fn reward_proof(
    State(gateway): State<Arc<Gateway>>,
    Path((epoch, stake)): Path<(u64, String)>,
) -> Response {
    let kept = gateway
        .rewards
        .lock()
        .iter()
        .find(|(number, _)| *number == epoch)
        .and_then(|(_, proof)| proof.clone());
    match kept.filter(|proof| proof.stake == stake) {
        Some(proof) => axum::Json(proof).into_response(),
        None => {
            error(StatusCode::NOT_FOUND, "not_kept", "this stake has no share in an epoch of this number")
        }
    }
}

fn proof_of(header: &str) -> Option<Proof> {
    let text = match header.split_once(' ')? {
        ("Bearer", proof) => proof.to_owned(),
        ("Basic", encoded) => {
            let pair = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
            pair.strip_prefix("seal:")?.to_owned()
        }
        _ => return None,
    };
    text.parse().ok()
}

fn error(status: StatusCode, reason: &str, message: &str) -> Response {
    let body = api::ErrorBody { reason: reason.to_owned(), message: message.to_owned() };
    (status, axum::Json(body)).into_response()
}

/// A gateway that listens; stops when dropped.
pub struct Running {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn start(gateway: &Arc<Gateway>) -> Running {
    start_at(gateway, (Ipv4Addr::LOCALHOST, 0).into()).await
}

pub async fn start_at(gateway: &Arc<Gateway>, address: SocketAddr) -> Running {
    let other = Ca::new("another CA");
    let fault = *gateway.fault.lock();
    let tls_ca = if matches!(fault, Fault::OtherCa | Fault::OtherTls) { &other } else { &gateway.ca };
    let shown_ca = if fault == Fault::OtherCa { &other } else { &gateway.ca };
    let cacerts = match fault {
        Fault::TwoCas => gateway.ca.certificate.pem() + &other.certificate.pem(),
        _ => shown_ca.certificate.pem(),
    };

    let (key, certificate) = certificate(gateway, tls_ca, fault);
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients(gateway))
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));

    let join = |name: &str| format!("/v1-k3s/{name}");
    let router = Router::new()
        .route("/cacerts", get(async move || cacerts))
        .route("/api/v1/attestation", get(attestation))
        .route("/api/v1/nodes/heartbeat", post(heartbeat))
        .route("/api/v1/nodes/attestation", post(evidence))
        .route("/api/v1/rewards", get(reward_epochs))
        .route("/api/v1/rewards/{epoch}/{stake}", get(reward_proof))
        .route(&join("client-kubelet.crt"), post(sign))
        .route(&join("serving-kubelet.crt"), post(sign))
        .route(&join("client-kube-proxy.crt"), post(sign))
        .route(&join("client-ca.crt"), get(ca_file))
        .route(&join("server-ca.crt"), get(ca_file))
        .route(&join("apiservers"), get(apiservers))
        .route(&join("config"), get(config))
        .route(&join("connect"), get(connect))
        .layer(middleware::from_fn_with_state(Arc::clone(gateway), record))
        .with_state(Arc::clone(gateway));
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, router) = (acceptor.clone(), router.clone());
            connections.spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let leaf = stream.get_ref().1.peer_certificates().map(|chain| chain[0].to_vec());
                let service = TowerToHyperService::new(router.layer(axum::Extension(Leaf(leaf))));
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection_with_upgrades(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    Running { address, task }
}

/// The client's certificate, if it showed one.
#[derive(Clone)]
struct Leaf(Option<Vec<u8>>);

/// Takes the certificates that this gateway has signed.
fn clients(gateway: &Gateway) -> Arc<dyn rustls::server::danger::ClientCertVerifier> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(gateway.ca.certificate.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .allow_unauthenticated()
        .build()
        .unwrap()
}

/// A TLS key and a certificate with evidence for it, or what a man in the middle has.
fn certificate(gateway: &Gateway, ca: &Ca, fault: Fault) -> (KeyPair, Certificate) {
    let key = KeyPair::generate().unwrap();
    let copied_from = KeyPair::generate().unwrap();
    let other_dir = tempfile::tempdir().unwrap();
    let other = SimulatedPlatform::open(other_dir.path(), &tee::measure_bytes(b"patched code")).unwrap();
    let made_ms = if fault == Fault::OldEvidence { now_ms() - 3_600_000 } else { now_ms() };
    let attested_key = if fault == Fault::CopiedEvidence { &copied_from } else { &key };
    let platform = if fault == Fault::OtherCodeInTls { &other } else { &gateway.platform };
    let spki = attested_key.subject_public_key_info();
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let from_s = made_ms / 1000 - tee::CERTIFICATE_LEAD_SECONDS;
    params.not_before = time::OffsetDateTime::from_unix_timestamp(from_s.try_into().unwrap()).unwrap();
    params.custom_extensions = match fault {
        Fault::NoEvidence => vec![],
        Fault::GarbageInTls => vec![rcgen::CustomExtension::from_oid_content(&tee::CMW_OID, vec![4, 1, 0])],
        _ => vec![tee::attested_extension(platform, &spki, made_ms).unwrap()],
    };
    let certificate = params.signed_by(&key, &ca.issuer).unwrap();
    (key, certificate)
}

async fn record(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    gateway.calls.lock().push(path.clone());
    if let Some(header) = request.headers().get("authorization") {
        gateway.authorizations.lock().push((path, header.to_str().unwrap().to_owned()));
    }
    next.run(request).await
}

async fn attestation(State(gateway): State<Arc<Gateway>>, query: Query<api::AttestationQuery>) -> Response {
    let mut nonce = [0; 32];
    hex::decode_to_slice(&query.nonce, &mut nonce).unwrap();
    let other_dir = tempfile::tempdir().unwrap();
    let other = SimulatedPlatform::open(other_dir.path(), &tee::measure_bytes(b"patched code")).unwrap();
    let fault = *gateway.fault.lock();
    let mut platform = &gateway.platform;
    let (mut named_key, mut attested_key) = (gateway.enclave.public_key(), gateway.enclave.public_key());
    let mut made_ms = now_ms();
    match fault {
        Fault::OtherCode => platform = &other,
        Fault::OtherKey => (named_key, attested_key) = ([9; 32], [9; 32]),
        Fault::StolenName => attested_key = [9; 32],
        Fault::StaleNonce => nonce = [0; 32],
        Fault::Old => made_ms -= 3_600_000,
        Fault::Endless => return vec![b' '; 8 << 20].into_response(),
        Fault::Redirect => {
            return (StatusCode::FOUND, [("location", "https://127.0.0.1:1/elsewhere")]).into_response();
        }
        _ => {}
    }
    let report_data = tee::report_data(&nonce, &attested_key, &gateway.ca.hash());
    let mut evidence = platform.attest(&report_data, made_ms).unwrap().encode();
    match fault {
        Fault::Tampered => *evidence.last_mut().unwrap() ^= 1,
        Fault::Garbage => evidence = b"no evidence".to_vec(),
        _ => {}
    }
    let reply = api::AttestationReply {
        platform: "simulated".to_owned(),
        simulated: true,
        evidence: STANDARD.encode(evidence),
        enclave_id: ObjectId([0xe0; 32]).to_string(),
        public_key: hex::encode(named_key),
        ca_hash: hex::encode(gateway.ca.hash()),
        timestamp_ms: made_ms,
    };
    axum::Json(reply).into_response()
}

async fn sign(State(gateway): State<Arc<Gateway>>, headers: HeaderMap, csr: Bytes) -> Response {
    if let Err(refused) = gateway.authorize(&headers) {
        return refused;
    }
    for name in ["k3s-node-name", "k3s-node-ip", "k3s-node-password"] {
        assert!(headers.contains_key(name), "{name}");
    }
    let mut request = CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
    let life = time::Duration::seconds(*gateway.certificate_life_s.lock());
    request.params.not_before = time::OffsetDateTime::now_utc();
    request.params.not_after = request.params.not_before + life;
    request.signed_by(&gateway.ca.issuer).unwrap().pem().into_response()
}

/// The master's end of a tunnel.
async fn connect(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    assert_eq!(request.headers()["k3s-node-name"], "worker-1");
    let accept = derive_accept_key(request.headers()["sec-websocket-key"].as_bytes());
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let stream = TokioIo::new(upgrade.await.unwrap());
        let config = Some(Link::websocket_config());
        let websocket = WebSocketStream::from_raw_socket(stream, WebSocketRole::Server, config).await;
        let link = Link::new(Role::Master, ::tunnel::Limits::default());
        *gateway.tunnel.lock() = Some(link.clone());
        ::tunnel::run(websocket, &link, |_| {}).await;
    });
    let headers = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-accept", &accept)];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

async fn ca_file(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    match gateway.authorize(&headers) {
        Ok(()) => gateway.ca.certificate.pem().into_response(),
        Err(refused) => refused,
    }
}

async fn apiservers(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    match gateway.authorize(&headers) {
        Ok(()) => axum::Json(["127.0.0.1:6443"]).into_response(),
        Err(refused) => refused,
    }
}

async fn config(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    match gateway.authorize(&headers) {
        Ok(()) => axum::Json(serde_json::json!({
            "ClusterDomain": "cluster.local",
            "k3sDaas": {
                "clusterDomain": "cluster.local",
                "clusterDns": "10.43.0.10",
                "clusterCidr": "10.42.0.0/16",
            },
        }))
        .into_response(),
        Err(refused) => refused,
    }
}

async fn heartbeat(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    axum::Json(beat): axum::Json<api::Heartbeat>,
) -> Response {
    if let Err(refused) = gateway.authorize(&headers) {
        return refused;
    }
    gateway.beats.lock().push(beat);
    let attestation_nonce = gateway.wanted_nonce.lock().map(hex::encode);
    axum::Json(api::HeartbeatReply { timestamp_ms: now_ms(), interval_ms: 500, attestation_nonce })
        .into_response()
}

async fn evidence(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(Leaf(leaf)): axum::Extension<Leaf>,
    axum::Json(shown): axum::Json<api::NodeEvidence>,
) -> Response {
    use x509_parser::prelude::FromDer;
    let Some(nonce) = gateway.wanted_nonce.lock().take() else {
        return error(StatusCode::CONFLICT, "stale_evidence", "no nonce was given");
    };
    let leaf = leaf.expect("the node's certificate was not shown");
    let (_, leaf) = x509_parser::certificate::X509Certificate::from_der(&leaf).unwrap();
    let key = ring::digest::digest(&ring::digest::SHA256, leaf.public_key().raw);
    let key: [u8; 32] = key.as_ref().try_into().unwrap();
    assert_eq!((&shown.nonce, &shown.key_sha256), (&hex::encode(nonce), &hex::encode(key)));
    assert_eq!(shown.token_id, ObjectId(TOKEN_ID).to_string());
    let report_data = tee::node_report_data(&nonce, &[0xc1; 32], &TOKEN_ID, &key);
    let policy = tee::Policy { any_code: true, allow_simulated: true, ..tee::Policy::default() };
    let verified = tee::Evidence::decode(&STANDARD.decode(&shown.evidence).unwrap())
        .map_err(|error| error.to_string())
        .and_then(|evidence| {
            tee::verify(&evidence, &policy, &report_data, now_ms()).map_err(|refusals| refusals.to_string())
        });
    gateway.evidence.lock().push(verified);
    if let Some(reason) = *gateway.refuse_evidence.lock() {
        return error(StatusCode::FORBIDDEN, reason, "this evidence is not good");
    }
    axum::Json(api::NodeAttested {
        platform: "simulated".to_owned(),
        simulated: true,
        verified_ms: now_ms(),
        expires_ms: now_ms() + 300_000,
    })
    .into_response()
}
