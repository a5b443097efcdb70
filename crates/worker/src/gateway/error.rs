use std::error::Error as _;
use std::io;

use tee::RaTlsError;

use crate::agent::{Failure, FailureKind};

/// Why a step at the gateway failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The endpoint on chain is no URL of a gateway.
    #[error("the endpoint on chain, {endpoint:?}, is not https://host:port; its operator must correct it")]
    Endpoint {
        /// What the chain has.
        endpoint: String,
    },
    /// No answer.
    #[error("gateway {url} does not answer: {cause}")]
    Unreachable {
        /// Its endpoint.
        url: String,
        /// The innermost cause.
        cause: String,
        /// The transport's error.
        source: reqwest::Error,
    },
    /// The certificate of the TLS endpoint is not one of the pinned CA's.
    #[error("gateway {url} shows a certificate that the cluster's CA did not sign for it: {cause}")]
    Tls {
        /// Its endpoint.
        url: String,
        /// What rustls said.
        cause: String,
    },
    /// The certificate is the pinned CA's, but does not prove what runs there.
    #[error("gateway {url} has a certificate of the cluster's CA, but {cause}; no proof was sent")]
    Unattested {
        /// Its endpoint.
        url: String,
        /// Stable name of what is wrong with the evidence; see [`tee::RaTlsError::reason`].
        reason: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// The gateway was given up while it was asked.
    #[error("the gateway must be verified again first")]
    Closed,
    /// `/cacerts` is not one certificate.
    #[error("gateway's /cacerts is not exactly one PEM certificate")]
    CaFormat,
    /// The CA is another than the chain says.
    #[error("gateway's CA differs from the chain: expected {expected}, actual {actual}; no proof was sent")]
    CaHash {
        /// SHA-256 on chain, hexadecimal.
        expected: String,
        /// SHA-256 of what the gateway gave, hexadecimal.
        actual: String,
    },
    /// The master names another enclave key than the chain.
    #[error(
        "master's enclave key differs from the chain: expected {expected}, actual {actual}; no proof was sent"
    )]
    EnclaveKey {
        /// On chain, hexadecimal.
        expected: String,
        /// What the master says, hexadecimal.
        actual: String,
    },
    /// The master's evidence cannot be read.
    #[error("master's attestation is unreadable; no proof was sent")]
    Evidence(#[source] tee::TeeError),
    /// The master's evidence does not satisfy what the chain allows.
    #[error("master's attestation is refused: {0}; no proof was sent")]
    Attestation(#[source] tee::Refusals),
    /// The gateway refused the proof or the request.
    #[error("gateway refused: {message} ({reason}, status {status})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Stable name from the error body.
        reason: String,
        /// Sentence from the error body.
        message: String,
    },
    /// The gateway could not answer.
    #[error("gateway failed: {message} ({reason}, status {status})")]
    Answer {
        /// HTTP status.
        status: u16,
        /// Stable name from the error body.
        reason: String,
        /// Sentence from the error body.
        message: String,
    },
    /// The answer is not what it should be.
    #[error("gateway's answer to {what} is not understood: {problem}")]
    Malformed {
        /// Which call.
        what: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// Something on this machine failed before the gateway was asked.
    #[error("{0}")]
    Local(String),
}

impl GatewayError {
    /// Sorts a transport error: was it silence, or a certificate that does not fit?
    pub(super) fn transport(base: &str, error: reqwest::Error) -> Self {
        let url = base.to_owned();
        match certificate_problem(&error) {
            Some(tls) => match RaTlsError::behind(&tls) {
                Some(cause) => Self::Unattested { url, reason: cause.reason(), cause: format!("{cause:?}") },
                None => Self::Tls { url, cause: tls.to_string() },
            },
            None => {
                // Without the URL, which may carry more than the host.
                let error = error.without_url();
                let mut cause: &dyn std::error::Error = &error;
                while let Some(next) = cause.source() {
                    cause = next;
                }
                let cause = cause.to_string();
                Self::Unreachable { url, cause, source: error }
            }
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Endpoint { .. } => "bad_endpoint",
            Self::Unreachable { .. } => "gateway_unreachable",
            Self::Tls { .. } => "tls_untrusted",
            Self::Unattested { reason, .. } => reason,
            Self::Closed => "session_over",
            Self::CaFormat => "ca_malformed",
            Self::CaHash { .. } => "ca_mismatch",
            Self::EnclaveKey { .. } => "enclave_key_mismatch",
            Self::Evidence(_) => "evidence_malformed",
            Self::Attestation(refusals) => {
                if refusals.iter().any(|refusal| matches!(refusal, tee::Refusal::Measurement { .. })) {
                    "measurement_mismatch"
                } else {
                    "attestation_refused"
                }
            }
            Self::Refused { reason, .. } | Self::Answer { reason, .. } => reason,
            Self::Malformed { .. } => "gateway_malformed",
            Self::Local(_) => "local",
        }
    }
}

impl From<GatewayError> for Failure {
    fn from(error: GatewayError) -> Self {
        let kind = match &error {
            GatewayError::Endpoint { .. } | GatewayError::Unreachable { .. } => FailureKind::Unreachable,
            GatewayError::Tls { .. }
            | GatewayError::Unattested { .. }
            | GatewayError::Closed
            | GatewayError::CaFormat
            | GatewayError::CaHash { .. }
            | GatewayError::EnclaveKey { .. }
            | GatewayError::Evidence(_)
            | GatewayError::Attestation(_) => FailureKind::Untrusted,
            GatewayError::Refused { reason, .. } | GatewayError::Answer { reason, .. }
                if reason == "fenced" =>
            {
                FailureKind::Fenced
            }
            GatewayError::Refused { .. } => FailureKind::Refused,
            GatewayError::Answer { .. } | GatewayError::Malformed { .. } | GatewayError::Local(_) => {
                FailureKind::Failed
            }
        };
        let message = match error.source() {
            Some(source) if matches!(error, GatewayError::Evidence(_)) => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        Self { kind, reason: error.reason().to_owned(), message }
    }
}

/// What rustls disliked about the peer's certificate, if that is what broke the connection.
fn certificate_problem(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(cause) = next {
        if let Some(tls @ rustls::Error::InvalidCertificate(_)) = cause.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        next = match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // An io::Error hides what it wraps from source().
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        };
    }
    None
}
