use rcgen::{CustomExtension, KeyPair, PublicKeyData};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::authority::Authority;
use super::error::{PkiError, failed};
use super::identity::Identity;
use super::profile::{Profile, Usage};
use super::request;

/// All keys of a cluster. They leave memory only by [`ClusterPki::to_bytes`], which the caller seals.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct ClusterPki {
    server: Authority,
    client: Authority,
    kubelet: Authority,
    request_header: Authority,
    service_accounts: String,
}

impl ClusterPki {
    /// New keys.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate(now_ms: u64) -> Result<Self, PkiError> {
        let service_accounts = KeyPair::generate().map_err(failed("make the service-account key"))?;
        Ok(Self {
            server: Authority::generate("k3s-daas-server-ca", now_ms)?,
            client: Authority::generate("k3s-daas-client-ca", now_ms)?,
            kubelet: Authority::generate("k3s-daas-kubelet-ca", now_ms)?,
            request_header: Authority::generate("k3s-daas-request-header-ca", now_ms)?,
            service_accounts: service_accounts.serialize_pem(),
        })
    }

    /// Everything, private keys included: seal it before it touches a disk.
    ///
    /// # Errors
    /// None in practice; encoding is fallible by its type.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, PkiError> {
        serde_json::to_vec(self)
            .map(Zeroizing::new)
            .map_err(|error| PkiError::Damaged { reason: error.to_string() })
    }

    /// Reads what [`ClusterPki::to_bytes`] gave.
    ///
    /// # Errors
    /// [`PkiError::Damaged`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PkiError> {
        serde_json::from_slice(bytes).map_err(|error| PkiError::Damaged { reason: error.to_string() })
    }

    /// The server CA's certificate as `/cacerts` serves it, PEM.
    pub fn ca_pem(&self) -> &str {
        self.server.pem()
    }

    /// SHA-256 of the server CA's DER: the cluster's `ca_hash` on chain and the audience of seal proofs.
    ///
    /// # Errors
    /// [`PkiError::Damaged`] when the stored certificate is not PEM.
    pub fn ca_der_sha256(&self) -> Result<[u8; 32], PkiError> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        let der = CertificateDer::from_pem_slice(self.server.pem().as_bytes())
            .map_err(|error| PkiError::Damaged { reason: error.to_string() })?;
        Ok(Sha256::digest(&der).into())
    }

    /// SHA-256 of the PEM that `/cacerts` serves: the hash in a `K10` token.
    pub fn ca_pem_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.server.pem().as_bytes()).into()
    }

    /// The client CA's certificate, PEM.
    pub fn client_ca_pem(&self) -> &str {
        self.client.pem()
    }

    /// The certificate of the CA that signs kubelets as servers, PEM.
    pub fn kubelet_ca_pem(&self) -> &str {
        self.kubelet.pem()
    }

    /// The certificate of the CA by which extension apiservers know kube-apiserver, PEM.
    pub fn request_header_ca_pem(&self) -> &str {
        self.request_header.pem()
    }

    /// The key that signs service-account tokens, PEM, PKCS#8.
    pub fn service_account_key(&self) -> &str {
        &self.service_accounts
    }

    /// The public half of [`ClusterPki::service_account_key`], PEM.
    ///
    /// # Errors
    /// When the stored key is damaged.
    pub fn service_account_public_key(&self) -> Result<String, PkiError> {
        let key =
            KeyPair::from_pem(&self.service_accounts).map_err(failed("read the service-account key"))?;
        Ok(key.public_key_pem())
    }

    /// The authorities that `k3s server` works with, by the names that it gives their files. Kubelets as servers are not signed by K3s.
    pub(crate) fn authorities(&self) -> [(&'static str, &Authority); 3] {
        [
            ("server-ca", &self.server),
            ("client-ca", &self.client),
            ("request-header-ca", &self.request_header),
        ]
    }

    /// A new key and a certificate for it: of the client CA for a client, of the server CA for a server.
    ///
    /// # Errors
    /// [`PkiError::BadName`] when the profile says what a certificate cannot.
    pub fn issue(&self, profile: &Profile<'_>, now_ms: u64) -> Result<Identity, PkiError> {
        match profile.usage {
            Usage::Client => self.client.issue(profile, now_ms),
            Usage::Server => self.server.issue(profile, now_ms),
        }
    }

    /// The same for a server, with an extension that `extension` makes for the new key, given as its
    /// SubjectPublicKeyInfo (DER).
    ///
    /// # Errors
    /// As [`ClusterPki::issue`], and whatever `extension` says.
    pub fn issue_server_with<E: From<PkiError>>(
        &self,
        profile: &Profile<'_>,
        now_ms: u64,
        extension: impl FnOnce(&[u8]) -> Result<CustomExtension, E>,
    ) -> Result<Identity, E> {
        let key = KeyPair::generate().map_err(failed("make a key"))?;
        let extension = extension(&key.subject_public_key_info())?;
        let certificate = self.server.sign(&key, profile, now_ms, Some(extension))?;
        Ok(Identity { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A new key and certificate for a node: as [`ClusterPki::sign_request`], for one that brings no key.
    ///
    /// # Errors
    /// As [`ClusterPki::issue`].
    pub fn issue_for_node(&self, profile: &Profile<'_>, now_ms: u64) -> Result<Identity, PkiError> {
        match profile.usage {
            Usage::Client => self.client.issue(profile, now_ms),
            Usage::Server => self.kubelet.issue(profile, now_ms),
        }
    }

    /// A new key and a certificate of the request-header CA: who shows it speaks in the name of others.
    pub(crate) fn issue_request_header(
        &self,
        profile: &Profile<'_>,
        now_ms: u64,
    ) -> Result<Identity, PkiError> {
        self.request_header.issue(profile, now_ms)
    }

    /// A certificate for the key of a signing request (DER or PEM): of the client CA for a client, of the
    /// kubelet CA for a server. Only the key is taken from the request; PEM.
    ///
    /// # Errors
    /// [`PkiError::BadRequest`] when the request is none or not signed by its own key.
    pub fn sign_request(
        &self,
        request: &[u8],
        profile: &Profile<'_>,
        now_ms: u64,
    ) -> Result<String, PkiError> {
        let key = request::public_key(request)?;
        let authority = match profile.usage {
            Usage::Client => &self.client,
            Usage::Server => &self.kubelet,
        };
        authority.sign(&key, profile, now_ms, None)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::CertificateParams;
    use x509_parser::prelude::*;

    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    #[test]
    fn keys_survive_a_round_trip() {
        let pki = ClusterPki::generate(NOW).unwrap();
        let again = ClusterPki::from_bytes(&pki.to_bytes().unwrap()).unwrap();
        assert_eq!(again.ca_der_sha256().unwrap(), pki.ca_der_sha256().unwrap());
        assert_eq!(again.ca_pem_sha256(), pki.ca_pem_sha256());
        assert!(matches!(ClusterPki::from_bytes(b"{}"), Err(PkiError::Damaged { .. })));
    }

    #[test]
    fn a_node_certificate_says_what_the_profile_says_and_nothing_of_the_request() {
        let pki = ClusterPki::generate(NOW).unwrap();
        let key = KeyPair::generate().unwrap();
        let wishes = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
        let request = wishes.serialize_request(&key).unwrap();
        let groups = ["system:nodes", "k3s-daas:token:0x1.1"];
        let profile = Profile::client("system:node:worker-1", &groups, 3600);
        for form in [request.der().to_vec(), request.pem().unwrap().into_bytes()] {
            let pem = pki.sign_request(&form, &profile, NOW).unwrap();
            let (_, parsed) = parse_x509_pem(pem.as_bytes()).unwrap();
            let certificate = parsed.parse_x509().unwrap();
            let subject = certificate.subject();
            assert_eq!(subject.iter_common_name().next().unwrap().as_str().unwrap(), "system:node:worker-1");
            let organizations: Vec<_> =
                subject.iter_organization().map(|attribute| attribute.as_str().unwrap()).collect();
            assert_eq!(organizations, groups);
            assert!(certificate.subject_alternative_name().unwrap().is_none());
            let (_, ca) = parse_x509_pem(pki.client_ca_pem().as_bytes()).unwrap();
            let ca = ca.parse_x509().unwrap();
            certificate.verify_signature(Some(ca.public_key())).unwrap();
            let now = ASN1Time::from_timestamp(i64::try_from(NOW / 1000).unwrap()).unwrap();
            assert!(certificate.validity().is_valid_at(now));
        }
    }

    #[test]
    fn a_request_that_its_key_did_not_sign_is_refused() {
        let pki = ClusterPki::generate(NOW).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut request = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
        let last = request.len() - 1;
        request[last] ^= 1;
        let profile = Profile::client("system:node:a", &["system:nodes"], 60);
        for bad in [request, b"nothing".to_vec(), vec![0x30; 100_000], Vec::new()] {
            assert!(matches!(pki.sign_request(&bad, &profile, NOW), Err(PkiError::BadRequest { .. })));
        }
    }

    #[test]
    fn names_with_control_characters_are_refused() {
        let pki = ClusterPki::generate(NOW).unwrap();
        let profile = Profile::client("system:node:a\n", &[], 60);
        assert!(matches!(pki.issue(&profile, NOW), Err(PkiError::BadName { .. })));
    }
}
