use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tee::{Evidence, Verifier};

use super::http::{base_url, client, fetch};
use super::{Attested, GatewayError, Trust, tls};
use crate::agent::Target;

/// A gateway whose CA is the one on chain; whether a TEE is behind it is not known yet.
pub struct Pinned {
    base: String,
    target: Target,
    ca: CertificateDer<'static>,
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
        Ok(Self { base, target: target.clone(), ca, ca_pem })
    }

    /// Talks to the master only by keys that its evidence is bound to, has it attest over `nonce` besides, and believes it
    /// only if both fit the chain: made for this key and for this nonce, by the registered enclave's key, under this
    /// CA, by allowed code.
    ///
    /// `nonce` must be fresh random bytes; `now_ms` is this machine's clock.
    ///
    /// # Errors
    ///
    /// What did not fit, by name; a measurement with its expected and actual value.
    pub async fn attest(self, nonce: [u8; 32], trust: &Trust, now_ms: u64) -> Result<Attested, GatewayError> {
        let policy = trust.policy_for(&self.target);
        let tls = tls::attested(self.ca, policy.clone(), trust)?;
        let client = client(tls.clone())?;
        let url = format!("{}/api/v1/attestation?nonce={}", self.base, hex::encode(nonce));
        let body = fetch("attestation", &self.base, client.get(url)).await?;
        let evidence = check_attestation(&body, &self.target)?;
        // From our own nonce and the chain's values: nothing that the master says enters here.
        let report_data = tee::report_data(&nonce, &self.target.enclave_key, &self.target.ca_hash);
        let verifier = Verifier { anchors: &trust.anchors, collateral: &trust.collateral, now_ms };
        let claims =
            verifier.verify(&evidence, &policy, Some(&report_data)).map_err(GatewayError::Attestation)?;
        Ok(Attested::new(client, Arc::new(tls), self.base, self.ca_pem, claims))
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

/// The evidence in the master's answer, if it speaks of the enclave on chain.
fn check_attestation(body: &[u8], target: &Target) -> Result<Evidence, GatewayError> {
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
    Evidence::decode(&evidence).map_err(GatewayError::Evidence)
}

fn local(error: &rustls::Error) -> GatewayError {
    GatewayError::Local(format!("cannot set up TLS: {error}"))
}
