use api::{Heartbeat, HeartbeatReply};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use chain::NodeStatement;
use http::HeaderMap;
use ring::signature::{ED25519, UnparsedPublicKey};

use super::body;
use super::credential::require_proof;
use super::problem::Problem;
use super::routes::Desk;
use crate::health::{BeatError, Sender, Verified};
use crate::membership::NodeIdentity;
use crate::shared::Shared;

/// Takes a node's sign of life. It counts only when its bearer is the node it speaks of, the token's holder has
/// signed just this, and it is later than the one before.
pub(super) async fn heartbeat(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<HeartbeatReply>, Problem> {
    let shared = &desk.shared;
    let proof = require_proof(&headers)?;
    // Before the body is read: a stranger's body is not worth memory, and neither is a flood's.
    let now_ms = shared.now_ms();
    let node = shared.membership.read().node_by_proof(&proof, None, now_ms);
    let node = node.map_err(Problem::refused(&proof))?;
    let admitted = shared.health.lock().admit(sender(&node), now_ms);
    counted(shared, admitted)?;
    let beat: Heartbeat = body::json(&desk.limits, &headers, body).await?;

    // The body took its time: what was true before it may not be now.
    let now_ms = shared.now_ms();
    let (node, public_key) = {
        let membership = shared.membership.read();
        let node = membership.node_by_proof(&proof, Some(&beat.node_name), now_ms);
        let node = node.map_err(Problem::refused(&proof))?;
        let public_key = membership.roster().token(&node.token).map(|token| token.public_key);
        (node, public_key.unwrap_or_default())
    };
    let said = counted(shared, verify(shared, &node, &beat, public_key))?;
    let taken = shared.health.lock().beat(sender(&node), &said, now_ms);
    let interval_ms = counted(shared, taken)?;
    shared.metrics.heartbeats.get_or_create(&[("result", "accepted")]).inc();
    Ok(Json(HeartbeatReply {
        timestamp_ms: now_ms,
        interval_ms,
        attestation_nonce: nonce(shared, &node, now_ms),
    }))
}

/// What the node's evidence has to answer, if it is time for such. Without random bytes there is none, and a later heartbeat asks
/// again.
fn nonce(shared: &Shared, node: &NodeIdentity, now_ms: u64) -> Option<String> {
    let fresh = tee::fresh_nonce().ok()?;
    let nonce = shared.workers.book.lock().offer(&node.name, node.token, fresh, now_ms);
    nonce.map(hex::encode)
}

fn sender(node: &NodeIdentity) -> Sender<'_> {
    Sender { name: &node.name, token: node.token, stake: node.stake }
}

fn counted<T>(shared: &Shared, result: Result<T, BeatError>) -> Result<T, Problem> {
    result.map_err(|error| {
        shared.metrics.heartbeats.get_or_create(&[("result", error.reason())]).inc();
        Problem::Beat(error)
    })
}

fn verify<'a>(
    shared: &Shared,
    node: &NodeIdentity,
    beat: &'a Heartbeat,
    public_key: [u8; 32],
) -> Result<Verified<'a>, BeatError> {
    let mut signature = [0; 64];
    let given = beat.signature.as_deref().ok_or(BeatError::BadSignature)?;
    hex::decode_to_slice(given, &mut signature).map_err(|_| BeatError::BadSignature)?;
    let digest = beat.digest();
    let statement = NodeStatement {
        cluster: shared.facts.cluster,
        token: crate::facts::address(node.token),
        subject: beat.subject(),
        sequence: beat.timestamp_ms,
        digest: digest.to_vec(),
    };
    let message = statement.message(beat.timestamp_ms).map_err(|_| BeatError::BadSignature)?;
    let good = UnparsedPublicKey::new(&ED25519, public_key).verify(&message, &signature);
    good.map_err(|_| BeatError::BadSignature)?;
    Ok(Verified { beat, digest, signature, public_key })
}
