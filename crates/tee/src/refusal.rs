use std::fmt;

use crate::{PlatformKind, TcbStatus};

/// One clause that evidence violates: of the platform's own rules, or of the policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A part is missing or cannot be read.
    #[error("evidence is malformed: {what}")]
    Malformed {
        /// Which part, and how.
        what: String,
    },
    /// A signature does not hold.
    #[error("signature is not valid: {what}")]
    BadSignature {
        /// The signature on what, by whom.
        what: String,
    },
    /// The digest of one part does not fit what another part, which is signed, says of it.
    #[error("parts do not belong together: {what}")]
    Binding {
        /// Which parts.
        what: String,
    },
    /// A certificate is missing between the signing key and a trust anchor.
    #[error("certificate chain is cut: no certificate of {issuer:?}; give it, or fetch it from the maker")]
    ChainCut {
        /// Whose certificate is missing.
        issuer: String,
    },
    /// The chain ends in a certificate that is no trust anchor.
    #[error("certificate chain ends in {root:?}, which is no trusted root")]
    UntrustedRoot {
        /// The certificate at its end.
        root: String,
    },
    /// The signing key is neither pinned nor certified.
    #[error("signing key is not known: {key}")]
    UnknownKey {
        /// Which key.
        key: String,
    },
    /// A certificate may not do what it is used for.
    #[error("certificate of {subject:?} is not fit: {why}")]
    Certificate {
        /// Whose.
        subject: String,
        /// What is wrong with it.
        why: String,
    },
    /// Evidence, certificate or collateral is past its end.
    #[error("{what} has expired (unix time {not_after})")]
    Expired {
        /// What.
        what: String,
        /// The last second of its validity, Unix time; 0 when the platform's rules do not tell.
        not_after: i64,
    },
    /// A certificate or collateral is not valid yet.
    #[error("{what} is not valid yet (from unix time {not_before}); check the clock")]
    NotYetValid {
        /// What.
        what: String,
        /// The first second of its validity, Unix time; 0 when the platform's rules do not tell.
        not_before: i64,
    },
    /// A certificate was revoked by its issuer.
    #[error("{what} was revoked by its issuer")]
    Revoked {
        /// Which certificate.
        what: String,
    },
    /// The policy wants a revocation list for a certificate, and there is none that is current.
    #[error("no current revocation list covers the certificate of {subject:?}")]
    RevocationUnknown {
        /// Whose certificate.
        subject: String,
    },
    /// What the platform's maker says about it is missing.
    #[error("collateral is missing: {what}")]
    CollateralMissing {
        /// What is needed.
        what: String,
    },
    /// What the platform's maker says is about another platform, or not by the maker.
    #[error("collateral does not fit: {what}")]
    Collateral {
        /// What differs.
        what: String,
    },
    /// The certificate of the signing key is for another chip or another firmware version.
    #[error("{field} in the certificate of the signing key is {certificate}, in the evidence {evidence}")]
    Endorsement {
        /// Which field.
        field: String,
        /// What the certificate says.
        certificate: String,
        /// What the evidence says.
        evidence: String,
    },
    /// The event log does not lead to the quoted register.
    #[error("event log does not lead to the quoted value of {register}")]
    EventLog {
        /// Which register.
        register: String,
    },
    /// Simulated, where the policy wants hardware.
    #[error("evidence is simulated and proves nothing about hardware; this policy wants a real TEE")]
    Simulated,
    /// Debuggable: never trusted on hardware.
    #[error("environment is in debug mode: its host can read its memory")]
    Debug,
    /// The device is not in its secured state.
    #[error("device is not in its secured life cycle state: {state:#06x}")]
    Lifecycle {
        /// The state that it claims (RFC 9783, section 4.3.1).
        state: u64,
    },
    /// The environment lets somebody else in: a migration service or an unset protection.
    #[error("environment is not closed: {what}")]
    Configuration {
        /// What is open.
        what: String,
    },
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
    /// The maker's verdict about the platform is not tolerated.
    #[error("TCB status is {status}, which this policy does not tolerate; update firmware, or tolerate it")]
    TcbStatus {
        /// The verdict.
        status: TcbStatus,
    },
    /// A version number is below the policy's minimum.
    #[error("TCB component {component:?} is {actual}, the policy wants at least {minimum}; update firmware")]
    TcbVersion {
        /// Which component.
        component: String,
        /// The policy's minimum.
        minimum: u64,
        /// What the evidence says; `none` when it does not name the component.
        actual: String,
    },
    /// An advisory applies that is not tolerated.
    #[error("security advisory {id} applies, which this policy does not tolerate")]
    Advisory {
        /// Which one.
        id: String,
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

impl Refusal {
    /// Every [`Self::reason`].
    pub const REASONS: [&'static str; 27] = [
        "malformed",
        "bad-signature",
        "binding",
        "chain-cut",
        "untrusted-root",
        "unknown-key",
        "certificate",
        "expired",
        "not-yet-valid",
        "revoked",
        "revocation-unknown",
        "collateral-missing",
        "collateral",
        "endorsement",
        "event-log",
        "simulated",
        "debug",
        "lifecycle",
        "configuration",
        "platform-not-allowed",
        "measurement",
        "report-data",
        "tcb-status",
        "tcb-version",
        "advisory",
        "too-old",
        "from-the-future",
    ];

    /// A stable name for programs.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "malformed",
            Self::BadSignature { .. } => "bad-signature",
            Self::Binding { .. } => "binding",
            Self::ChainCut { .. } => "chain-cut",
            Self::UntrustedRoot { .. } => "untrusted-root",
            Self::UnknownKey { .. } => "unknown-key",
            Self::Certificate { .. } => "certificate",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not-yet-valid",
            Self::Revoked { .. } => "revoked",
            Self::RevocationUnknown { .. } => "revocation-unknown",
            Self::CollateralMissing { .. } => "collateral-missing",
            Self::Collateral { .. } => "collateral",
            Self::Endorsement { .. } => "endorsement",
            Self::EventLog { .. } => "event-log",
            Self::Simulated => "simulated",
            Self::Debug => "debug",
            Self::Lifecycle { .. } => "lifecycle",
            Self::Configuration { .. } => "configuration",
            Self::PlatformNotAllowed { .. } => "platform-not-allowed",
            Self::Measurement { .. } => "measurement",
            Self::ReportData { .. } => "report-data",
            Self::TcbStatus { .. } => "tcb-status",
            Self::TcbVersion { .. } => "tcb-version",
            Self::Advisory { .. } => "advisory",
            Self::TooOld { .. } => "too-old",
            Self::FromTheFuture { .. } => "from-the-future",
        }
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed { what: what.into() }
    }

    pub(crate) fn bad_signature(what: impl Into<String>) -> Self {
        Self::BadSignature { what: what.into() }
    }
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
