//! How requests of nodes ended, as kube-apiserver tells it: what was refused is counted and logged. Kubernetes
//! refuses most of what a hostile kubelet tries by itself, and nobody would hear of it.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use engine::control_plane::WEBHOOK_CLIENT;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use super::body;
use super::peer::Peer;
use super::problem::Problem;
use super::routes::Desk;
use crate::membership::{CERTIFICATE_GROUP_PREFIX, NODES_GROUP};

/// `audit.k8s.io/v1`; unknown fields are ignored.
#[derive(Deserialize)]
struct EventList {
    #[serde(default)]
    items: Vec<AuditEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuditEvent {
    #[serde(default)]
    verb: String,
    user: AuditUser,
    object_ref: Option<ObjectRef>,
    response_status: Option<ResponseStatus>,
}

#[derive(Deserialize)]
struct AuditUser {
    #[serde(default)]
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

pub(super) async fn audit(
    State(desk): State<Desk>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    if !peer.is_user(WEBHOOK_CLIENT) {
        return Err(Problem::NotTheApiserver);
    }
    let events: EventList = body::json(&desk.limits, &headers, body).await?;
    let of_nodes = |event: &&AuditEvent| {
        let is_ours = |group: &String| group == NODES_GROUP || group.starts_with(CERTIFICATE_GROUP_PREFIX);
        event.user.groups.iter().any(is_ours)
    };
    let nothing = ObjectRef::default();
    for event in events.items.iter().filter(of_nodes) {
        let Some(status) = event.response_status.as_ref().filter(|status| status.code == 403) else {
            continue;
        };
        let what = event.object_ref.as_ref().unwrap_or(&nothing);
        let labels = [("resource", known(&what.resource, &RESOURCES)), ("verb", known(&event.verb, &VERBS))];
        desk.shared.metrics.node_requests.get_or_create(&labels).inc();
        if desk.shared.node_lines.lock().take(desk.shared.now_ms()) {
            let why: String = status.message.chars().take(200).collect();
            tracing::info!(
                user = event.user.username,
                verb = event.verb,
                resource = what.resource,
                subresource = what.subresource,
                namespace = what.namespace,
                name = what.name,
                "refused a node: {why}"
            );
        }
    }
    Ok(StatusCode::OK)
}

/// Labels of a metric have few values, whatever a node asks for.
fn known(word: &str, words: &[&'static str]) -> &'static str {
    words.iter().find(|known| **known == word).copied().unwrap_or("other")
}

const RESOURCES: [&str; 12] = [
    "configmaps",
    "csinodes",
    "events",
    "leases",
    "namespaces",
    "nodes",
    "persistentvolumeclaims",
    "persistentvolumes",
    "pods",
    "secrets",
    "serviceaccounts",
    "services",
];
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
