//! Certificates for both sides.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use store::TlsFiles;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Error, Identity};

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Certificate and key, as PEM.
    fn issue(&self, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn server_files(&self, home: &Path) -> TlsFiles {
        let (certificate, key) = self.issue(ExtendedKeyUsagePurpose::ServerAuth);
        let write = |name: &str, text: String| {
            let path = home.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        TlsFiles {
            cert: write("server.crt", certificate),
            key: write("server.key", key),
            client_ca: write("ca.crt", self.issuer.pem()),
        }
    }

    /// What a client of this authority needs, in a directory of its own.
    pub(crate) fn client_files(&self, home: &Path) -> store::ClientFiles {
        let (certificate, key) = self.issue(ExtendedKeyUsagePurpose::ClientAuth);
        let [cacert, cert, key] =
            [("cacert.pem", self.issuer.pem()), ("client.crt", certificate), ("client.key", key)].map(
                |(name, text)| {
                    std::fs::write(home.join(name), text).unwrap();
                    home.join(name)
                },
            );
        store::ClientFiles { cacert, cert, key }
    }

    /// A channel to a server of this authority, with a certificate of `client`'s if there is one.
    pub(crate) async fn channel(&self, url: &str, client: Option<&Self>) -> Result<Channel, Error> {
        let mut config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.issuer.pem()));
        if let Some(client) = client {
            let (certificate, key) = client.issue(ExtendedKeyUsagePurpose::ClientAuth);
            config = config.identity(Identity::from_pem(certificate, key));
        }
        Endpoint::from_shared(url.to_owned()).unwrap().tls_config(config)?.connect().await
    }
}
