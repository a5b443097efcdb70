use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::certificates::{Kind, certificate};
use super::limits::GatewayLimits;
use super::problem::Problem;
use super::{attest, audit, connect, heartbeat, join, ledger, probes, report, rest, webhook};
use crate::shared::Shared;

/// What every handler gets.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) shared: Arc<Shared>,
    pub(super) limits: GatewayLimits,
}

pub(super) fn router(shared: Arc<Shared>, limits: GatewayLimits) -> Router {
    let around = from_fn_with_state(shared.clone(), report::report);
    let releases = shared.releaser.get().map(|releaser| releaser.clone().router()).unwrap_or_default();
    Router::new()
        .nest_service("/v1-daas", releases)
        .route("/cacerts", get(join::cacerts))
        .route("/ping", get(join::ping))
        .route("/v1-k3s/readyz", get(join::readyz))
        .route("/v1-k3s/config", get(join::config))
        .route("/v1-k3s/apiservers", get(join::apiservers))
        .route("/v1-k3s/client-ca.crt", get(join::client_ca))
        .route("/v1-k3s/server-ca.crt", get(join::server_ca))
        .route("/v1-k3s/client-kubelet.crt", certificate(Kind::ClientKubelet))
        .route("/v1-k3s/serving-kubelet.crt", certificate(Kind::ServingKubelet))
        .route("/v1-k3s/client-kube-proxy.crt", certificate(Kind::ClientKubeProxy))
        .route("/v1-k3s/client-k3s-controller.crt", certificate(Kind::ClientK3sController))
        .route("/v1-k3s/connect", get(connect::connect))
        .route("/api/v1/nodes", get(rest::nodes))
        .route("/api/v1/nodes/heartbeat", post(heartbeat::heartbeat))
        .route("/api/v1/nodes/attestation", post(attest::attest))
        .route("/api/v1/rewards", get(ledger::epochs))
        .route("/api/v1/rewards/{epoch}", get(ledger::shares))
        .route("/api/v1/rewards/{epoch}/{stake}", get(ledger::claim))
        .route("/api/v1/evidence/{digest}", get(ledger::evidence))
        .route("/api/v1/attestation", get(rest::attestation))
        .route("/api/v1/status", get(rest::status))
        .route("/webhook/token-review", post(webhook::token_review))
        .route("/webhook/authorize", post(webhook::authorize))
        .route("/webhook/audit", post(audit::audit))
        .route("/healthz", get(probes::healthz))
        .route("/readyz", get(probes::readyz))
        .route("/metrics", get(probes::metrics))
        .method_not_allowed_fallback(async || Problem::Method)
        .fallback(async || Problem::UnknownPath)
        .layer(around)
        .with_state(Desk { shared, limits })
}
