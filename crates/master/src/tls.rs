use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::pki::{ClusterPki, Profile};
use parking_lot::RwLock;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tee::{Platform, RaTlsError, attested_extension};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::error::MasterError;
use crate::shared::Clock;

/// For plain clients, who see no evidence; who does takes it for minutes only.
const LIFETIME_SECONDS: u64 = 24 * 3600;
/// How often key, evidence and certificate are made anew: less than half of the five minutes that workers take.
const RENEW_EVERY: Duration = Duration::from_secs(120);
/// Pause after the platform gave no evidence.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// TLS of the gateway: a certificate under the cluster CA that carries evidence for its key, made anew while serving, and
/// client certificates of the client CA where a peer shows one.
pub(crate) struct GatewayTls {
    pki: Arc<ClusterPki>,
    platform: Arc<dyn Platform>,
    dns_names: Vec<String>,
    addresses: Vec<IpAddr>,
    current: RwLock<Arc<CertifiedKey>>,
}

impl GatewayTls {
    /// Makes the first certificate for `names`, localhost and 127.0.0.1. Blocks for as long as the platform attests.
    pub(crate) fn new(
        pki: Arc<ClusterPki>,
        platform: Arc<dyn Platform>,
        names: &[String],
        now_ms: u64,
    ) -> Result<Arc<Self>, MasterError> {
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
        let first = certified(&pki, &*platform, &dns_names, &addresses, now_ms)?;
        let current = RwLock::new(Arc::new(first));
        Ok(Arc::new(Self { pki, platform, dns_names, addresses, current }))
    }

    /// The configuration of a listener; it always shows the latest certificate.
    pub(crate) fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, MasterError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut clients = RootCertStore::empty();
        let client_ca = CertificateDer::from_pem_slice(self.pki.client_ca_pem().as_bytes()).map_err(bad)?;
        clients.add(client_ca).map_err(bad)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(clients), provider.clone())
            .allow_unauthenticated()
            .build()
            .map_err(bad)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(bad)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.clone());
        // One request at a time per connection keeps what a peer may cost simple to bound.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Makes key, evidence and certificate anew; connections that are open stay as they are. Blocks.
    pub(crate) fn renew(&self, now_ms: u64) -> Result<(), MasterError> {
        let next = certified(&self.pki, &*self.platform, &self.dns_names, &self.addresses, now_ms)?;
        *self.current.write() = Arc::new(next);
        Ok(())
    }

    /// Renews until `stop`. While the platform gives no evidence the last certificate stays: plain clients go on, and who
    /// looks at evidence says that it is old.
    pub(crate) async fn keep_fresh(self: Arc<Self>, clock: Clock, stop: CancellationToken) {
        let mut pause = RENEW_EVERY;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
            let (tls, now_ms) = (self.clone(), clock());
            let renewed = tokio::task::spawn_blocking(move || tls.renew(now_ms)).await;
            pause = if matches!(renewed, Ok(Ok(()))) { RENEW_EVERY } else { RETRY_AFTER };
            match renewed {
                Ok(Ok(())) => tracing::debug!("made the gateway's certificate anew"),
                Ok(Err(error)) => {
                    tracing::warn!(
                        "cannot make the gateway's certificate anew, workers will not trust it: {error}"
                    );
                }
                Err(_) => tracing::error!("making the gateway's certificate anew broke off"),
            }
        }
    }
}

impl ResolvesServerCert for GatewayTls {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().clone())
    }
}

impl fmt::Debug for GatewayTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayTls").field("dns_names", &self.dns_names).finish_non_exhaustive()
    }
}

fn certified(
    pki: &ClusterPki,
    platform: &dyn Platform,
    dns_names: &[String],
    addresses: &[IpAddr],
    now_ms: u64,
) -> Result<CertifiedKey, MasterError> {
    let profile = Profile::server("k3s-daas-gateway", dns_names, addresses, LIFETIME_SECONDS);
    let identity = pki.issue_server_with(&profile, now_ms, |spki| {
        attested_extension(platform, spki, now_ms).map_err(attestation)
    })?;
    let chain = CertificateDer::pem_slice_iter(identity.certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(bad)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).map_err(bad)?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(bad)?;
    Ok(CertifiedKey::new(chain, key))
}

fn attestation(error: RaTlsError) -> MasterError {
    MasterError::Attestation(error)
}

fn bad(error: impl fmt::Display) -> MasterError {
    MasterError::Tls(error.to_string())
}

#[cfg(test)]
mod tests {
    use rustls::client::danger::ServerCertVerifier as _;
    use tee::{Anchors, AttestedPeer, Collateral, PlatformKind, Policy, SimulatedPlatform};

    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn tls(dir: &std::path::Path) -> (Arc<GatewayTls>, Policy) {
        let platform = SimulatedPlatform::open(dir, &tee::measure_bytes(b"code")).unwrap();
        let policy = Policy {
            allowed: vec![(PlatformKind::Simulated, platform.measurement())],
            allow_simulated: true,
            ..Policy::default()
        };
        let pki = Arc::new(ClusterPki::generate(NOW).unwrap());
        let names = ["master.example".to_owned(), "[::1]".to_owned()];
        (GatewayTls::new(pki, Arc::new(platform), &names, NOW).unwrap(), policy)
    }

    fn peer_at(policy: Policy, now_ms: u64) -> AttestedPeer {
        AttestedPeer::new(policy, Anchors::default(), Collateral::default(), Arc::new(move || now_ms))
    }

    #[test]
    fn the_certificate_proves_the_code_for_minutes_and_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let (tls, policy) = tls(dir.path());
        let first = tls.current.read().cert[0].clone();
        // Between two renewals it is always fresh enough, with a minute of a clock that is off to spare.
        let late = NOW + u64::try_from(RENEW_EVERY.as_millis()).unwrap() + 60_000;
        for now_ms in [NOW - 60_000, NOW, late] {
            peer_at(policy.clone(), now_ms).claims(&first).unwrap();
        }
        let old = peer_at(policy.clone(), NOW + 301_000).claims(&first).unwrap_err().to_string();
        assert!(old.contains("older than the policy allows"), "{old}");

        tls.renew(NOW + 301_000).unwrap();
        let second = tls.current.read().cert[0].clone();
        assert_ne!(first, second);
        peer_at(policy, NOW + 301_000).claims(&second).unwrap();
    }

    #[test]
    fn a_plain_client_sees_an_ordinary_certificate_of_the_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let (tls, _) = tls(dir.path());
        let ca = CertificateDer::from_pem_slice(tls.pki.ca_pem().as_bytes()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca).unwrap();
        let plain = rustls::client::WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(rustls::crypto::ring::default_provider()),
        )
        .build()
        .unwrap();
        let certificate = tls.current.read().cert[0].clone();
        let at = |name: &'static str, now_ms: u64| {
            let now = rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_millis(now_ms));
            plain.verify_server_cert(&certificate, &[], &name.try_into().unwrap(), &[], now)
        };
        for name in ["localhost", "127.0.0.1", "master.example", "::1"] {
            at(name, NOW).unwrap();
        }
        // Clocks that are minutes behind, and a master that could not renew for hours.
        at("localhost", NOW - 290_000).unwrap();
        at("localhost", NOW + 12 * 3_600_000).unwrap();
        at("other.example", NOW).unwrap_err();
        at("localhost", NOW + 25 * 3_600_000).unwrap_err();
    }
}
