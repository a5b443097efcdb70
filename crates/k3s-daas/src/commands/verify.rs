use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};
use tee::{
    Anchors, Claims, Collateral, Evidence, MAX_COLLATERAL_BYTES, MAX_EVIDENCE_BYTES, Material, PlatformKind,
    Policy, Refusals, Verifier, read_material,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Context, now_ms, verify_master};
use crate::cli::{Sources, Verify};
use crate::collateral::{Cached, Http, collect};
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// `k3s-daas verify`: whether evidence is genuine, what it says, and everything that a policy holds against it.
pub(crate) async fn run(context: &Context, args: Verify) -> Result<()> {
    let (platform, file) = match (&args.url, args.platform, &args.evidence) {
        (Some(url), _, _) => return verify_master::run(context, url, &args).await,
        (None, Some(platform), Some(file)) => (platform, file),
        (None, _, _) => {
            return Err(Failure::usage("give --platform and --evidence, or the URL of a gateway"));
        }
    };
    let at_ms = args.at.as_deref().map(time_ms).transpose()?.unwrap_or_else(now_ms);
    let report_data = args.report_data.as_deref().map(bytes64).transpose()?;
    let policy = match &args.policy {
        Some(path) => policy_in(path)?,
        None => {
            say("no --policy: any code that is genuine is accepted; what it is, is for you to compare");
            Policy { allow_simulated: platform == PlatformKind::Simulated, ..Policy::genuine() }
        }
    };
    let evidence = evidence(platform, file)?;
    let (collateral, anchors) = material(context, &args.sources, &evidence, at_ms).await?;

    let verifier = Verifier { anchors: &anchors, collateral: &collateral, now_ms: at_ms };
    let result = verifier.verify(&evidence, &policy, report_data.as_ref());
    let answer = match &result {
        Ok(claims) => accepted(claims, at_ms),
        Err(refusals) => refused(platform, refusals, at_ms),
    };
    print(context.global.output, &answer, summary)?;
    match result {
        Ok(_) => Ok(()),
        Err(refusals) => Err(Failure::refused(refusals)),
    }
}

/// A policy in a file.
pub(super) fn policy_in(path: &Path) -> Result<Policy> {
    Policy::from_toml(&text(path)?).map_err(|error| unreadable(path, &error))
}

/// Evidence in a file, whatever its form.
pub(crate) fn evidence(platform: PlatformKind, path: &Path) -> Result<Evidence> {
    // As text it takes twice its bytes, and some white space.
    let bytes = read(path, 2 * MAX_EVIDENCE_BYTES + 4096)?;
    Evidence::from_raw(platform, &bytes).map_err(|error| unreadable(path, &error))
}

/// What was given on the command line, else what the makers' services or the cache have.
pub(crate) async fn material(
    context: &Context,
    sources: &Sources,
    evidence: &Evidence,
    at_ms: u64,
) -> Result<(Collateral, Anchors)> {
    let mut collateral = match &sources.collateral {
        Some(path) => {
            let bytes = read(path, MAX_COLLATERAL_BYTES)?;
            Collateral::from_json(&bytes).map_err(|error| unreadable(path, &error))?
        }
        None if sources.offline || !sources.certs.is_empty() => Collateral::default(),
        None => fetched(context, sources, evidence, at_ms).await?,
    };
    let mut anchors = Anchors::default();
    for path in &sources.certs {
        let bytes = read(path, MAX_COLLATERAL_BYTES)?;
        for item in read_material(&bytes).map_err(|error| unreadable(path, &error))? {
            match item {
                // Only TPMs' makers have no root that is known beforehand.
                Material::Certificate(der)
                    if evidence.platform() == PlatformKind::Tpm && tee::is_self_signed(&der) =>
                {
                    anchors.roots.push(der);
                }
                Material::Certificate(der) => collateral.certificates.push(der),
                Material::Crl(der) => collateral.crls.push(der),
                Material::Key(key) => anchors.keys.push(key),
                other => tracing::warn!(?other, "not used"),
            }
        }
    }
    Ok((collateral, anchors))
}

/// A service that cannot be reached is no reason to say nothing: the refusal names what is missing.
async fn fetched(
    context: &Context,
    sources: &Sources,
    evidence: &Evidence,
    at_ms: u64,
) -> Result<Collateral> {
    let http = Http::new(&sources.intel_pcs, &sources.amd_kds).context("preparing to fetch collateral")?;
    let now = i64::try_from(at_ms / 1000).unwrap_or(i64::MAX);
    let cached = Cached::new(http, context.state.path("collateral"), now);
    match collect(&cached, evidence).await.context("fetching collateral") {
        Ok(collateral) => Ok(collateral),
        Err(failure) => {
            say(&failure);
            Ok(Collateral::default())
        }
    }
}

fn accepted(claims: &Claims, at_ms: u64) -> Value {
    let mut answer = claimed(claims);
    answer["accepted"] = true.into();
    answer["verifiedAt"] = rfc3339(at_ms).into();
    answer
}

/// What evidence says.
pub(super) fn claimed(claims: &Claims) -> Value {
    let measurements: serde_json::Map<_, _> =
        claims.measurements.iter().map(|(name, value)| (name.clone(), hex::encode(value).into())).collect();
    let signers: Vec<Value> = claims
        .signers
        .iter()
        .map(|signer| json!({ "name": signer.name, "sha256": hex::encode(signer.sha256) }))
        .collect();
    json!({
        "platform": claims.platform.as_str(),
        "simulated": claims.simulated,
        "debug": claims.debug,
        "measurements": measurements,
        "reportData": hex::encode(&claims.report_data),
        "tcb": {
            "status": claims.tcb.status.map(tee::TcbStatus::as_str),
            "advisories": claims.tcb.advisories,
            "versions": claims.tcb.versions,
        },
        "signers": signers,
        "revocationChecked": claims.revocation_checked,
        "time": claims.timestamp_ms.map(rfc3339),
    })
}

fn refused(platform: PlatformKind, refusals: &Refusals, at_ms: u64) -> Value {
    let refusals: Vec<Value> = refusals
        .iter()
        .map(|refusal| json!({ "reason": refusal.reason(), "message": refusal.to_string() }))
        .collect();
    json!({
        "accepted": false,
        "platform": platform.as_str(),
        "refusals": refusals,
        "verifiedAt": rfc3339(at_ms),
    })
}

/// The same for people: one line per fact.
pub(super) fn summary(answer: &Value) -> String {
    let mut lines = Vec::new();
    flatten("", answer, &mut lines);
    lines.join("\n")
}

fn flatten(name: &str, value: &Value, lines: &mut Vec<String>) {
    let below = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Object(entries) => entries.iter().for_each(|(key, value)| flatten(&below(key), value, lines)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, item)| flatten(&below(&at.to_string()), item, lines));
        }
        Value::Null => lines.push(format!("{name}: none")),
        Value::String(text) => lines.push(format!("{name}: {text}")),
        other => lines.push(format!("{name}: {other}")),
    }
}

fn time_ms(text: &str) -> Result<u64> {
    let time = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|error| Failure::usage(format!("--at {text:?} is not as 2026-01-31T12:00:00Z: {error}")))?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000)
        .map_err(|_| Failure::usage(format!("--at {text:?} is before 1970")))
}

pub(super) fn rfc3339(ms: u64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{ms} ms"))
}

fn bytes64(text: &str) -> Result<[u8; 64]> {
    let mut bytes = [0; 64];
    hex::decode_to_slice(text, &mut bytes)
        .map_err(|error| Failure::usage(format!("--report-data is not 64 bytes in hexadecimal: {error}")))?;
    Ok(bytes)
}

fn text(path: &Path) -> Result<String> {
    String::from_utf8(read(path, MAX_COLLATERAL_BYTES)?).map_err(|error| unreadable(path, &error))
}

/// A whole file of at most `limit` bytes.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, &error))?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    if bytes.len() > limit {
        return Err(Failure::usage(format!("{}: more than {limit} bytes", path.display())));
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {error}", path.display()))
}
