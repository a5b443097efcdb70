use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tower_http::timeout::TimeoutLayer;

use crate::metrics::Metrics;
use crate::usage::Usage;

/// Connections served at once; the rest wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 64;
/// How long a client may take for its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a whole answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may live, so that idle ones do not fill the house.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
/// No call has a body.
const MAX_BODY_BYTES: usize = 1024;

/// What the API shows.
#[derive(Clone)]
pub(crate) struct Shown {
    pub(crate) status: watch::Receiver<api::WorkerStatus>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) usage: Usage,
}

/// Serves the worker's API on `listener` until `shutdown`.
///
/// `GET /healthz` (the process lives), `/readyz` (the node is up), `/api/v1/status`, `/metrics`.
pub(crate) async fn serve(listener: TcpListener, shown: Shown, shutdown: CancellationToken) {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/api/v1/status", get(status))
        .route("/metrics", get(metrics))
        .fallback(async || error(StatusCode::NOT_FOUND, "not_found", "no such path; see /api/v1/status"))
        .method_not_allowed_fallback(async || {
            error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "only GET is served here")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, ANSWER_TIMEOUT))
        .with_state(shown);
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => return,
            accepted = accept(&listener, &slots) => accepted,
        };
        let Some((stream, slot)) = accepted else { continue };
        let (service, shutdown) = (TowerToHyperService::new(router.clone()), shutdown.clone());
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            builder.http2().timer(TokioTimer::new()).max_concurrent_streams(16);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            // How a client's connection ends is the client's business.
            let _ = tokio::select! {
                () = shutdown.cancelled() => None,
                served = tokio::time::timeout(CONNECTION_TIMEOUT, connection) => Some(served),
            };
            drop(slot);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, slot)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection; trying again");
            // Out of descriptors, most likely: give others time to close theirs.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn status(State(shown): State<Shown>) -> Response {
    axum::Json(shown.status.borrow().clone()).into_response()
}

async fn ready(State(shown): State<Shown>) -> Response {
    let status = shown.status.borrow().clone();
    if status.node.ready {
        return "ok".into_response();
    }
    let body = status.problem.unwrap_or_else(|| api::ErrorBody {
        reason: "node_not_ready".to_owned(),
        message: status.node.reason.unwrap_or_else(|| format!("the worker is {}", status.phase)),
    });
    (StatusCode::SERVICE_UNAVAILABLE, axum::Json(body)).into_response()
}

async fn metrics(State(shown): State<Shown>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    // Measuring reads files of the kernel, some for each container.
    let usage = tokio::task::spawn_blocking(move || shown.usage.text()).await.unwrap_or_default();
    ([(header::CONTENT_TYPE, OPEN_METRICS)], usage + &shown.metrics.encode()).into_response()
}

fn error(status: StatusCode, reason: &str, message: &str) -> Response {
    let body = api::ErrorBody { reason: reason.to_owned(), message: message.to_owned() };
    (status, axum::Json(body)).into_response()
}
