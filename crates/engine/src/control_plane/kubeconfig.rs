use serde_json::{Value, json};

use crate::pki::Identity;

/// A kubeconfig with one cluster and one user. It is written as JSON, which every reader of YAML takes.
pub struct Kubeconfig<'a> {
    /// URL of the server.
    pub server: &'a str,
    /// The CA of its certificate, PEM.
    pub ca: &'a str,
    /// Who to be.
    pub user: User<'a>,
}

/// How to authenticate.
pub enum User<'a> {
    /// With this certificate, contained in the kubeconfig.
    Identity(&'a Identity),
    /// With the certificate and key in these files, read again when they change.
    Files {
        /// Path of the certificate.
        certificate: &'a str,
        /// Path of the key.
        key: &'a str,
    },
}

impl Kubeconfig<'_> {
    /// The text of the file.
    pub fn render(&self) -> String {
        let user = match &self.user {
            User::Identity(identity) => json!({
                "client-certificate-data": base64(&identity.certificate),
                "client-key-data": base64(&identity.key),
            }),
            User::Files { certificate, key } => {
                json!({ "client-certificate": certificate, "client-key": key })
            }
        };
        let value: Value = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "default",
            "clusters": [{
                "name": "default",
                "cluster": { "server": self.server, "certificate-authority-data": base64(self.ca) },
            }],
            "contexts": [{ "name": "default", "context": { "cluster": "default", "user": "default" } }],
            "users": [{ "name": "default", "user": user }],
        });
        value.to_string()
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
