use crate::Id;

/// Label on everything in Kubernetes that the master made.
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGED_BY_VALUE: &str = "k3s-daas";

/// Kubernetes' own group of kubelets.
pub const NODES_GROUP: &str = "system:nodes";
/// Kubernetes' own user name of a kubelet, before the node's name.
pub const NODE_USER_PREFIX: &str = "system:node:";

/// Group in every certificate that a node gets, before `<token id>.<generation>`: what ties the
/// certificate to the token that it was issued under. So a certificate of an earlier holder of the same
/// node name, or of a rotated key, is worth nothing. A kubelet's goes on with `.<SHA-256 of its public key>`, hexadecimal: so
/// kube-apiserver's questions name the key that a node's evidence is bound to.
pub use engine::control_plane::TOKEN_GROUP_PREFIX as CERTIFICATE_GROUP_PREFIX;

/// Label that ties a Node to the seal token under which it joined.
///
/// The prefix is one that the NodeRestriction admission plugin keeps a kubelet from setting.
pub const TOKEN_LABEL: &str = "node-restriction.kubernetes.io/k3s-daas-token";

/// Label by which an administrator tells the master to leave a Node alone that did not join by a token (a
/// virtual node, a load generator's). A kubelet cannot set it.
pub const FOREIGN_NODE_LABEL: &str = "node-restriction.kubernetes.io/k3s-daas-foreign";

/// Value of [`TOKEN_LABEL`]: the first 40 hexadecimal digits of the id, as a label holds 63 characters.
pub fn token_label(token: &Id) -> String {
    hex::encode(&token.0[..20])
}

/// A DNS label as Kubernetes wants for namespaces (RFC 1123): 1 to 63 of `a-z 0-9 -`, no `-` at an end.
pub fn is_dns_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A DNS subdomain as Kubernetes wants for nodes (RFC 1123): up to 253 characters of labels and dots.
pub fn is_dns_subdomain(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(is_dns_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_mean_something_else_are_refused() {
        for good in ["a", "worker-1", "n1.example", "0"] {
            assert!(is_dns_subdomain(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in
            ["", "-a", "a-", "A", "a..b", ".a", "system:node:x", "a/b", "a,O=system:masters", "ä", &long]
        {
            assert!(!is_dns_subdomain(bad), "{bad}");
        }
        assert!(!is_dns_label("a.b"));
    }

    #[test]
    fn a_token_label_fits_a_label_value() {
        assert_eq!(token_label(&Id([0xab; 32])), "ab".repeat(20));
    }
}
