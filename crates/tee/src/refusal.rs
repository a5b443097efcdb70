use std::fmt;

use crate::PlatformKind;

/// One clause of a policy that evidence violates.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A part is missing or cannot be read.
    #[error("evidence is malformed: {what}")]
    Malformed {
        /// Which part, and how.
        what: String,
    },
    /// This version cannot verify evidence of the platform.
    #[error("evidence of platform {platform} cannot be verified by this version")]
    Unsupported {
        /// The platform named in the evidence.
        platform: PlatformKind,
    },
    /// The signature over the claims does not hold.
    #[error("signature over the evidence is not valid")]
    BadSignature,
    /// Simulated, where the policy wants hardware.
    #[error("evidence is simulated and proves nothing about hardware; this policy wants a real TEE")]
    Simulated,
    /// Debuggable, where the policy wants a production environment.
    #[error("environment is in debug mode: its host can read its memory")]
    Debug,
    /// No entry of the policy is for this platform.
    #[error("platform {platform} is not allowed")]
    PlatformNotAllowed {
        /// The platform named in the evidence.
        platform: PlatformKind,
    },
    /// A measurement differs from the closest allowed entry.
    #[error("measurement {name:?} differs: expected {expected}, actual {actual}")]
    Measurement {
        /// Which one.
        name: String,
        /// What the policy allows, hexadecimal.
        expected: String,
        /// What the evidence says, hexadecimal; `none` when it does not name this measurement.
        actual: String,
    },
    /// The evidence was made for another nonce, key or cluster.
    #[error("report data differs (other nonce, key or cluster CA): expected {expected}, actual {actual}")]
    ReportData {
        /// What the verifier computed, hexadecimal.
        expected: String,
        /// What the evidence is bound to, hexadecimal.
        actual: String,
    },
    /// Made too long ago.
    #[error("evidence is {age_ms} ms old, at most {max_age_ms} ms are allowed")]
    TooOld {
        /// Its age.
        age_ms: u64,
        /// The policy's limit.
        max_age_ms: u64,
    },
    /// Made in the future.
    #[error("evidence is dated {ahead_ms} ms in the future; check both clocks")]
    FromTheFuture {
        /// How far.
        ahead_ms: u64,
    },
}

/// Every clause that evidence violates; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals(Vec<Refusal>);

impl Refusals {
    /// `Ok(value)` when nothing was violated.
    pub(crate) fn none_or<T>(refusals: Vec<Refusal>, value: T) -> Result<T, Self> {
        if refusals.is_empty() { Ok(value) } else { Err(Self(refusals)) }
    }

    /// The violated clauses, in the order of checking.
    pub fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.0.iter()
    }
}

impl From<Refusal> for Refusals {
    fn from(refusal: Refusal) -> Self {
        Self(vec![refusal])
    }
}

impl fmt::Display for Refusals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, refusal) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{refusal}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusals {}
