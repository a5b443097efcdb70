use tee::{Claims, Measurements, PlatformKind};

use super::{EvidenceRefusal, NONCE_MS, NONCE_RENEW_MS, RECHECK_MS};
use crate::Id;
use crate::membership::Attestation;

/// Tries of one node within [`WINDOW_MS`]: verification costs milliseconds, and one try every other minute is enough.
const TRIES: u32 = 6;
const WINDOW_MS: u64 = 60_000;

/// What is known of one node's evidence.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) token: Id,
    /// Given and not answered yet, with the time.
    nonce: Option<([u8; 32], u64)>,
    /// What was verified last, also after it has run out; not when its code was retired.
    pub(super) last: Option<Counting>,
    /// Whether anything was ever verified under this token since the master's start.
    pub(super) was_attested: bool,
    pub(super) problem: Option<String>,
    /// Begin of the window, and tries in it.
    tries: (u64, u32),
}

/// Evidence that was verified, and counts for a while.
#[derive(Clone, Debug)]
pub(super) struct Counting {
    /// SHA-256 of the key that it is bound to.
    pub(super) key: [u8; 32],
    pub(super) platform: PlatformKind,
    pub(super) simulated: bool,
    pub(super) measurements: Measurements,
    pub(super) expires_ms: u64,
    /// From when on the next is wanted.
    due_ms: u64,
    /// Whether its end was noticed.
    pub(super) over: bool,
}

impl Node {
    pub(super) fn new(token: Id) -> Self {
        Self { token, nonce: None, last: None, was_attested: false, problem: None, tries: (0, 0) }
    }

    pub(super) fn counting(&self, now_ms: u64) -> Option<&Counting> {
        self.last.as_ref().filter(|counting| now_ms < counting.expires_ms)
    }

    pub(super) fn offer(&mut self, fresh: [u8; 32], now_ms: u64) -> Option<[u8; 32]> {
        if self.counting(now_ms).is_some_and(|counting| now_ms < counting.due_ms) {
            return None;
        }
        let kept = self.nonce.filter(|(_, given_ms)| now_ms.saturating_sub(*given_ms) < NONCE_RENEW_MS);
        let (nonce, _) = *self.nonce.insert(kept.unwrap_or((fresh, now_ms)));
        Some(nonce)
    }

    pub(super) fn admit(&mut self, now_ms: u64) -> Result<(), EvidenceRefusal> {
        let (began_ms, tries) = &mut self.tries;
        if *tries == 0 || now_ms.saturating_sub(*began_ms) >= WINDOW_MS {
            (*began_ms, *tries) = (now_ms, 0);
        }
        if *tries >= TRIES {
            return Err(EvidenceRefusal::Flooding);
        }
        *tries += 1;
        Ok(())
    }

    pub(super) fn spend(&mut self, nonce: &[u8; 32], now_ms: u64) -> Result<(), EvidenceRefusal> {
        match self.nonce.take_if(|(given, _)| given == nonce) {
            None => Err(EvidenceRefusal::Stale),
            Some((_, given_ms)) if now_ms.saturating_sub(given_ms) >= NONCE_MS => {
                Err(EvidenceRefusal::NonceExpired)
            }
            Some(_) => Ok(()),
        }
    }
}

impl Counting {
    pub(super) fn new(key: [u8; 32], claims: &Claims, max_age_ms: u64, now_ms: u64) -> Self {
        Self {
            key,
            platform: claims.platform,
            simulated: claims.simulated,
            measurements: claims.measurements.clone(),
            expires_ms: now_ms.saturating_add(max_age_ms),
            due_ms: now_ms.saturating_add(max_age_ms / 2),
            over: false,
        }
    }

    /// The next is wanted at once.
    pub(super) fn recheck(&mut self, now_ms: u64) {
        self.due_ms = now_ms;
        self.expires_ms = self.expires_ms.min(now_ms.saturating_add(RECHECK_MS));
    }

    pub(super) fn attestation(&self, token: Id) -> Attestation {
        Attestation { token, platform: self.platform.to_string(), simulated: self.simulated }
    }
}
