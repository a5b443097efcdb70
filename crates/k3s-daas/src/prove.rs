//! Has a master prove over the network what it is: by the certificate of its TLS key, and by evidence for a fresh nonce.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;
use reqwest::tls::TlsInfo;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256};
use tee::{AttestedPeer, Claims, Evidence, Policy, RaTlsError, Refusals, Verifier};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::cli::Sources;
use crate::commands::{Context, now_ms, verify};
use crate::failure::{Context as _, Failure, Result};

const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(15);
/// The largest answer: evidence of 256 KiB in base64, with room.
const MAX_ANSWER: usize = 1 << 20;

/// What is known of a master before it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// `https://host:port`.
    pub(crate) gateway: String,
    /// SHA-256 of its CA's DER; what it shows is taken when this is not known.
    pub(crate) ca_hash: Option<[u8; 32]>,
    /// Its enclave's ed25519 key; what it says is taken when this is not known.
    pub(crate) enclave_key: Option<[u8; 32]>,
    /// What its evidence has to satisfy.
    pub(crate) policy: Policy,
}

/// What a master proved: that whoever has the TLS key is this code, now, under this CA.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub(crate) claims: Claims,
    pub(crate) ca_hash: [u8; 32],
    /// SHA-256 of the TLS key's SubjectPublicKeyInfo, as in `curl --pinnedpubkey`.
    pub(crate) tls_key: [u8; 32],
    pub(crate) enclave_key: [u8; 32],
}

/// One thing that a master did not prove.
#[derive(Clone, Debug)]
pub(crate) struct Objection {
    /// Stable name.
    pub(crate) reason: String,
    /// For people.
    pub(crate) message: String,
}

pub(crate) type Verdict = std::result::Result<Proven, Vec<Objection>>;

/// Asks the master at `expected.gateway`. That nobody answers, or no gateway, is a failure; everything that speaks against the
/// master is in the verdict.
pub(crate) async fn prove(context: &Context, sources: &Sources, expected: &Expected) -> Result<Verdict> {
    let base = expected.gateway.trim_end_matches('/');
    if !base.starts_with("https://") {
        return Err(Failure::usage(format!("{base:?} is not https://HOST[:PORT]")));
    }
    // Not verified by TLS: the hash verifies the CA, and the certificate is only looked at to know what to fetch for it.
    let open = client().tls_danger_accept_invalid_certs(true);
    let (pem, leaf) = match get(open, base, "/cacerts").await? {
        Ok(answer) => answer,
        Err(objections) => return Ok(Err(objections)),
    };
    let mut authorities = CertificateDer::pem_slice_iter(&pem);
    let (Some(Ok(ca)), None) = (authorities.next(), authorities.next()) else {
        return Ok(object("ca_malformed", format!("{base}/cacerts is not exactly one PEM certificate")));
    };
    let ca_hash: [u8; 32] = Sha256::digest(&ca).into();
    if let Some(known) = expected.ca_hash.filter(|known| *known != ca_hash) {
        let (known, actual) = (hex::encode(known), hex::encode(ca_hash));
        let message =
            format!("{base} shows a CA that is not the cluster's: expected {known}, actual {actual}");
        return Ok(object("ca_mismatch", message));
    }
    let carried = match tee::certificate_evidence(&leaf) {
        Ok(evidence) => evidence,
        Err(error) => return Ok(Err(of_tls(&error))),
    };
    let (collateral, anchors) = verify::material(context, sources, &carried, now_ms()).await?;

    let mut roots = RootCertStore::empty();
    if roots.add(ca).is_err() {
        return Ok(object("ca_malformed", format!("{base}/cacerts is no certificate of an authority")));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let ordinary = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .context("setting up TLS")?;
    let (policy, clock) = (expected.policy.clone(), Arc::new(now_ms));
    let peer = AttestedPeer::new(policy.clone(), anchors.clone(), collateral.clone(), clock).and(ordinary);
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .context("setting up TLS")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(peer))
        .with_no_client_auth();
    tls.resumption = Resumption::disabled();

    let mut nonce = [0; 32];
    rand::rng().fill_bytes(&mut nonce);
    let attested = client().tls_backend_preconfigured(tls);
    let path = format!("/api/v1/attestation?nonce={}", hex::encode(nonce));
    let (body, leaf) = match get(attested, base, &path).await? {
        Ok(answer) => answer,
        Err(objections) => return Ok(Err(objections)),
    };
    let reply: api::AttestationReply =
        serde_json::from_slice(&body).context(format_args!("reading the attestation of {base}"))?;
    let Ok(enclave_key) = crate::tokens::bytes32(&reply.public_key, "enclave's key") else {
        return Ok(object("enclave_key_mismatch", "the master names no enclave key of 32 bytes".to_owned()));
    };
    if let Some(known) = expected.enclave_key.filter(|known| *known != enclave_key) {
        let (known, actual) = (hex::encode(known), hex::encode(enclave_key));
        let message = format!("the master has another enclave key: expected {known}, actual {actual}");
        return Ok(object("enclave_key_mismatch", message));
    }
    let evidence = STANDARD.decode(&reply.evidence).ok().and_then(|bytes| Evidence::decode(&bytes).ok());
    let Some(evidence) = evidence else {
        return Ok(object("evidence_malformed", "the master's attestation cannot be read".to_owned()));
    };
    let report_data = tee::report_data(&nonce, &enclave_key, &ca_hash);
    let verifier = Verifier { anchors: &anchors, collateral: &collateral, now_ms: now_ms() };
    Ok(match verifier.verify(&evidence, &policy, Some(&report_data)) {
        Ok(claims) => Ok(Proven { claims, ca_hash, tls_key: key_hash(&leaf)?, enclave_key }),
        Err(refusals) => Err(of_refusals(&refusals)),
    })
}

fn client() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .https_only(true)
        .tls_info(true)
        .connect_timeout(CONNECT)
        .timeout(TOTAL)
}

/// A bounded body and the certificate that it came under; what TLS has against the peer is no failure.
async fn get(
    client: reqwest::ClientBuilder,
    base: &str,
    path: &str,
) -> Result<std::result::Result<(Vec<u8>, CertificateDer<'static>), Vec<Objection>>> {
    let asking = format!("asking {base}");
    let client = client.build().context("making an HTTPS client")?;
    let mut response = match client.get(format!("{base}{path}")).send().await {
        Ok(response) => response,
        Err(error) => {
            return match against_the_peer(&error) {
                Some(tls) => Ok(Err(match RaTlsError::behind(&tls) {
                    Some(error) => of_tls(error),
                    None => vec![Objection {
                        reason: "tls_untrusted".to_owned(),
                        message: format!("{base} shows a certificate that its CA did not sign for it: {tls}"),
                    }],
                })),
                None => Err(error.without_url()).context(asking),
            };
        }
    };
    if !response.status().is_success() {
        return Err(Failure::failed(format!(
            "{base} answers with HTTP status {}",
            response.status().as_u16()
        )));
    }
    let leaf = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    let leaf = leaf.ok_or_else(|| Failure::failed(format!("{base} showed no certificate")))?;
    let leaf = CertificateDer::from(leaf.to_vec());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.context(&asking)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::failed(format!("{base} sends more than {MAX_ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Ok((body, leaf)))
}

/// What rustls disliked about the peer's certificate, if that is what broke the connection.
fn against_the_peer(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(tls @ rustls::Error::InvalidCertificate(_)) = cause.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            // An io::Error hides what it wraps from source().
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    None
}

fn key_hash(leaf: &CertificateDer<'_>) -> Result<[u8; 32]> {
    let (_, certificate) = X509Certificate::from_der(leaf).context("reading the gateway's certificate")?;
    Ok(Sha256::digest(certificate.public_key().raw).into())
}

fn object(reason: &str, message: String) -> Verdict {
    Err(vec![Objection { reason: reason.to_owned(), message }])
}

/// Every clause that is violated is an objection of its own.
fn of_tls(error: &RaTlsError) -> Vec<Objection> {
    match error {
        RaTlsError::Refused(refusals) => of_refusals(refusals),
        other => vec![Objection { reason: other.reason().to_owned(), message: format!("{other:?}") }],
    }
}

fn of_refusals(refusals: &Refusals) -> Vec<Objection> {
    let object = |refusal: &tee::Refusal| Objection {
        reason: refusal.reason().to_owned(),
        message: refusal.to_string(),
    };
    refusals.iter().map(object).collect()
}
