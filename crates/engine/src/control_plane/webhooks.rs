use super::config::Webhooks;
use super::kubeconfig::{Kubeconfig, User};

/// Where kube-apiserver finds how to ask each webhook. All of them hold a private key.
pub(crate) struct Files {
    pub(crate) token_review: String,
    pub(crate) authorize: String,
    pub(crate) audit: String,
}

impl Files {
    /// kube-apiserver's flags for them, without its cache of tokens that were accepted, for which upstream has no flag.
    pub(crate) fn flags(self, authorization: String, audit_policy: String) -> [(&'static str, String); 8] {
        [
            ("authorization-config", authorization),
            ("audit-policy-file", audit_policy),
            ("audit-webhook-config-file", self.audit),
            // A batch has to fit a body of the gateway.
            ("audit-webhook-batch-max-size", "100".to_owned()),
            ("audit-webhook-batch-max-wait", "1s".to_owned()),
            ("authentication-token-webhook-config-file", self.token_review),
            ("authentication-token-webhook-version", "v1".to_owned()),
            ("authentication-token-webhook-cache-ttl", "0s".to_owned()),
        ]
    }
}

/// How kube-apiserver asks `server`, one of `webhooks`.
pub(crate) fn kubeconfig(webhooks: &Webhooks, server: &str) -> String {
    Kubeconfig { server, ca: &webhooks.ca, user: User::Identity(&webhooks.client) }.render()
}
