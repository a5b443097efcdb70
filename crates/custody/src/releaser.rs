use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::routing::post;
use axum::{Json, Router};
use chain::Address;
use futures::future::BoxFuture;
use http::{StatusCode, header};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tee::custody::{Answer, CustodyError, Gatekeeper, MAX_REQUEST_BYTES, Request};
use tee::{Anchors, Clock, Collateral, Evidence, Policy};
use tokio::sync::Semaphore;
use tower_http::timeout::TimeoutLayer;

use crate::bucket::Bucket;
use crate::on_chain::OnChain;
use crate::problem::Problem;

/// Requests per second, and at once: enclaves start rarely, and each asks twice.
const PER_SECOND: u64 = 10;
const BURST: u64 = 40;
/// Evidence that is verified at the same time; one takes a core for milliseconds.
const AT_ONCE: usize = 2;
const LIMIT: Duration = Duration::from_secs(20);

/// Finds what the maker of a platform says of it.
pub type CollateralSource = Arc<dyn Fn(Evidence) -> BoxFuture<'static, Collateral> + Send + Sync>;
/// Is told of each decision: nothing when a key was given, else the reason.
pub type Observer = Arc<dyn Fn(Option<&'static str>) + Send + Sync>;
type Give = Box<dyn Fn(&Request) -> Result<Answer, CustodyError> + Send + Sync>;

/// For evidence that brings its collateral along.
#[must_use]
pub fn no_collateral() -> CollateralSource {
    Arc::new(|_| Box::pin(std::future::ready(Collateral::default())))
}

/// Gives a key to enclaves that prove themselves, by the registry on chain.
pub struct Releaser {
    gate: Mutex<Gatekeeper>,
    chain: OnChain,
    give: Give,
    registered_only: bool,
    collateral: CollateralSource,
    clock: Clock,
    observer: Observer,
    rate: Mutex<Bucket>,
    verifying: Semaphore,
}

/// Answer of `POST …/nonce`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Nonce {
    /// 64 hexadecimal digits.
    pub(crate) nonce: String,
}

/// Query of `POST …/key-release`.
#[derive(Deserialize)]
pub(crate) struct Enclave {
    enclave: Option<Address>,
}

impl Releaser {
    /// Gives what `give` makes of an admitted request. `registered_only`: the enclave has to be registered on chain, besides
    /// running code that the chain allows.
    #[must_use]
    #[allow(
        clippy::too_many_arguments,
        reason = "each is a part of its own, and there is one caller of each kind"
    )]
    pub fn new(
        chain: OnChain,
        give: impl Fn(&Request) -> Result<Answer, CustodyError> + Send + Sync + 'static,
        registered_only: bool,
        policy: Policy,
        anchors: Anchors,
        collateral: CollateralSource,
        clock: Clock,
        observer: Observer,
    ) -> Arc<Self> {
        Arc::new(Self {
            gate: Mutex::new(Gatekeeper::new(chain.cluster(), policy, anchors)),
            chain,
            give: Box::new(give),
            registered_only,
            collateral,
            clock,
            observer,
            rate: Mutex::new(Bucket::new(PER_SECOND, BURST)),
            verifying: Semaphore::new(AT_ONCE),
        })
    }

    /// `POST /nonce` and `POST /key-release?enclave=ID`.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/nonce", post(nonce))
            .route("/key-release", post(release))
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
            .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, LIMIT))
            .with_state(self)
    }

    pub(crate) fn chain(&self) -> &OnChain {
        &self.chain
    }

    /// Whether one more request may cost something now.
    pub(crate) fn spend(&self) -> Result<(), Problem> {
        if self.rate.lock().take((self.clock)()) { Ok(()) } else { Err(Problem::TooMany) }
    }

    async fn decide(&self, bytes: &[u8], enclave: Option<Address>) -> Result<Vec<u8>, Problem> {
        let request = Request::decode(bytes)?;
        self.gate.lock().take(&request, (self.clock)())?;
        // Only what knows a nonce of ours gets this far.
        let facts = self.chain.read(enclave).await.map_err(|error| {
            tracing::warn!("cannot decide about a key, the chain cannot be read: {error}");
            Problem::Chain
        })?;
        let evidence = request.evidence().map_err(|error| Problem::Bad(error.to_string()))?;
        let collateral = (self.collateral)(evidence).await;
        let _permit = self.verifying.acquire().await.map_err(|_| Problem::Internal("it is stopping"))?;
        let judge = self.gate.lock().judge();
        let now_ms = (self.clock)();
        let terms = facts.terms(self.registered_only, now_ms);
        let (judged, request) = tokio::task::spawn_blocking(move || {
            (judge.admit(&request, &terms, &collateral, now_ms), request)
        })
        .await
        .map_err(|_| Problem::Internal("verification broke off"))?;
        let claims = judged?;
        let answer = (self.give)(&request).map_err(|error| {
            tracing::error!("an admitted enclave cannot be answered: {error}");
            Problem::Internal("there is nothing to give")
        })?;
        tracing::warn!(
            platform = %claims.platform,
            simulated = claims.simulated,
            "gave the cluster's key to an enclave that proved itself"
        );
        Ok(answer.encode())
    }
}

impl fmt::Debug for Releaser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Releaser").field("chain", &self.chain).finish_non_exhaustive()
    }
}

async fn nonce(State(releaser): State<Arc<Releaser>>) -> Result<Json<Nonce>, Problem> {
    releaser.spend()?;
    let now_ms = (releaser.clock)();
    let nonce = releaser.gate.lock().nonce(now_ms).map_err(|_| Problem::Internal("no random bytes"))?;
    Ok(Json(Nonce { nonce: hex::encode(nonce) }))
}

async fn release(
    State(releaser): State<Arc<Releaser>>,
    Query(query): Query<Enclave>,
    body: Bytes,
) -> Result<([(http::HeaderName, &'static str); 1], Vec<u8>), Problem> {
    releaser.spend()?;
    match releaser.decide(&body, query.enclave).await {
        Ok(answer) => {
            (releaser.observer)(None);
            Ok(([(header::CONTENT_TYPE, "application/cbor")], answer))
        }
        Err(problem) => {
            (releaser.observer)(Some(problem.reason()));
            // Bounded by the rate of requests.
            tracing::warn!(reason = problem.reason(), "gave no key: {problem}");
            Err(problem)
        }
    }
}
