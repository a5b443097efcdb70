//! Verification: one file per platform decides whether evidence is genuine and what it says ([`Statement`]);
//! [`evaluate`] holds that against the policy. Pure: collateral, trust anchors and clock are handed in.

mod arm;
mod cca;
mod chain;
mod cose;
mod dcap_error;
mod evaluate;
mod event_log;
mod nitro;
mod psa;
mod sgx_tdx;
mod snp;
mod snp_certificate;
mod statement;
mod tpm;
mod tpm_key;

pub(crate) use snp::{REPORT_BYTES, Report};
pub(crate) use snp_certificate::Product;
pub(crate) use statement::Statement;
pub(crate) use tpm_key::tpm_public_key;

use crate::simulated::SimulatedClaims;
use crate::{
    Anchors, Claims, Collateral, Evidence, Measurements, PlatformKind, Policy, Refusal, Refusals, TeeError,
};

/// Checks `evidence` against `policy`, `report_data` and the verifier's clock `now_ms` with the collateral that
/// the evidence itself carries and the makers' own [`Anchors`].
///
/// # Errors
///
/// Every violated clause, not only the first; evidence that cannot be read has just that one.
pub fn verify(
    evidence: &Evidence,
    policy: &Policy,
    report_data: &[u8; 64],
    now_ms: u64,
) -> Result<Claims, Refusals> {
    let verifier = Verifier { anchors: &Anchors::default(), collateral: &Collateral::default(), now_ms };
    verifier.verify(evidence, policy, Some(report_data))
}

/// What evidence is verified with.
#[derive(Clone, Copy, Debug)]
pub struct Verifier<'a> {
    /// Whom the verifier trusts.
    pub anchors: &'a Anchors,
    /// What is known about the platform besides the evidence; not trusted, everything in it is signed.
    pub collateral: &'a Collateral,
    /// The verifier's clock, milliseconds since the Unix epoch. Certificates and collateral must be valid then.
    pub now_ms: u64,
}

impl Verifier<'_> {
    /// Checks `evidence` against `policy` and `report_data`. Without report data nothing says for whom the
    /// evidence was made: that shows what it says, and is no ground for trust.
    ///
    /// # Errors
    ///
    /// Every violated clause, not only the first; evidence that cannot be read has just that one.
    pub fn verify(
        &self,
        evidence: &Evidence,
        policy: &Policy,
        report_data: Option<&[u8; 64]>,
    ) -> Result<Claims, Refusals> {
        let statement = self.statement(evidence)?;
        evaluate::evaluate(evidence.platform(), statement, policy, report_data, self.now_ms)
    }

    fn statement(&self, evidence: &Evidence) -> Result<Statement, Refusal> {
        match evidence.platform() {
            PlatformKind::Simulated => SimulatedClaims::statement(evidence),
            PlatformKind::Sgx | PlatformKind::Tdx => self.dcap(evidence),
            PlatformKind::SevSnp => self.snp(evidence),
            PlatformKind::Nitro => self.nitro(evidence),
            PlatformKind::Tpm => self.tpm(evidence),
            PlatformKind::TrustZone => self.psa(evidence),
            PlatformKind::Cca => self.cca(evidence),
        }
    }

    /// The verifier's clock in the unit of certificates.
    fn now_seconds(&self) -> i64 {
        i64::try_from(self.now_ms / 1000).unwrap_or(i64::MAX)
    }
}

/// What evidence says was measured, proven by nothing: for the platform that made it and looks at itself.
///
/// # Errors
/// That it cannot be read.
pub(crate) fn claimed_measurements(evidence: &Evidence) -> Result<Measurements, TeeError> {
    let verifier = Verifier { anchors: &Anchors::default(), collateral: &Collateral::default(), now_ms: 0 };
    let statement =
        verifier.statement(evidence).map_err(|refusal| TeeError::Evidence(refusal.to_string()))?;
    Ok(statement.measurements)
}

fn named<const N: usize>(values: [(&str, &[u8]); N]) -> Measurements {
    values.into_iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect()
}
