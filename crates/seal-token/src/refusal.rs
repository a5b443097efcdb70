/// Why a string is not a proof, or a proof contradicts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// Not as long as every proof is.
    #[error("{found} characters where a proof has {expected}")]
    Length {
        /// Characters found.
        found: usize,
        /// [`crate::PROOF_CHARS`].
        expected: usize,
    },
    /// Not canonical base64url without padding (RFC 4648, section 5).
    #[error("not canonical base64url")]
    Encoding,
    /// Another version of the claims.
    #[error("version {found}, this program reads version 1")]
    Version {
        /// Version found.
        found: u8,
    },
    /// Ends before it starts.
    #[error("validity ends before it starts")]
    Window,
}

/// Why a proof is refused. [`Refusal::reason`] is the stable name for logs, metrics and error bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a proof.
    #[error("not a seal proof: {0}")]
    Malformed(#[from] Malformed),
    /// The chain has no such token.
    #[error("no such seal token on chain; check the token id and that this is its chain")]
    UnknownToken,
    /// Made for another cluster.
    #[error("proof was made for another cluster")]
    WrongAudience,
    /// Its window has not begun.
    #[error("proof is not valid yet; check both clocks")]
    NotYetValid,
    /// Its window is over.
    #[error("proof has expired; mint a new one")]
    Expired,
    /// Its window is longer than the verifier accepts.
    #[error("proof is valid for longer than this cluster accepts; mint a shorter one")]
    WindowTooLong,
    /// Not signed by the key on chain.
    #[error("signature does not fit the key on chain; was the key rotated?")]
    BadSignature,
    /// Names an earlier seal of the token.
    #[error("proof carries another seal than the token on chain; read the token again")]
    SealMismatch,
    /// The token on chain has run out.
    #[error("seal token has expired on chain; its owner must issue it anew")]
    TokenExpired,
    /// The token on chain was revoked.
    #[error("seal token was revoked on chain")]
    TokenRevoked,
    /// The stake behind it no longer covers its tier.
    #[error("stake no longer covers the token's tier; top it up")]
    StakeInsufficient,
}

impl Refusal {
    /// Stable name in snake_case.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::UnknownToken => "unknown_token",
            Self::WrongAudience => "wrong_audience",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::WindowTooLong => "window_too_long",
            Self::BadSignature => "bad_signature",
            Self::SealMismatch => "seal_mismatch",
            Self::TokenExpired => "token_expired",
            Self::TokenRevoked => "token_revoked",
            Self::StakeInsufficient => "stake_insufficient",
        }
    }
}
