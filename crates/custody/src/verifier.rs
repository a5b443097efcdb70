use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chain::{EnclaveClaims, Keypair, Measurement};
use http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tee::{Anchors, Clock, Evidence, MAX_EVIDENCE_BYTES, PlatformKind, Policy};
use tokio::sync::Semaphore;
use tower_http::timeout::TimeoutLayer;

use crate::bucket::Bucket;
use crate::on_chain::{OnChain, tcb_bounds};
use crate::problem::Problem;
use crate::releaser::{CollateralSource, Nonce};

const PER_SECOND: u64 = 5;
const BURST: u64 = 20;
const AT_ONCE: usize = 2;
const LIMIT: Duration = Duration::from_secs(20);
const NONCE_LIFETIME_MS: u64 = 120_000;
const MAX_NONCES: usize = 256;
/// How far the time of the claims may be from the verifier's clock, milliseconds; the contract takes five minutes.
const MAX_SKEW_MS: u64 = 60_000;
/// The contract's own bound.
const MAX_LIFETIME_MS: u64 = 30 * 86_400_000;

/// One of a cluster's verifiers: verifies an enclave's evidence and signs the claims of its registration. It signs nothing else.
pub struct Verifier {
    key: Keypair,
    chain: OnChain,
    policy: Policy,
    anchors: Anchors,
    collateral: CollateralSource,
    clock: Clock,
    nonces: Mutex<VecDeque<([u8; 32], u64)>>,
    rate: Mutex<Bucket>,
    verifying: Semaphore,
}

/// Body of `POST /v1/verify`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Claim {
    /// As this verifier gave it out, hexadecimal.
    pub(crate) nonce: String,
    /// Encoded `tee::Evidence` over `tee::report_data(nonce, public key, CA hash)`, base64.
    pub(crate) evidence: String,
    /// ed25519 key of the enclave, hexadecimal.
    pub(crate) public_key: String,
    /// SHA-256 of the cluster CA in DER, hexadecimal.
    pub(crate) ca_hash: String,
    /// The platform that the registry names.
    pub(crate) platform: String,
    /// The measurement that the registry names: values by name, hexadecimal.
    pub(crate) measurement: BTreeMap<String, String>,
    /// When the registration shall end, milliseconds since the Unix epoch.
    pub(crate) expires_ms: u64,
    /// When the claims are signed; all verifiers sign the same time.
    pub(crate) timestamp_ms: u64,
}

/// Answer of `POST /v1/verify`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Signed {
    /// The verifier's key, hexadecimal.
    pub(crate) public_key: String,
    /// Its signature over `enclave::IntentMessage<Claims>`, hexadecimal.
    pub(crate) signature: String,
}

impl Verifier {
    /// Signs with `key` what satisfies `policy` (all of it but the code, which the registry on chain says).
    #[must_use]
    pub fn new(
        key: Keypair,
        chain: OnChain,
        policy: Policy,
        anchors: Anchors,
        collateral: CollateralSource,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            key,
            chain,
            policy,
            anchors,
            collateral,
            clock,
            nonces: Mutex::new(VecDeque::new()),
            rate: Mutex::new(Bucket::new(PER_SECOND, BURST)),
            verifying: Semaphore::new(AT_ONCE),
        })
    }

    /// `GET /v1/verifier`, `POST /v1/nonce`, `POST /v1/verify`.
    pub fn router(self: Arc<Self>) -> Router {
        // In base64, and what is around it.
        let body = MAX_EVIDENCE_BYTES / 3 * 4 + 16_384;
        Router::new()
            .route("/v1/verifier", get(about))
            .route("/v1/nonce", post(nonce))
            .route("/v1/verify", post(verify))
            .layer(DefaultBodyLimit::max(body))
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LIMIT))
            .with_state(self)
    }

    fn spend(&self) -> Result<(), Problem> {
        if self.rate.lock().take((self.clock)()) { Ok(()) } else { Err(Problem::TooMany) }
    }

    fn take_nonce(&self, nonce: &[u8; 32]) -> Result<(), Problem> {
        let now_ms = (self.clock)();
        let mut nonces = self.nonces.lock();
        let at = nonces.iter().position(|(known, until_ms)| known == nonce && *until_ms > now_ms);
        match at {
            Some(at) => {
                nonces.remove(at);
                Ok(())
            }
            None => Err(Problem::Refused(tee::custody::ReleaseRefusal::Nonce)),
        }
    }

    async fn judge(&self, claim: Claim) -> Result<Signed, Problem> {
        let nonce = bytes32("nonce", &claim.nonce)?;
        self.take_nonce(&nonce)?;
        let public_key = bytes32("publicKey", &claim.public_key)?;
        let ca_hash = bytes32("caHash", &claim.ca_hash)?;
        let now_ms = (self.clock)();
        self.check_times(&claim, now_ms)?;
        let (kind, measurement) = measurement(&claim)?;
        let evidence = STANDARD
            .decode(&claim.evidence)
            .map_err(|_| Problem::Bad("evidence is not base64".to_owned()))
            .and_then(|bytes| Evidence::decode(&bytes).map_err(|error| Problem::Bad(error.to_string())))?;
        let facts = self.chain.read(None).await.map_err(|error| {
            tracing::warn!("cannot decide about evidence, the chain cannot be read: {error}");
            Problem::Chain
        })?;
        if !facts.registry.allows(&measurement, now_ms) {
            let message = "the registry on chain does not allow this measurement".to_owned();
            return Err(Problem::NotSigned { reason: "measurement_not_allowed", message });
        }
        let mut policy = self.policy.clone();
        policy.any_code = false;
        policy.allowed = vec![(kind, measurement.to_map())];
        policy.allow_simulated = facts.registry.allow_simulated;
        let policy = policy.bounded(tcb_bounds(&facts.registry));
        let collateral = (self.collateral)(evidence.clone()).await;
        let anchors = self.anchors.clone();
        let _permit = self.verifying.acquire().await.map_err(|_| Problem::Internal("it is stopping"))?;
        let verified = tokio::task::spawn_blocking(move || {
            let verifier = tee::Verifier { anchors: &anchors, collateral: &collateral, now_ms };
            verifier.verify(&evidence, &policy, Some(&tee::report_data(&nonce, &public_key, &ca_hash)))
        });
        let claims = verified
            .await
            .map_err(|_| Problem::Internal("verification broke off"))?
            .map_err(Problem::Evidence)?;
        let signed = EnclaveClaims {
            cluster: self.chain.cluster_id(),
            measurement,
            public_key: public_key.to_vec(),
            expires_ms: claim.expires_ms,
        };
        let signature = signed
            .sign(&self.key, claim.timestamp_ms)
            .map_err(|_| Problem::Internal("the claims have no BCS form"))?;
        tracing::info!(
            platform = %claims.platform,
            simulated = claims.simulated,
            enclave_key = hex::encode(public_key),
            "signed the claims of an enclave"
        );
        Ok(Signed { public_key: hex::encode(self.key.public_key()), signature: hex::encode(signature) })
    }

    fn check_times(&self, claim: &Claim, now_ms: u64) -> Result<(), Problem> {
        if claim.timestamp_ms.abs_diff(now_ms) > MAX_SKEW_MS {
            let message = format!("timestampMs is more than {} s from the clock here", MAX_SKEW_MS / 1000);
            return Err(Problem::NotSigned { reason: "clock", message });
        }
        if claim.expires_ms <= now_ms || claim.expires_ms > now_ms.saturating_add(MAX_LIFETIME_MS) {
            let message = "expiresMs is not within the next 30 days".to_owned();
            return Err(Problem::NotSigned { reason: "lifetime", message });
        }
        Ok(())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("chain", &self.chain).finish_non_exhaustive()
    }
}

fn bytes32(name: &str, text: &str) -> Result<[u8; 32], Problem> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|_| Problem::Bad(format!("{name} is not 64 hexadecimal digits")))?;
    Ok(bytes)
}

fn measurement(claim: &Claim) -> Result<(PlatformKind, Measurement), Problem> {
    let kind: PlatformKind =
        claim.platform.parse().map_err(|error: tee::TeeError| Problem::Bad(error.to_string()))?;
    let values = claim.measurement.iter().map(|(name, value)| {
        let value = hex::decode(value)
            .map_err(|_| Problem::Bad(format!("measurement {name:.32} is not hexadecimal")))?;
        Ok((name.clone(), value))
    });
    let values = values.collect::<Result<BTreeMap<_, _>, Problem>>()?;
    Ok((kind, Measurement::new(kind.as_str(), &values)))
}

async fn about(State(verifier): State<Arc<Verifier>>) -> Json<Value> {
    Json(json!({
        "publicKey": hex::encode(verifier.key.public_key()),
        "cluster": verifier.chain.cluster_id(),
    }))
}

async fn nonce(State(verifier): State<Arc<Verifier>>) -> Result<Json<Nonce>, Problem> {
    verifier.spend()?;
    let nonce = tee::fresh_nonce().map_err(|_| Problem::Internal("no random bytes"))?;
    let now_ms = (verifier.clock)();
    let mut nonces = verifier.nonces.lock();
    nonces.retain(|(_, until_ms)| *until_ms > now_ms);
    if nonces.len() >= MAX_NONCES {
        nonces.pop_front();
    }
    nonces.push_back((nonce, now_ms.saturating_add(NONCE_LIFETIME_MS)));
    Ok(Json(Nonce { nonce: hex::encode(nonce) }))
}

async fn verify(
    State(verifier): State<Arc<Verifier>>,
    Json(claim): Json<Claim>,
) -> Result<Json<Signed>, Problem> {
    verifier.spend()?;
    let signed = verifier.judge(claim).await;
    let signed =
        signed.inspect_err(|problem| tracing::warn!(reason = problem.reason(), "not signed: {problem}"))?;
    Ok(Json(signed))
}
