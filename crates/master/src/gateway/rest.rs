use api::{AttestationQuery, AttestationReply, MasterStatus, NodeList};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use super::credential::require_proof;
use super::problem::Problem;
use super::routes::Desk;
use crate::attesting::AttestError;
use crate::turns::TurnError;

/// Every node, for whoever holds a live token of any tier.
pub(super) async fn nodes(State(desk): State<Desk>, headers: HeaderMap) -> Result<Json<NodeList>, Problem> {
    let shared = &desk.shared;
    let proof = require_proof(&headers)?;
    shared.membership.read().user(&proof, shared.now_ms()).map_err(Problem::refused(&proof))?;
    Ok(Json(shared.node_list()))
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
    let facts = &shared.facts;
    let report_data = tee::report_data(&nonce, &facts.public_key, &facts.ca_hash);
    let evidence = shared.attester.attest(report_data).await.map_err(|error| match error {
        AttestError::Turn(TurnError::Busy) => Problem::TooMany,
        AttestError::Platform(error) => {
            // Anybody may ask.
            if shared.stranger_lines.lock().take(shared.now_ms()) {
                tracing::error!("cannot attest: {error}");
            }
            Problem::Internal("the platform gave no evidence")
        }
        AttestError::Turn(TurnError::BrokeOff) => Problem::Internal("the platform gave no evidence"),
    })?;
    shared.metrics.attestations.inc();
    let kind = evidence.platform();
    Ok(Json(AttestationReply {
        platform: kind.to_string(),
        simulated: kind == tee::PlatformKind::Simulated,
        evidence: STANDARD.encode(evidence.encode()),
        enclave_id: shared.board.read().enclave.map(|id| id.to_string()).unwrap_or_default(),
        public_key: hex::encode(facts.public_key),
        ca_hash: hex::encode(facts.ca_hash),
        timestamp_ms: shared.now_ms(),
    }))
}

pub(super) async fn status(State(desk): State<Desk>) -> Json<MasterStatus> {
    Json(desk.shared.status())
}
