use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tee::{Evidence, Policy};

use super::http::{base_url, client, fetch};
use super::{Attested, GatewayError, tls};
use crate::agent::Target;

/// A gateway whose CA is the one on chain; whether a TEE is behind it is not known yet.
pub struct Pinned {
    client: Client,
    base: String,
    target: Target,
    ca_pem: Vec<u8>,
}

impl Pinned {
    /// Reads `/cacerts` over unverified TLS and keeps the CA only if its SHA-256 is the one on chain.
    ///
    /// # Errors
    ///
    /// [`GatewayError::CaHash`] with both hashes when it is another.
    pub async fn new(target: &Target) -> Result<Self, GatewayError> {
        let base = base_url(&target.endpoint)?;
        let unverified = client(tls::unverified().map_err(|error| local(&error))?)?;
        let ca_pem = fetch("cacerts", &base, unverified.get(format!("{base}/cacerts"))).await?;
        let ca = check_ca(&ca_pem, &target.ca_hash)?;
        let client = client(tls::pinned(ca).map_err(|_| GatewayError::CaFormat)?)?;
        Ok(Self { client, base, target: target.clone(), ca_pem })
    }

    /// Has the master attest over `nonce`, and believes it only if the evidence fits the chain: made for this
    /// nonce, by the registered enclave's key, under this CA, by allowed code.
    ///
    /// `nonce` must be fresh random bytes; `now_ms` is this machine's clock.
    ///
    /// # Errors
    ///
    /// What did not fit, by name; a measurement with its expected and actual value.
    pub async fn attest(
        self,
        nonce: [u8; 32],
        allow_simulated: bool,
        now_ms: u64,
    ) -> Result<Attested, GatewayError> {
        let url = format!("{}/api/v1/attestation?nonce={}", self.base, hex::encode(nonce));
        let body = fetch("attestation", &self.base, self.client.get(url)).await?;
        let claims = check_attestation(&body, &self.target, &nonce, allow_simulated, now_ms)?;
        Ok(Attested::new(self.client, self.base, self.ca_pem, claims))
    }
}

/// The one certificate in `pem`, if its SHA-256 is `expected`.
fn check_ca(pem: &[u8], expected: &[u8; 32]) -> Result<CertificateDer<'static>, GatewayError> {
    let mut certificates = CertificateDer::pem_slice_iter(pem);
    let (Some(Ok(ca)), None) = (certificates.next(), certificates.next()) else {
        return Err(GatewayError::CaFormat);
    };
    let actual = digest::digest(&digest::SHA256, &ca);
    if actual.as_ref() == expected {
        Ok(ca)
    } else {
        Err(GatewayError::CaHash { expected: hex::encode(expected), actual: hex::encode(actual) })
    }
}

fn check_attestation(
    body: &[u8],
    target: &Target,
    nonce: &[u8; 32],
    allow_simulated: bool,
    now_ms: u64,
) -> Result<tee::Claims, GatewayError> {
    let malformed = |problem: String| GatewayError::Malformed { what: "attestation", problem };
    let reply: api::AttestationReply =
        serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let expected = hex::encode(target.enclave_key);
    if reply.public_key != expected {
        let actual = reply.public_key.chars().filter(char::is_ascii_hexdigit).take(64).collect();
        return Err(GatewayError::EnclaveKey { expected, actual });
    }
    let evidence =
        STANDARD.decode(&reply.evidence).map_err(|_| malformed("evidence is not base64".into()))?;
    let evidence = Evidence::decode(&evidence).map_err(GatewayError::Evidence)?;
    let policy = Policy { allowed: target.allowed.clone(), allow_simulated, ..Policy::default() };
    // From our own nonce and the chain's values: nothing that the master says enters here.
    let report_data = tee::report_data(nonce, &target.enclave_key, &target.ca_hash);
    tee::verify(&evidence, &policy, &report_data, now_ms).map_err(GatewayError::Attestation)
}

fn local(error: &rustls::Error) -> GatewayError {
    GatewayError::Local(format!("cannot set up TLS: {error}"))
}
