use api::{NodeAttested, NodeEvidence};
use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use http::HeaderMap;

use super::body;
use super::peer::Peer;
use super::problem::Problem;
use super::routes::Desk;
use crate::Id;
use crate::attestations::{EvidenceRefusal, Shown};
use crate::membership::{NODES_GROUP, NodeIdentity, Refusal};
use crate::shared::Shared;
use crate::turns::TurnError;

/// Takes evidence of what runs on a node: it counts for the key of this connection, which has to be the kubelet's, and answers
/// the nonce of the node's last heartbeat.
pub(super) async fn attest(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<NodeAttested>, Problem> {
    let shared = &desk.shared;
    let (node, key) = kubelet(shared, &peer)?;
    // Before the body is read: a flood's is not worth memory.
    let admitted = shared.workers.book.lock().admit(&node.name, node.token, shared.now_ms());
    noted(shared, &node, admitted)?;
    let evidence: NodeEvidence = body::json(&desk.limits, &headers, body).await?;
    let taken = take(shared, &peer, &node, key, evidence).await?;
    let attested = noted(shared, &node, taken)?;
    shared.metrics.node_attestations.get_or_create(&[("result", "accepted")]).inc();
    shared.changed.notify_one();
    Ok(Json(attested))
}

/// Whose kubelet's certificate the connection was made with, and its key.
fn kubelet(shared: &Shared, peer: &Peer) -> Result<(NodeIdentity, [u8; 32]), Problem> {
    let refused = |refusal| Problem::Refused { refusal, token: None };
    let (Some(certificate), Some(key)) = (&peer.certificate, peer.key) else {
        return Err(refused(Refusal::MissingCredential));
    };
    if !certificate.is_kubelets() || !certificate.groups.iter().any(|group| group == NODES_GROUP) {
        return Err(refused(Refusal::NotANodeCertificate));
    }
    let node = shared.membership.read().node_by_certificate(certificate, None, shared.now_ms());
    Ok((node.map_err(refused)?, key))
}

async fn take(
    shared: &Shared,
    peer: &Peer,
    node: &NodeIdentity,
    key: [u8; 32],
    said: NodeEvidence,
) -> Result<Result<NodeAttested, EvidenceRefusal>, Problem> {
    let (Some(nonce), Some(claimed_key), Ok(claimed_token)) =
        (digest(&said.nonce), digest(&said.key_sha256), said.token_id.parse::<Id>())
    else {
        let problem = "nonce and keySha256 are 64 hexadecimal digits, tokenId is 0x and 64".to_owned();
        return Ok(Err(EvidenceRefusal::Malformed(problem)));
    };
    let spent = shared.workers.book.lock().spend(&node.name, node.token, &nonce, shared.now_ms());
    let policy = match spent {
        Ok(policy) => policy,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let shown = Shown {
        cluster: shared.facts.cluster.into_inner(),
        nonce,
        token: node.token,
        key,
        claimed_token,
        claimed_key,
        evidence: said.evidence,
    };
    let checked = shared.workers.checker.check(shown, policy.clone(), shared.now_ms()).await;
    let checked = checked.map_err(|error| {
        shared.metrics.node_attestations.get_or_create(&[("result", "busy")]).inc();
        match error {
            TurnError::Busy => Problem::TooMany,
            TurnError::BrokeOff => Problem::Internal("the evidence was not verified"),
        }
    })?;
    let claims = match checked {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    // It took its time: what was true before may not be now.
    let (node, _) = kubelet(shared, peer)?;
    let now_ms = shared.now_ms();
    let recorded = shared.workers.book.lock().record(&node.name, node.token, key, &claims, &policy, now_ms);
    Ok(recorded.map(|expires_ms| NodeAttested {
        platform: claims.platform.to_string(),
        simulated: claims.simulated,
        verified_ms: now_ms,
        expires_ms,
    }))
}

/// Counts a refusal; what one node shows again and again is written once.
fn noted<T>(shared: &Shared, node: &NodeIdentity, result: Result<T, EvidenceRefusal>) -> Result<T, Problem> {
    result.map_err(|refusal| {
        shared.metrics.node_attestations.get_or_create(&[("result", refusal.reason())]).inc();
        let news = shared.workers.book.lock().refused(&node.name, node.token, &refusal.to_string());
        Problem::Evidence { refusal, node: node.name.clone(), news }
    })
}

fn digest(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| bytes)
}
