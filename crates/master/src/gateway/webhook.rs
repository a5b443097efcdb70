//! The apiserver's questions: who is this bearer (TokenReview, authentication.k8s.io/v1), and may this node's
//! certificate still do anything (SubjectAccessReview, authorization.k8s.io/v1).
//!
//! Nothing is cached here or there, so an answer is as fresh as the last checkpoint.

use axum::body::Body;
use axum::extract::State;
use axum::{Extension, Json};
use engine::control_plane::{SERVICE_ACCOUNT_ISSUER, WEBHOOK_CLIENT};
use http::HeaderMap;
use seal_token::Proof;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::body;
use super::peer::Peer;
use super::problem::Problem;
use super::routes::Desk;
use crate::Id;
use crate::membership::{CERTIFICATE_GROUP_PREFIX, NODES_GROUP, NodeCertificate, Refusal, User};
use crate::shared::Shared;

const TOKEN_REVIEW: (&str, &str) = ("authentication.k8s.io/v1", "TokenReview");
const ACCESS_REVIEW: (&str, &str) = ("authorization.k8s.io/v1", "SubjectAccessReview");

/// A Kubernetes review; unknown fields are ignored, as Kubernetes adds some.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<T> {
    api_version: String,
    kind: String,
    spec: T,
}

#[derive(Deserialize)]
struct TokenSpec {
    #[serde(default)]
    token: String,
    #[serde(default)]
    audiences: Vec<String>,
}

#[derive(Deserialize)]
struct AccessSpec {
    #[serde(default)]
    user: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct TokenStatus {
    authenticated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    audiences: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) async fn token_review(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let shared = &desk.shared;
    let spec: TokenSpec = review(&desk, &peer, &headers, body, TOKEN_REVIEW).await?;
    // A proof is for this cluster's apiserver and for nobody whom it might be shown to in another name.
    let audiences: Vec<String> =
        spec.audiences.iter().filter(|asked| *asked == SERVICE_ACCOUNT_ISSUER).cloned().collect();
    let status = if audiences.is_empty() && !spec.audiences.is_empty() {
        shared.metrics.token_reviews.get_or_create(&[("result", "other_audience")]).inc();
        let error =
            "seal proofs are for this cluster's apiserver, not for the audiences asked for".to_owned();
        TokenStatus { error: Some(error), ..TokenStatus::default() }
    } else {
        match authenticate(shared, &spec.token) {
            Ok(user) => {
                shared.metrics.token_reviews.get_or_create(&[("result", "authenticated")]).inc();
                TokenStatus { authenticated: true, user: Some(user_info(&user)), audiences, error: None }
            }
            Err((refusal, token)) => {
                shared.refuse(&refusal, token, "/webhook/token-review", Some(peer.address));
                shared.metrics.token_reviews.get_or_create(&[("result", "refused")]).inc();
                let error = format!("{}: {refusal}", refusal.reason());
                TokenStatus { error: Some(error), ..TokenStatus::default() }
            }
        }
    };
    Ok(answer(TOKEN_REVIEW, &status))
}

/// For certificates of nodes only: denies when the token behind is not live, or the node is attested by another key, and has no opinion otherwise, so
/// that the Node authorizer and RBAC decide.
pub(super) async fn authorize(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let shared = &desk.shared;
    let spec: AccessSpec = review(&desk, &peer, &headers, body, ACCESS_REVIEW).await?;
    let certificate = NodeCertificate { user: spec.user, groups: spec.groups };
    let is_ours = |group: &String| group == NODES_GROUP || group.starts_with(CERTIFICATE_GROUP_PREFIX);
    let denied =
        if certificate.groups.iter().any(is_ours) { shared.may_act(&certificate).err() } else { None };
    let result = if denied.is_some() { "denied" } else { "no_opinion" };
    shared.metrics.node_authorizations.get_or_create(&[("result", result)]).inc();
    let status = match denied {
        None => json!({ "allowed": false, "reason": "" }),
        Some(refusal) => {
            // A removed kubelet asks many times a second: counted, and logged only in detail.
            shared.metrics.refusals.get_or_create(&[("reason", refusal.reason())]).inc();
            tracing::debug!(
                reason = refusal.reason(),
                user = certificate.user,
                "denied a node's certificate"
            );
            json!({ "allowed": false, "denied": true, "reason": format!("{}: {refusal}", refusal.reason()) })
        }
    };
    Ok(answer(ACCESS_REVIEW, &status))
}

/// Reads a review of the right kind, from the apiserver only.
async fn review<T: for<'de> Deserialize<'de>>(
    desk: &Desk,
    peer: &Peer,
    headers: &HeaderMap,
    body: Body,
    (api_version, kind): (&str, &str),
) -> Result<T, Problem> {
    if !peer.is_user(WEBHOOK_CLIENT) {
        return Err(Problem::NotTheApiserver);
    }
    let review: Review<T> = body::json(&desk.limits, headers, body).await?;
    if (review.api_version.as_str(), review.kind.as_str()) != (api_version, kind) {
        return Err(Problem::BadJson { problem: format!("a {kind} of {api_version} is expected") });
    }
    Ok(review.spec)
}

fn authenticate(shared: &Shared, token: &str) -> Result<User, (Refusal, Option<Id>)> {
    let proof: Proof = token.parse().map_err(|refusal| (Refusal::Proof(refusal), None))?;
    let user = shared.membership.read().user(&proof, shared.now_ms());
    user.map_err(|refusal| (refusal, Some(Id(proof.claims.token_id))))
}

fn user_info(user: &User) -> Value {
    json!({
        "username": user.name,
        "uid": user.uid,
        "groups": user.groups,
        "extra": {
            "k3s-daas.io/tier": [user.tier.as_str()],
            "k3s-daas.io/token": [user.token.to_string()],
        },
    })
}

fn answer((api_version, kind): (&str, &str), status: &impl Serialize) -> Json<Value> {
    Json(json!({ "apiVersion": api_version, "kind": kind, "status": status }))
}
