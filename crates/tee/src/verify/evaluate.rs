use ring::digest;

use super::Statement;
use crate::{Claims, Measurements, PlatformKind, Policy, Refusal, Refusals};

/// Holds what evidence says against the policy. Every violated clause is named.
pub(super) fn evaluate(
    platform: PlatformKind,
    statement: Statement,
    policy: &Policy,
    report_data: Option<&[u8; 64]>,
    now_ms: u64,
) -> Result<Claims, Refusals> {
    let simulated = platform == PlatformKind::Simulated;
    let mut refusals = statement.refusals.clone();
    if simulated && !policy.allow_simulated {
        refusals.push(Refusal::Simulated);
    }
    if statement.debug && !(simulated && policy.allow_debug) {
        refusals.push(Refusal::Debug);
    }
    if !policy.any_code {
        refusals.extend(measurement_refusals(platform, &statement.measurements, policy));
    }
    if let Some(expected) =
        report_data.filter(|expected| !bound_to(platform, &statement.report_data, expected))
    {
        refusals.push(Refusal::ReportData {
            expected: hex::encode(expected),
            actual: hex::encode(&statement.report_data),
        });
    }
    refusals.extend(tcb_refusals(platform, &statement, policy));
    if policy.require_revocation_check {
        let unknown = statement.revocation_unknown.iter();
        refusals.extend(unknown.map(|subject| Refusal::RevocationUnknown { subject: subject.clone() }));
    }
    if let Some(made_ms) = statement.timestamp_ms {
        let max_age_ms = policy.clauses(platform).max_age_ms();
        refusals.extend(age_refusals(made_ms, max_age_ms, policy.max_clock_skew_ms, now_ms));
    }

    let revocation_checked = statement.certified && statement.revocation_unknown.is_empty();
    let Statement { debug, measurements, report_data, tcb, signers, timestamp_ms, .. } = statement;
    Refusals::none_or(
        refusals,
        Claims {
            platform,
            simulated,
            debug,
            measurements,
            report_data,
            tcb,
            signers,
            revocation_checked,
            timestamp_ms,
        },
    )
}

/// A TPM's field is often too short for 64 bytes and then holds their SHA-256.
fn bound_to(platform: PlatformKind, actual: &[u8], expected: &[u8; 64]) -> bool {
    let hashed = || digest::digest(&digest::SHA256, expected);
    actual == expected || (platform == PlatformKind::Tpm && actual == hashed().as_ref())
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

fn tcb_refusals(platform: PlatformKind, statement: &Statement, policy: &Policy) -> Vec<Refusal> {
    let (tcb, clauses) = (&statement.tcb, policy.clauses(platform));
    let mut refusals = Vec::new();
    if let Some(status) = tcb.status.filter(|status| !clauses.tolerates_status(*status)) {
        refusals.push(Refusal::TcbStatus { status });
    }
    let others = tcb.advisories.iter().filter(|id| !clauses.tolerates_advisory(id));
    refusals.extend(others.map(|id| Refusal::Advisory { id: id.clone() }));
    for (component, minimum) in clauses.minimums(platform) {
        let actual = tcb.versions.get(component);
        if actual.is_none_or(|&actual| actual < minimum) {
            let actual = actual.map_or_else(|| "none".to_owned(), u64::to_string);
            refusals.push(Refusal::TcbVersion { component: component.to_owned(), minimum, actual });
        }
    }
    refusals
}

fn age_refusals(made_ms: u64, max_age_ms: u64, max_clock_skew_ms: u64, now_ms: u64) -> Option<Refusal> {
    let (age_ms, ahead_ms) = (now_ms.saturating_sub(made_ms), made_ms.saturating_sub(now_ms));
    if age_ms > max_age_ms {
        Some(Refusal::TooOld { age_ms, max_age_ms })
    } else if ahead_ms > max_clock_skew_ms {
        Some(Refusal::FromTheFuture { ahead_ms })
    } else {
        None
    }
}
