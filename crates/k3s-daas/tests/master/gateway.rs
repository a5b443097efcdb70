//! A gateway behind real TLS that attests, or cheats.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use tee::{Platform, SimulatedPlatform};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What is wrong with the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Its TLS certificate is of another CA than `/cacerts` shows.
    OtherTls,
    /// A certificate of the CA, without evidence.
    NoEvidence,
    /// A certificate of the CA with evidence that is an hour old.
    OldEvidence,
    /// A certificate of the CA that has ended.
    Ended,
    /// A certificate of the CA with the master's evidence for another key.
    CopiedEvidence,
    /// Other code, honestly attested.
    OtherCode,
    /// Evidence for an earlier nonce.
    StaleNonce,
    /// Another enclave key, honestly attested.
    OtherEnclave,
    /// No HTTP to speak of.
    Broken,
}

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) ca_hash: [u8; 32],
    pub(crate) platform: SimulatedPlatform,
    pub(crate) fault: Arc<Mutex<Fault>>,
    _runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

struct Desk {
    ca: Certificate,
    ca_hash: [u8; 32],
    issuer: Issuer<'static, KeyPair>,
    other: Issuer<'static, KeyPair>,
    platform: SimulatedPlatform,
    patched: SimulatedPlatform,
    fault: Arc<Mutex<Fault>>,
}

fn authority(name: &str) -> (Certificate, Issuer<'static, KeyPair>) {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate, Issuer::new(params, key))
}

impl Gateway {
    pub(crate) fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str, code: &[u8]| {
            SimulatedPlatform::open(&dir.path().join(name), &tee::measure_bytes(code)).unwrap()
        };
        let (ca, issuer) = authority("cluster CA");
        let ca_hash = Sha256::digest(ca.der()).into();
        let fault = Arc::new(Mutex::new(Fault::None));
        let desk = Arc::new(Desk {
            ca,
            ca_hash,
            issuer,
            other: authority("another CA").1,
            platform: open("tee", b"released code"),
            patched: open("tee", b"patched code"),
            fault: fault.clone(),
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, desk.clone()));
            }
        });
        let platform = open("tee", b"released code");
        Self { address, ca_hash, platform, fault, _runtime: runtime, _dir: dir }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

impl Desk {
    fn running(&self, fault: Fault) -> &SimulatedPlatform {
        if fault == Fault::OtherCode { &self.patched } else { &self.platform }
    }

    fn tls(&self, fault: Fault) -> TlsAcceptor {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let ago_ms = if matches!(fault, Fault::OldEvidence | Fault::Ended) { 3_600_000 } else { 0 };
        let made_ms = now_ms() - ago_ms;
        let attested = if fault == Fault::CopiedEvidence { &other } else { &key };
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let at = |ms: u64| time::OffsetDateTime::from_unix_timestamp((ms / 1000) as i64).unwrap();
        params.not_before = at(made_ms - tee::CERTIFICATE_LEAD_SECONDS * 1000);
        if fault == Fault::Ended {
            params.not_after = at(now_ms() - 60_000);
        }
        if fault != Fault::NoEvidence {
            let spki = attested.subject_public_key_info();
            params.custom_extensions =
                vec![tee::attested_extension(self.running(fault), &spki, made_ms).unwrap()];
        }
        let issuer = if fault == Fault::OtherTls { &self.other } else { &self.issuer };
        let certificate = params.signed_by(&key, issuer).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }

    fn attestation(&self, nonce: &str, fault: Fault) -> String {
        let mut bytes = [0; 32];
        hex::decode_to_slice(nonce, &mut bytes).unwrap();
        if fault == Fault::StaleNonce {
            bytes = [0; 32];
        }
        let enclave = if fault == Fault::OtherEnclave { [9; 32] } else { [7; 32] };
        let now_ms = now_ms();
        let report_data = tee::report_data(&bytes, &enclave, &self.ca_hash);
        let evidence = self.running(fault).attest(&report_data, now_ms).unwrap();
        let reply = api::AttestationReply {
            platform: "simulated".to_owned(),
            simulated: true,
            evidence: STANDARD.encode(evidence.encode()),
            enclave_id: String::new(),
            public_key: hex::encode(enclave),
            ca_hash: hex::encode(self.ca_hash),
            timestamp_ms: now_ms,
        };
        serde_json::to_string(&reply).unwrap()
    }
}

/// One request a connection.
async fn serve(stream: TcpStream, desk: Arc<Desk>) {
    let fault = *desk.fault.lock().unwrap();
    let Ok(mut stream) = desk.tls(fault).accept(stream).await else { return };
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let body = match path.split_once("?nonce=") {
        _ if fault == Fault::Broken => return,
        Some(("/api/v1/attestation", nonce)) => desk.attestation(nonce, fault),
        None if path == "/cacerts" => desk.ca.pem(),
        _ => panic!("asked for {path}"),
    };
    let answer =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
