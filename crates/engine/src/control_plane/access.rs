use std::path::Path;

use serde_json::json;

/// Certificates that the gateway signs for a node carry an organization with this prefix, the token's id and
/// its generation: they live and end with the token.
pub const TOKEN_GROUP_PREFIX: &str = "k3s-daas:token:";

/// What may be asked without saying who one is.
const OPEN_PATHS: [&str; 3] = ["/healthz", "/livez", "/readyz"];

/// kube-apiserver's authentication, `apiserver.config.k8s.io/v1`: nobody is anonymous but health checks.
pub(crate) fn authentication() -> String {
    let conditions: Vec<_> = OPEN_PATHS.iter().map(|path| json!({ "path": path })).collect();
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [],
        "anonymous": { "enabled": true, "conditions": conditions },
    })
    .to_string()
}

/// kube-apiserver's way to what is in the cluster, `apiserver.k8s.io/v1beta1`: an HTTP CONNECT proxy on a unix socket.
pub(crate) fn egress(socket: &Path) -> String {
    json!({
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [{
            "name": "cluster",
            "connection": {
                "proxyProtocol": "HTTPConnect",
                "transport": { "uds": { "udsName": socket } },
            },
        }],
    })
    .to_string()
}

/// kube-apiserver's audit policy, `audit.k8s.io/v1`: how each request of a node ended, without its content, but for
/// the leases that every kubelet renews all the time.
pub(crate) fn audit_policy() -> String {
    let of_nodes = |level: &str| {
        json!({
            "level": level,
            "userGroups": ["system:nodes"],
            "omitStages": ["RequestReceived", "ResponseStarted", "Panic"],
        })
    };
    let mut leases = of_nodes("None");
    leases["resources"] = json!([{ "group": "coordination.k8s.io", "resources": ["leases"] }]);
    leases["namespaces"] = json!(["kube-node-lease"]);
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "rules": [leases, of_nodes("Metadata"), { "level": "None" }],
    })
    .to_string()
}

/// kube-apiserver's authorization, `apiserver.config.k8s.io/v1`: nodes are put to the webhook at every request,
/// then come Node and RBAC. The webhook denies or has no opinion; neither is cached, so that who lost its stake
/// is refused at its next request.
pub(crate) fn authorization(kubeconfig: &str) -> String {
    let condition = format!(
        "'system:nodes' in request.groups || request.groups.exists(group, group.startsWith('{TOKEN_GROUP_PREFIX}'))"
    );
    json!({
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthorizationConfiguration",
        "authorizers": [
            {
                "type": "Webhook",
                "name": "membership",
                "webhook": {
                    "authorizedTTL": "1s",
                    "unauthorizedTTL": "1s",
                    "cacheAuthorizedRequests": false,
                    "cacheUnauthorizedRequests": false,
                    "timeout": "3s",
                    "subjectAccessReviewVersion": "v1",
                    "matchConditionSubjectAccessReviewVersion": "v1",
                    "failurePolicy": "Deny",
                    "connectionInfo": { "type": "KubeConfigFile", "kubeConfigFile": kubeconfig },
                    "matchConditions": [{ "expression": condition }],
                },
            },
            { "type": "Node", "name": "node" },
            { "type": "RBAC", "name": "rbac" },
        ],
    })
    .to_string()
}
