use std::collections::BTreeMap;

use chain::Measurement;
use serde_json::json;

use super::act::act;
use super::{Context, OPERATOR, now_ms};
use crate::cli::{self, EnclaveCommand as Command};
use crate::failure::{Failure, Result};
use crate::input::{id, read, read_json};
use crate::output::{print, table};
use crate::session::Session;

/// `k3s-daas enclave …`
pub(crate) async fn run(context: &Context, args: cli::Enclave) -> Result<()> {
    let session = Session::open(context).await?;
    let (calls, registry) = (&session.calls, session.registry()?);
    let (draft, doing) = match &args.what {
        Command::List => return list(context, &session).await,
        Command::Allow(args) => {
            let draft = calls.allow_measurement(registry, session.admin()?, &measurement(args)?);
            (draft, "allowing the measurement")
        }
        Command::Retire(args) => {
            let draft = calls.retire_measurement(registry, session.admin()?, &measurement(args)?);
            (draft, "retiring the measurement")
        }
        Command::PlanRetirement { measurement: args, hours } => {
            let at = session.now_ms().await?.saturating_add(hours.saturating_mul(3_600_000));
            let draft = calls.plan_retirement(registry, session.admin()?, &measurement(args)?, at);
            (draft, "planning the retirement")
        }
        Command::Verifiers { verifiers, threshold } => {
            let keys: Vec<[u8; 32]> = verifiers
                .iter()
                .map(|key| crate::tokens::bytes32(key, "verifier's key"))
                .collect::<Result<_>>()?;
            let draft = calls.set_verifiers(registry, session.admin()?, &keys, *threshold);
            (draft, "setting the verifiers")
        }
        Command::Register { claims } => {
            (calls.register_enclave(registry, &read_json(claims)?), "registering the enclave")
        }
        Command::RegisterNitro { document, days } => {
            let until = session.now_ms().await?.saturating_add(days.saturating_mul(86_400_000));
            (calls.register_nitro(registry, &read(document)?, until), "registering the enclave")
        }
        Command::Revoke { enclave } => {
            (calls.revoke_enclave(id(enclave)?, session.admin()?), "ending the enclave's standing")
        }
    };
    act(context, &session, &args.tx, OPERATOR, &draft, doing).await.map(|_| ())
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
