/// Why a key or certificate could not be made, read or signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PkiError {
    /// The certificate library refused.
    #[error("cannot {action}: {source}")]
    Certificate {
        /// What was being done.
        action: &'static str,
        /// What the library said.
        source: rcgen::Error,
    },
    /// The request for a certificate is not one, or is not signed by the key in it.
    #[error("not a certificate signing request (DER or PEM) signed by its own key: {reason}")]
    BadRequest {
        /// What is wrong.
        reason: String,
    },
    /// The stored keys are not what [`crate::pki::ClusterPki::to_bytes`] gave.
    #[error("the stored cluster keys are damaged: {reason}")]
    Damaged {
        /// What is wrong.
        reason: String,
    },
    /// A name or time cannot stand in a certificate.
    #[error("{value:?} cannot stand in a certificate: {reason}")]
    BadName {
        /// The value.
        value: String,
        /// Why not.
        reason: String,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

pub(crate) fn failed(action: &'static str) -> impl FnOnce(rcgen::Error) -> PkiError {
    move |source| PkiError::Certificate { action, source }
}
