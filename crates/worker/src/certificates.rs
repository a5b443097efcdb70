use std::net::IpAddr;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData, SanType};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use zeroize::Zeroizing;

use crate::agent::Validity;
use crate::cluster_settings::ClusterSettings;
use crate::gateway::{CertificateKind, Signed};

/// Everything that the node's processes need to be part of the cluster. The keys never leave this machine.
#[derive(Clone, Debug)]
pub struct NodeBundle {
    /// Name of the node, pinned on chain.
    pub node_name: String,
    /// The kubelet towards the apiserver.
    pub client_kubelet: KeyedCertificate,
    /// The apiserver towards the kubelet.
    pub serving_kubelet: KeyedCertificate,
    /// kube-proxy towards the apiserver.
    pub client_kube_proxy: KeyedCertificate,
    /// CA of clients, PEM.
    pub client_ca_pem: String,
    /// CA of servers, PEM.
    pub server_ca_pem: String,
    /// Addresses of the apiservers, `host:port`.
    pub apiservers: Vec<String>,
    /// The cluster's settings for nodes.
    pub settings: ClusterSettings,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct KeyedCertificate {
    /// Certificate chain, leaf first.
    pub certificate_pem: String,
    /// PKCS#8 key; wiped when dropped.
    pub key_pem: Zeroizing<String>,
}

impl std::fmt::Debug for KeyedCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedCertificate")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// Why a certificate could not be requested or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// No key or request could be made.
    #[error("cannot make a key or certificate request")]
    Request(#[from] rcgen::Error),
    /// The gateway's answer is no certificate.
    #[error("gateway's {kind:?} certificate cannot be read")]
    Unreadable {
        /// Which.
        kind: CertificateKind,
    },
    /// It is for another key.
    #[error("gateway's {kind:?} certificate is for another key than was asked for")]
    OtherKey {
        /// Which.
        kind: CertificateKind,
    },
    /// It is for another name.
    #[error("gateway's {kind:?} certificate is for {found:?}, not {expected:?}")]
    OtherName {
        /// Which.
        kind: CertificateKind,
        /// Common name asked for.
        expected: String,
        /// Common name found.
        found: String,
    },
}

/// A fresh key and the request for its certificate.
pub(crate) struct Request {
    kind: CertificateKind,
    common_name: String,
    key: KeyPair,
}

impl Request {
    /// A new ECDSA P-256 key for the node `name`.
    pub(crate) fn new(kind: CertificateKind, name: &str) -> Result<Self, CertificateError> {
        let common_name = match kind {
            CertificateKind::ClientKubelet => format!("system:node:{name}"),
            CertificateKind::ServingKubelet => name.to_owned(),
            CertificateKind::ClientKubeProxy => "system:kube-proxy".to_owned(),
        };
        Ok(Self { kind, common_name, key: KeyPair::generate()? })
    }

    /// The certificate signing request in DER, for a node at `ip`.
    pub(crate) fn csr_der(&self, ip: IpAddr) -> Result<Vec<u8>, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.common_name.as_str());
        match self.kind {
            CertificateKind::ClientKubelet => {
                params.distinguished_name.push(DnType::OrganizationName, "system:nodes");
            }
            CertificateKind::ServingKubelet => {
                params.subject_alt_names =
                    vec![SanType::DnsName(self.common_name.as_str().try_into()?), SanType::IpAddress(ip)];
            }
            CertificateKind::ClientKubeProxy => {}
        }
        Ok(params.serialize_request(&self.key)?.der().to_vec())
    }

    /// Takes the gateway's certificate, if it is for this key and (for the kubelet's client) this name.
    pub(crate) fn accept(self, signed: Signed) -> Result<(KeyedCertificate, Validity), CertificateError> {
        let kind = self.kind;
        let (_, leaf) =
            X509Certificate::from_der(&signed.leaf).map_err(|_| CertificateError::Unreadable { kind })?;
        if leaf.public_key().raw != self.key.subject_public_key_info() {
            return Err(CertificateError::OtherKey { kind });
        }
        let name = leaf.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        // Kubernetes authorizes the node by this name; the others' names are the gateway's to choose.
        if kind == CertificateKind::ClientKubelet && name != Some(&self.common_name) {
            let found = name.unwrap_or_default().chars().take(128).collect();
            return Err(CertificateError::OtherName { kind, expected: self.common_name, found });
        }
        let ms = |seconds: i64| u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
        let validity = Validity {
            from_ms: ms(leaf.validity().not_before.timestamp()),
            until_ms: ms(leaf.validity().not_after.timestamp()),
        };
        let key_pem = Zeroizing::new(self.key.serialize_pem());
        Ok((KeyedCertificate { certificate_pem: signed.pem, key_pem }, validity))
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateSigningRequestParams, Issuer};

    use super::*;

    const IP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn sign(csr_der: Vec<u8>) -> Signed {
        let ca_key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(CertificateParams::new(vec![]).unwrap(), ca_key);
        let request = CertificateSigningRequestParams::from_der(&csr_der.into()).unwrap();
        let certificate = request.signed_by(&issuer).unwrap();
        Signed { pem: certificate.pem(), leaf: certificate.der().clone() }
    }

    #[test]
    fn accepts_what_it_asked_for_and_nothing_else() {
        for kind in [
            CertificateKind::ClientKubelet,
            CertificateKind::ServingKubelet,
            CertificateKind::ClientKubeProxy,
        ] {
            let request = Request::new(kind, "n1").unwrap();
            let signed = sign(request.csr_der(IP).unwrap());
            let other = Request::new(kind, "n1").unwrap();
            assert!(matches!(other.accept(signed.clone()), Err(CertificateError::OtherKey { .. })));
            let (keyed, validity) = request.accept(signed.clone()).unwrap();
            assert_eq!(keyed.certificate_pem, signed.pem);
            assert!(keyed.key_pem.contains("PRIVATE KEY") && !format!("{keyed:?}").contains("PRIVATE"));
            assert!(validity.from_ms < validity.until_ms);
        }
    }

    #[test]
    fn a_kubelet_certificate_for_another_node_is_refused() {
        let request = Request::new(CertificateKind::ClientKubelet, "n1").unwrap();
        let mut signed_for = Request::new(CertificateKind::ClientKubelet, "n2").unwrap();
        signed_for.key = KeyPair::from_pem(&request.key.serialize_pem()).unwrap();
        let error = request.accept(sign(signed_for.csr_der(IP).unwrap())).unwrap_err();
        assert_eq!(
            error.to_string(),
            "gateway's ClientKubelet certificate is for \"system:node:n2\", not \"system:node:n1\""
        );
    }
}
