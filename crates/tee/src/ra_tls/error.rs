use std::error::Error;
use std::fmt;

use crate::{Refusals, TeeError};

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
    /// The evidence does not satisfy the policy, or was made for another key.
    #[error("the evidence in the peer's certificate is refused: {0}")]
    Refused(Refusals),
    /// A certificate could not be made.
    #[error("making an attested certificate")]
    Issue(#[source] rcgen::Error),
    /// The platform gave no evidence for one.
    #[error("attesting a TLS key")]
    Attest(#[source] TeeError),
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
