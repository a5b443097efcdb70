use crate::{Refusals, TeeError};

/// What is wrong with a dealing, a request or an answer, before anybody decides about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// The bytes are something else.
    #[error("not {what}: {why}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What is wrong with them.
        why: String,
    },
    /// A committee that cannot be.
    #[error("no such committee: {0}")]
    Committee(String),
    /// Nobody can have this public key.
    #[error("not an X25519 public key: a point of small order")]
    PublicKey,
    /// It does not decrypt.
    #[error("not encrypted to this key, or changed on the way")]
    NotForUs,
    /// A dealing's signature is not its dealer's.
    #[error("the dealing is not signed by its dealer")]
    Signature,
    /// It is another holder's share, or another share than the dealer gave.
    #[error("the share is not the one that was dealt to this holder")]
    WrongShare,
    /// The shares fit, but the secret is not the one that was dealt.
    #[error("the released secret is not this cluster's")]
    WrongSecret,
    /// The committee cannot come together.
    #[error("{good} of {threshold} shares: {who}")]
    TooFew {
        /// Good shares received.
        good: usize,
        /// Shares that it takes.
        threshold: usize,
        /// What each of the others did.
        who: String,
    },
    /// The platform.
    #[error(transparent)]
    Tee(#[from] TeeError),
}

/// Why a secret or a share is not given out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseRefusal {
    /// Asked for another cluster's.
    #[error("this is not the cluster whose key is kept here")]
    OtherCluster,
    /// The nonce was not given out here, is too old, or was used.
    #[error("the nonce is not one of ours, too old or used: ask for a new one")]
    Nonce,
    /// The evidence does not prove code that the chain allows, or not for this key.
    #[error("the evidence is refused: {0}")]
    Evidence(Refusals),
    /// The code is allowed, but no such enclave is registered.
    #[error("no enclave with this key and this measurement is registered on chain: register it first")]
    NotRegistered,
}

impl ReleaseRefusal {
    /// Every [`Self::reason`].
    pub const REASONS: [&'static str; 5] =
        ["other_cluster", "nonce", "measurement_not_allowed", "evidence_refused", "not_registered"];

    /// Stable name in snake_case.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        let measurement = |refusal: &crate::Refusal| matches!(refusal, crate::Refusal::Measurement { .. });
        match self {
            Self::OtherCluster => "other_cluster",
            Self::Nonce => "nonce",
            Self::Evidence(refusals) if refusals.iter().any(measurement) => "measurement_not_allowed",
            Self::Evidence(_) => "evidence_refused",
            Self::NotRegistered => "not_registered",
        }
    }
}
