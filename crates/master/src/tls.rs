use std::net::IpAddr;
use std::sync::Arc;

use engine::pki::{ClusterPki, Profile};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::MasterError;

/// The gateway's certificate is made anew at each start.
const LIFETIME_SECONDS: u64 = 365 * 24 * 3600;

/// TLS of the gateway: a certificate under the cluster CA for `names`, and client certificates of the client
/// CA where a peer shows one.
pub(crate) fn server_config(
    pki: &ClusterPki,
    names: &[String],
    now_ms: u64,
) -> Result<Arc<ServerConfig>, MasterError> {
    let bad = |error: &dyn std::fmt::Display| MasterError::Tls(error.to_string());
    let mut dns_names = vec!["localhost".to_owned()];
    let mut addresses = vec![IpAddr::from([127, 0, 0, 1])];
    for name in names {
        match name.trim_matches(['[', ']']).parse() {
            Ok(address) => addresses.push(address),
            Err(_) => dns_names.push(name.clone()),
        }
    }
    dns_names.sort();
    dns_names.dedup();
    addresses.sort();
    addresses.dedup();
    let profile = Profile::server("k3s-daas-gateway", &dns_names, &addresses, LIFETIME_SECONDS);
    let identity = pki.issue(&profile, now_ms)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut clients = RootCertStore::empty();
    let client_ca =
        CertificateDer::from_pem_slice(pki.client_ca_pem().as_bytes()).map_err(|error| bad(&error))?;
    clients.add(client_ca).map_err(|error| bad(&error))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider.clone())
        .allow_unauthenticated()
        .build()
        .map_err(|error| bad(&error))?;
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| bad(&error))?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(|error| bad(&error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|error| bad(&error))?;
    // One request at a time per connection keeps what a peer may cost simple to bound.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
