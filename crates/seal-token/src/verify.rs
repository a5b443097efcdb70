use crate::{Malformed, Proof, Refusal, VERSION};

/// What the chain says about one seal token now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Object id of the token.
    pub token_id: [u8; 32],
    /// The holder's ed25519 key.
    pub public_key: [u8; 32],
    /// The current seal.
    pub seal: [u8; 32],
    /// When it runs out unless renewed, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// Whether it was revoked.
    pub revoked: bool,
    /// Whether the stake behind it still covers its tier and is not being withdrawn.
    pub stake_covers_tier: bool,
}

/// What a verifier accepts of a proof's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest window, milliseconds.
    pub max_window_ms: u64,
    /// How far the minter's clock may be off, milliseconds; widens the window at both ends.
    pub max_clock_skew_ms: u64,
}

/// Decides whether `proof` is good for the cluster `audience` at `now_ms`, given what the chain says about
/// its token: `record`, or `None` when there is no such token.
///
/// # Errors
///
/// The first [`Refusal`] in the order of its variants: what needs no signature comes before it, and the
/// state of a token is told only to who holds its key.
pub fn verify(
    proof: &Proof,
    audience: &[u8; 32],
    record: Option<&TokenRecord>,
    now_ms: u64,
    limits: &Limits,
) -> Result<(), Refusal> {
    let claims = &proof.claims;
    if claims.version != VERSION {
        return Err(Malformed::Version { found: claims.version }.into());
    }
    let window_ms = claims.not_after_ms.checked_sub(claims.not_before_ms).ok_or(Malformed::Window)?;
    let record = record.filter(|record| record.token_id == claims.token_id).ok_or(Refusal::UnknownToken)?;
    if claims.audience != *audience {
        return Err(Refusal::WrongAudience);
    }
    if now_ms.saturating_add(limits.max_clock_skew_ms) < claims.not_before_ms {
        return Err(Refusal::NotYetValid);
    }
    if now_ms >= claims.not_after_ms.saturating_add(limits.max_clock_skew_ms) {
        return Err(Refusal::Expired);
    }
    if window_ms > limits.max_window_ms {
        return Err(Refusal::WindowTooLong);
    }
    if !proof.is_signed_by(&record.public_key) {
        return Err(Refusal::BadSignature);
    }
    if claims.seal != record.seal {
        return Err(Refusal::SealMismatch);
    }
    if now_ms >= record.expires_ms {
        return Err(Refusal::TokenExpired);
    }
    if record.revoked {
        return Err(Refusal::TokenRevoked);
    }
    if !record.stake_covers_tier {
        return Err(Refusal::StakeInsufficient);
    }
    Ok(())
}
