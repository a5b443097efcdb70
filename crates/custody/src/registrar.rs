use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chain::{EnclaveClaims, INTENT_REGISTER, IntentMessage, Measurement, Registry, VerifiedClaims};
use ed25519_dalek::{Signature, VerifyingKey};
use futures::future::join_all;
use tee::{Clock, Platform};

use crate::asking::fetch_nonce;
use crate::error::Error;
use crate::http_client::{client, join, send};
use crate::verifier::{Claim, Signed};

const MAX_ANSWER_BYTES: usize = 4096;

/// An enclave that wants to be registered, or to stay so.
#[derive(Clone)]
pub struct Registrar {
    /// What attests.
    pub platform: Arc<dyn Platform>,
    /// Where the verifiers answer.
    pub verifiers: Vec<String>,
    /// Milliseconds since the Unix epoch.
    pub clock: Clock,
}

/// What shall be registered.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The cluster.
    pub cluster: chain::Address,
    /// The enclave's ed25519 key.
    pub public_key: [u8; 32],
    /// SHA-256 of the cluster CA in DER.
    pub ca_hash: [u8; 32],
    /// When it shall end, milliseconds since the Unix epoch.
    pub expires_ms: u64,
}

impl Registrar {
    /// Asks every verifier at once; gives claims with as many good signatures as `registry` takes.
    ///
    /// # Errors
    /// [`Error::TooFewVerifiers`] with what the others said.
    pub async fn collect(&self, what: &Registration, registry: &Registry) -> Result<VerifiedClaims, Error> {
        let http = client()?;
        let timestamp_ms = (self.clock)();
        let claims = EnclaveClaims {
            cluster: what.cluster,
            measurement: Measurement::new(self.platform.kind().to_string(), &self.platform.measurement()),
            public_key: what.public_key.to_vec(),
            expires_ms: what.expires_ms,
        };
        let message = IntentMessage { intent: INTENT_REGISTER, timestamp_ms, payload: &claims }.to_bytes()?;
        let asked = self.verifiers.iter().map(|url| self.ask(&http, url, what, timestamp_ms));
        let mut signatures = BTreeMap::new();
        let mut complaints = Vec::new();
        for (url, result) in self.verifiers.iter().zip(join_all(asked).await) {
            match result.and_then(|signed| check(url, &signed, &message, registry)) {
                Ok((key, signature)) => {
                    signatures.insert(key, signature);
                }
                Err(error) => complaints.push(error.to_string()),
            }
        }
        if (signatures.len() as u64) < registry.threshold {
            let why = if complaints.is_empty() {
                "no others are configured".to_owned()
            } else {
                complaints.join("; ")
            };
            return Err(Error::TooFewVerifiers { have: signatures.len(), want: registry.threshold, why });
        }
        if !complaints.is_empty() {
            tracing::warn!("enough verifiers signed, but not all: {}", complaints.join("; "));
        }
        let threshold = usize::try_from(registry.threshold).unwrap_or(usize::MAX);
        Ok(VerifiedClaims {
            claims,
            timestamp_ms,
            signatures: signatures.into_iter().take(threshold).collect(),
        })
    }

    async fn ask(
        &self,
        http: &reqwest::Client,
        url: &str,
        what: &Registration,
        timestamp_ms: u64,
    ) -> Result<Signed, Error> {
        let base = join(url, "/v1");
        let nonce = fetch_nonce(http, &base).await?;
        let (platform, clock) = (self.platform.clone(), self.clock.clone());
        let report_data = tee::report_data(&nonce, &what.public_key, &what.ca_hash);
        let attested = tokio::task::spawn_blocking(move || platform.attest(&report_data, clock()));
        let evidence = attested.await.map_err(|_| Error::Nonsense {
            url: url.to_owned(),
            what: "a nonce over which attesting broke off".to_owned(),
        })??;
        let measured = self.platform.measurement();
        let claim = Claim {
            nonce: hex::encode(nonce),
            evidence: STANDARD.encode(evidence.encode()),
            public_key: hex::encode(what.public_key),
            ca_hash: hex::encode(what.ca_hash),
            platform: self.platform.kind().to_string(),
            measurement: measured.into_iter().map(|(name, value)| (name, hex::encode(value))).collect(),
            expires_ms: what.expires_ms,
            timestamp_ms,
        };
        let bytes = send(url, http.post(join(&base, "/verify")).json(&claim), MAX_ANSWER_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|_| Error::Nonsense {
            url: url.to_owned(),
            what: "something else than a signature".to_owned(),
        })
    }
}

impl std::fmt::Debug for Registrar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrar").field("verifiers", &self.verifiers).finish_non_exhaustive()
    }
}

/// The chain would refuse all signatures for a bad one among them.
fn check(
    url: &str,
    signed: &Signed,
    message: &[u8],
    registry: &Registry,
) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let nonsense = |what: &str| Error::Nonsense { url: url.to_owned(), what: what.to_owned() };
    let (mut key, mut signature) = ([0; 32], [0; 64]);
    hex::decode_to_slice(&signed.public_key, &mut key).map_err(|_| nonsense("no public key"))?;
    hex::decode_to_slice(&signed.signature, &mut signature).map_err(|_| nonsense("no signature"))?;
    if !registry.verifiers.iter().any(|known| known[..] == key) {
        return Err(nonsense("the signature of a key that is none of the cluster's verifiers"));
    }
    VerifyingKey::from_bytes(&key)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(&signature)))
        .map_err(|_| nonsense("a signature that does not verify"))?;
    Ok((key.to_vec(), signature.to_vec()))
}
