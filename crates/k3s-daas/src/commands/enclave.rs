use std::collections::BTreeMap;

use chain::Measurement;
use serde_json::json;

use super::{Context, OPERATOR, now_ms};
use crate::cli;
use crate::failure::{Failure, Result};
use crate::output::{print, table};
use crate::session::Session;

/// `k3s-daas enclave list|allow|retire`
pub(crate) async fn run(context: &Context, command: cli::Enclave) -> Result<()> {
    let session = Session::open(context).await?;
    let (args, allow) = match command {
        cli::Enclave::List => return list(context, &session).await,
        cli::Enclave::Allow(args) => (args, true),
        cli::Enclave::Retire(args) => (args, false),
    };
    let measurement = measurement(&args)?;
    let (registry, admin) = (session.registry()?, session.admin()?);
    let (draft, doing) = if allow {
        (session.calls.allow_measurement(registry, admin, &measurement), "allowing the measurement")
    } else {
        (session.calls.retire_measurement(registry, admin, &measurement), "retiring the measurement")
    };
    let receipt = session.execute(session.wallets.get(OPERATOR)?, &draft, doing).await?;
    let answer = json!({
        "platform": args.platform, "allowed": allow,
        "checkpoint": receipt.checkpoint, "digest": receipt.digest.to_string(),
    });
    print(context.global.output, &answer, |_| {
        format!("done in checkpoint {}", receipt.checkpoint.unwrap_or_default())
    })
}

fn measurement(args: &cli::Measurement) -> Result<Measurement> {
    let mut values = BTreeMap::new();
    for text in &args.measurements {
        let parsed = text.split_once('=').and_then(|(name, value)| Some((name, hex::decode(value).ok()?)));
        let (name, value) =
            parsed.ok_or_else(|| Failure::usage(format!("--measurement {text:?}: write it as NAME=HEX")))?;
        values.insert(name.to_owned(), value);
    }
    Ok(Measurement::new(args.platform.as_str(), &values))
}

async fn list(context: &Context, session: &Session) -> Result<()> {
    let known = session.read().await?;
    let now = now_ms();
    let allowed: Vec<_> = known.registry.iter().flat_map(|registry| &registry.allowed).collect();
    let values = |measurement: &Measurement| -> Vec<String> {
        measurement.to_map().iter().map(|(name, value)| format!("{name}={}", hex::encode(value))).collect()
    };
    let data = json!({
        "allowed": allowed
            .iter()
            .map(|measurement| json!({ "platform": measurement.platform, "measurements": values(measurement) }))
            .collect::<Vec<_>>(),
        "enclaves": known.enclaves.values().map(|enclave| json!({
            "enclaveId": enclave.id, "publicKey": hex::encode(&enclave.public_key),
            "platform": enclave.measurement.platform, "measurements": values(&enclave.measurement),
            "expiresMs": enclave.expires_ms, "inStanding": known.enclave_in_standing(&enclave.id, now),
        })).collect::<Vec<_>>(),
    });
    print(context.global.output, &data, |_| {
        let allowed: Vec<Vec<String>> =
            allowed.iter().map(|one| vec![one.platform.clone(), values(one).join(" ")]).collect();
        let enclaves: Vec<Vec<String>> = known
            .enclaves
            .values()
            .map(|enclave| {
                let standing = if known.enclave_in_standing(&enclave.id, now) { "yes" } else { "no" };
                let until = super::stake::time(enclave.expires_ms);
                vec![enclave.id.to_string(), enclave.measurement.platform.clone(), standing.to_owned(), until]
            })
            .collect();
        format!(
            "{}\n{}",
            table(&["ALLOWED", "MEASUREMENTS"], &allowed),
            table(&["ENCLAVE", "PLATFORM", "IN STANDING", "EXPIRES"], &enclaves)
        )
    })
}
