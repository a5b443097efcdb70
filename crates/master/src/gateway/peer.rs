use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::membership::NodeCertificate;

/// Who is at the other end of a connection. TLS has checked the certificate's chain and dates.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    /// User and groups of the client certificate, if one was shown.
    pub(super) certificate: Option<Arc<NodeCertificate>>,
    /// SHA-256 of its public key (SubjectPublicKeyInfo in DER), whose private half the peer has.
    pub(super) key: Option<[u8; 32]>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr, chain: Option<&[CertificateDer<'_>]>) -> Self {
        let shown = chain.and_then(<[_]>::first).and_then(|leaf| identity(leaf));
        let (certificate, key) = shown.unzip();
        Self { address, certificate: certificate.map(Arc::new), key }
    }

    /// Whether the certificate is the one of user `name`.
    pub(super) fn is_user(&self, name: &str) -> bool {
        self.certificate.as_ref().is_some_and(|certificate| certificate.user == name)
    }
}

/// Common name and organizations, as Kubernetes reads user and groups from a certificate, and the hash of its key. More than one
/// common name is none.
fn identity(leaf: &CertificateDer<'_>) -> Option<(NodeCertificate, [u8; 32])> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let subject = certificate.subject();
    let mut names = subject.iter_common_name();
    let user = names.next()?.as_str().ok()?.to_owned();
    if names.next().is_some() {
        return None;
    }
    let groups = subject
        .iter_organization()
        .map(|group| group.as_str().ok().map(str::to_owned))
        .collect::<Option<_>>()?;
    let key = Sha256::digest(certificate.public_key().raw);
    Some((NodeCertificate { user, groups }, key.into()))
}
