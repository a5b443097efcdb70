use crate::claims::{Signer, Tcb};
use crate::{Measurements, Refusal};

/// What a platform's own check hands to the clauses that all platforms share.
#[derive(Default)]
pub(crate) struct Statement {
    /// What the platform's own rules forbid; the rest is then as the evidence claims it.
    pub(crate) refusals: Vec<Refusal>,
    pub(crate) debug: bool,
    pub(crate) measurements: Measurements,
    pub(crate) report_data: Vec<u8>,
    pub(crate) tcb: Tcb,
    pub(crate) signers: Vec<Signer>,
    /// Subjects of certificates that no current revocation list covered.
    pub(crate) revocation_unknown: Vec<String>,
    /// Whether the platform has certificates that can be revoked at all.
    pub(crate) certified: bool,
    pub(crate) timestamp_ms: Option<u64>,
}
