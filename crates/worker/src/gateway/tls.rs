use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tee::{AttestedPeer, Policy};

use super::{GatewayError, Trust};
use crate::{KeyedCertificate, clock};

/// TLS to a master that proves what it runs: a certificate of exactly this CA, with evidence bound to its key that
/// `policy` accepts.
pub(super) fn attested(
    ca: CertificateDer<'static>,
    policy: Policy,
    trust: &Trust,
) -> Result<ClientConfig, GatewayError> {
    let local = |error: &dyn std::fmt::Display| GatewayError::Local(format!("cannot set up TLS: {error}"));
    let mut roots = RootCertStore::empty();
    roots.add(ca).map_err(|_| GatewayError::CaFormat)?;
    let ordinary = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| local(&error))?;
    let (anchors, collateral) = (trust.anchors.clone(), trust.collateral.clone());
    let peer = AttestedPeer::new(policy, anchors, collateral, Arc::new(clock::now_ms)).and(ordinary);
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| local(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(peer))
        .with_no_client_auth();
    // A session that is resumed would not be verified again.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// TLS that accepts any certificate. Only for reading `/cacerts`, whose answer is compared with the chain.
pub(super) fn unverified() -> Result<ClientConfig, Error> {
    let provider = provider();
    Ok(ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth())
}

/// The same demands on the server, and our certificate.
pub(crate) fn with_identity(tls: &ClientConfig, identity: &KeyedCertificate) -> Result<ClientConfig, String> {
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    let key =
        PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|error| error.to_string())?;
    let mut tls = tls.clone();
    let certified =
        CertifiedKey::from_der(chain, key, tls.crypto_provider()).map_err(|error| error.to_string())?;
    tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
