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
