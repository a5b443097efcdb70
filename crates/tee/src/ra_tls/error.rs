use std::error::Error;
use std::fmt;

use rustls::{CertificateError, OtherError};

use crate::{Refusal, Refusals, TeeError};

/// Why a peer's certificate does not prove what runs there.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum RaTlsError {
    /// The certificate cannot be read.
    #[error("the peer's certificate cannot be read")]
    Certificate,
    /// It is not valid at this time.
    #[error("the peer's certificate is not valid now: {0}")]
    Validity(&'static str),
    /// It carries no evidence.
    #[error(
        "the peer's certificate carries no attestation evidence: whoever answers is not proven to run in a TEE"
    )]
    NoEvidence,
    /// It carries something else where evidence belongs.
    #[error("the peer's certificate carries no readable evidence: {0}")]
    Wrapper(&'static str),
    /// The evidence cannot be read.
    #[error("the evidence in the peer's certificate")]
    Evidence(#[source] TeeError),
    /// The evidence is all right, but for another key or another time than the certificate's.
    #[error(
        "the evidence in the peer's certificate was made for another key: whoever shows it has copied it"
    )]
    OtherKey,
    /// The evidence does not satisfy the policy.
    #[error("the evidence in the peer's certificate is refused: {0}")]
    Refused(Refusals),
    /// There is more evidence than a certificate carries.
    #[error("the platform's evidence is {bytes} bytes, a certificate carries at most {at_most}")]
    TooLarge {
        /// Bytes there are.
        bytes: usize,
        /// Bytes that fit.
        at_most: usize,
    },
    /// A certificate could not be made.
    #[error("making an attested certificate")]
    Issue(#[source] rcgen::Error),
    /// The platform gave no evidence for one.
    #[error("attesting a TLS key")]
    Attest(#[source] TeeError),
}

impl RaTlsError {
    /// The verifier's error, if that is what made rustls refuse a certificate.
    pub fn behind(error: &rustls::Error) -> Option<&Self> {
        match error {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(cause))) => {
                cause.downcast_ref()
            }
            _ => None,
        }
    }

    /// Stable name in snake_case.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Certificate | Self::Wrapper(_) | Self::Evidence(_) => "evidence_malformed",
            Self::Validity(_) => "evidence_old",
            Self::NoEvidence => "no_evidence",
            Self::OtherKey => "evidence_of_another_key",
            Self::Refused(refusals) => {
                let measurement = |refusal: &Refusal| matches!(refusal, Refusal::Measurement { .. });
                if refusals.iter().any(measurement) { "measurement_mismatch" } else { "attestation_refused" }
            }
            Self::TooLarge { .. } | Self::Issue(_) | Self::Attest(_) => "not_issued",
        }
    }
}

/// As for people: rustls shows the `Debug` form of a verifier's errors, and that is what ends up before them.
impl fmt::Debug for RaTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
