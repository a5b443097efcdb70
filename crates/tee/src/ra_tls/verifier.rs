use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme};

use super::RaTlsError;
use super::certificate::carried;
use crate::{Anchors, Claims, Collateral, Policy, Refusal, Verifier};

/// Milliseconds since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Both verifiers' traits ask for the same three things, and the provider has them.
macro_rules! signatures_by_the_provider {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    };
}

/// Accepts peers whose certificate proves what runs there; the verifier of a rustls client *and* of a rustls server.
///
/// With `ordinary` a server's certificate has to satisfy that verifier too (names, authorities); without it the evidence is all
/// that counts.
pub struct AttestedPeer {
    policy: Policy,
    anchors: Anchors,
    collateral: Collateral,
    clock: Clock,
    provider: Arc<CryptoProvider>,
    ordinary: Option<Arc<dyn ServerCertVerifier>>,
}

impl AttestedPeer {
    /// Decides by `policy`, whose [`Policy::age_limit_ms`] is also how old a certificate may be.
    #[must_use]
    pub fn new(policy: Policy, anchors: Anchors, collateral: Collateral, clock: Clock) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Self { policy, anchors, collateral, clock, provider, ordinary: None }
    }

    /// Asks `ordinary` too about a server's certificate.
    #[must_use]
    pub fn and(mut self, ordinary: Arc<dyn ServerCertVerifier>) -> Self {
        self.ordinary = Some(ordinary);
        self
    }

    /// What `certificate` proves about whoever holds its key.
    ///
    /// # Errors
    /// That it carries no evidence, is not valid now, or every clause of the policy that is violated.
    pub fn claims(&self, certificate: &CertificateDer<'_>) -> Result<Claims, RaTlsError> {
        let now_ms = (self.clock)();
        let carried = carried(certificate)?;
        let now = i64::try_from(now_ms / 1_000).unwrap_or(i64::MAX);
        let skew = i64::try_from(self.policy.max_clock_skew_ms / 1_000).unwrap_or(i64::MAX);
        let age =
            i64::try_from(self.policy.age_limit_ms(carried.evidence.platform()) / 1_000).unwrap_or(i64::MAX);
        if carried.made > now.saturating_add(skew) {
            return Err(RaTlsError::Validity("its evidence was made in the future"));
        }
        if carried.not_after < now {
            return Err(RaTlsError::Validity("it has expired"));
        }
        if carried.made.saturating_add(age) < now {
            return Err(RaTlsError::Validity("its evidence is older than the policy allows"));
        }
        let verifier = Verifier { anchors: &self.anchors, collateral: &self.collateral, now_ms };
        verifier.verify(&carried.evidence, &self.policy, Some(&carried.report_data)).map_err(|refusals| {
            let unbound = |refusal: &Refusal| matches!(refusal, Refusal::ReportData { .. });
            if refusals.iter().all(unbound) { RaTlsError::OtherKey } else { RaTlsError::Refused(refusals) }
        })
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        self.claims(certificate).map(drop).map_err(|error| {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
        })
    }
}

impl fmt::Debug for AttestedPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttestedPeer").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for AttestedPeer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(ordinary) = &self.ordinary {
            ordinary.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        }
        self.check(end_entity)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_the_provider!();
}

impl ClientCertVerifier for AttestedPeer {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity)?;
        Ok(ClientCertVerified::assertion())
    }

    signatures_by_the_provider!();
}
