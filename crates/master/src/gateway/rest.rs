use api::{AttestationQuery, AttestationReply, Heartbeat, HeartbeatReply, MasterStatus, NodeList};
use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use super::body;
use super::credential::require_proof;
use super::problem::Problem;
use super::routes::Desk;

/// Every node, for whoever holds a live token of any tier.
pub(super) async fn nodes(State(desk): State<Desk>, headers: HeaderMap) -> Result<Json<NodeList>, Problem> {
    let shared = &desk.shared;
    let proof = require_proof(&headers)?;
    shared.membership.read().user(&proof, shared.now_ms()).map_err(Problem::refused(&proof))?;
    Ok(Json(shared.node_list()))
}

pub(super) async fn heartbeat(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<HeartbeatReply>, Problem> {
    let shared = &desk.shared;
    let proof = require_proof(&headers)?;
    // Before the body is read: a stranger's body is not worth memory.
    let now_ms = shared.now_ms();
    shared.membership.read().node_by_proof(&proof, None, now_ms).map_err(Problem::refused(&proof))?;
    let beat: Heartbeat = body::json(&desk.limits, &headers, body).await?;

    let now_ms = shared.now_ms();
    let identity = shared.membership.read().node_by_proof(&proof, Some(&beat.node_name), now_ms);
    let node = identity.map_err(Problem::refused(&proof))?;
    let counted = shared.health.lock().beat(&node.name, node.token, &beat, now_ms);
    let result = if counted.is_ok() { "accepted" } else { "not_counted" };
    shared.metrics.heartbeats.get_or_create(&[("result", result)]).inc();
    Ok(Json(HeartbeatReply { timestamp_ms: now_ms, interval_ms: counted? }))
}

/// Fresh evidence, for anybody: who asks has not shown a proof yet and must not before it has verified this.
pub(super) async fn attestation(
    State(desk): State<Desk>,
    query: Result<Query<AttestationQuery>, QueryRejection>,
) -> Result<Json<AttestationReply>, Problem> {
    let shared = desk.shared.clone();
    let bad = |problem: &str| Problem::BadQuery { problem: problem.to_owned() };
    let Query(query) = query.map_err(|_| bad("send ?nonce= and 64 hexadecimal digits"))?;
    let mut nonce = [0; 32];
    hex::decode_to_slice(&query.nonce, &mut nonce)
        .map_err(|_| bad("nonce is not 64 hexadecimal digits; send 32 random bytes"))?;
    let now_ms = shared.now_ms();
    if !shared.attestations.lock().take(now_ms) {
        return Err(Problem::TooMany);
    }

    let facts = &shared.facts;
    let report_data = tee::report_data(&nonce, &facts.public_key, &facts.ca_hash);
    let platform = shared.platform.clone();
    let attested = tokio::task::spawn_blocking(move || platform.attest(&report_data, now_ms)).await;
    let evidence = match attested {
        Ok(Ok(evidence)) => evidence,
        Ok(Err(error)) => {
            tracing::error!("cannot attest: {error}");
            return Err(Problem::Internal("the platform gave no evidence"));
        }
        Err(_) => return Err(Problem::Internal("the platform gave no evidence")),
    };
    shared.metrics.attestations.inc();
    let kind = evidence.platform();
    Ok(Json(AttestationReply {
        platform: kind.to_string(),
        simulated: kind == tee::PlatformKind::Simulated,
        evidence: STANDARD.encode(evidence.encode()),
        enclave_id: shared.board.read().enclave.map(|id| id.to_string()).unwrap_or_default(),
        public_key: hex::encode(facts.public_key),
        ca_hash: hex::encode(facts.ca_hash),
        timestamp_ms: now_ms,
    }))
}

pub(super) async fn status(State(desk): State<Desk>) -> Json<MasterStatus> {
    Json(desk.shared.status())
}
