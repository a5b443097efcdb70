use crate::simulated::SimulatedClaims;
use crate::{Evidence, Measurements, PlatformKind, Policy, Refusal, Refusals};

/// What verified evidence says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Where the code runs.
    pub platform: PlatformKind,
    /// True when that proves nothing about hardware.
    pub simulated: bool,
    /// Everything that was measured about the code.
    pub measurements: Measurements,
    /// When the evidence was made, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}

/// What a platform's own check hands to the clauses that all platforms share.
pub(crate) struct Statement {
    pub(crate) signature_valid: bool,
    pub(crate) debug: bool,
    pub(crate) measurements: Measurements,
    pub(crate) report_data: Vec<u8>,
    pub(crate) timestamp_ms: u64,
}

/// Checks `evidence` against `policy`, `report_data` and the verifier's clock `now_ms`.
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
    let platform = evidence.platform();
    let statement = match platform {
        PlatformKind::Simulated => SimulatedClaims::statement(evidence)?,
        _ => return Err(Refusal::Unsupported { platform }.into()),
    };

    let mut refusals = Vec::new();
    if !statement.signature_valid {
        refusals.push(Refusal::BadSignature);
    }
    let simulated = platform == PlatformKind::Simulated;
    if simulated && !policy.allow_simulated {
        refusals.push(Refusal::Simulated);
    }
    if statement.debug && !policy.allow_debug {
        refusals.push(Refusal::Debug);
    }
    refusals.extend(measurement_refusals(platform, &statement.measurements, policy));
    if statement.report_data != report_data {
        refusals.push(Refusal::ReportData {
            expected: hex::encode(report_data),
            actual: hex::encode(&statement.report_data),
        });
    }
    let (age_ms, max_age_ms) = (now_ms.saturating_sub(statement.timestamp_ms), policy.max_age_ms);
    if age_ms > max_age_ms {
        refusals.push(Refusal::TooOld { age_ms, max_age_ms });
    }
    let ahead_ms = statement.timestamp_ms.saturating_sub(now_ms);
    if ahead_ms > policy.max_clock_skew_ms {
        refusals.push(Refusal::FromTheFuture { ahead_ms });
    }

    let Statement { measurements, timestamp_ms, .. } = statement;
    Refusals::none_or(refusals, Claims { platform, simulated, measurements, timestamp_ms })
}

/// Nothing when an entry fits; else what differs from the entry that is closest.
fn measurement_refusals(platform: PlatformKind, actual: &Measurements, policy: &Policy) -> Vec<Refusal> {
    policy
        .allowed
        .iter()
        .filter(|(kind, expected)| *kind == platform && !expected.is_empty())
        .map(|(_, expected)| differences(expected, actual))
        .min_by_key(Vec::len)
        .unwrap_or_else(|| vec![Refusal::PlatformNotAllowed { platform }])
}

fn differences(expected: &Measurements, actual: &Measurements) -> Vec<Refusal> {
    expected
        .iter()
        .filter(|(name, value)| actual.get(*name) != Some(value))
        .map(|(name, value)| Refusal::Measurement {
            name: name.clone(),
            expected: hex::encode(value),
            actual: actual.get(name).map_or_else(|| "none".to_owned(), hex::encode),
        })
        .collect()
}
