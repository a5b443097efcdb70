use std::collections::{BTreeMap, BTreeSet};

use chain::{Measurement, TcbBounds};
use serde_json::json;
use tee::{PlatformKind, TcbStatus};

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
        Command::AllowWorker(args) => {
            let draft = calls.allow_worker_measurement(registry, session.admin()?, &measurement(args)?);
            (draft, "allowing the measurement for workers")
        }
        Command::RetireWorker(args) => {
            let draft = calls.retire_worker_measurement(registry, session.admin()?, &measurement(args)?);
            (draft, "retiring the measurement of workers")
        }
        Command::SetTcb(args) => {
            (calls.set_tcb_bounds(registry, session.admin()?, &bounds(args)?), "setting the bounds")
        }
        Command::ClearTcb { platform } => {
            (calls.clear_tcb_bounds(registry, session.admin()?, platform), "clearing the bounds")
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

/// Names are checked here: the chain takes any, and whoever verifies would never meet one that does not exist.
fn bounds(args: &cli::Tcb) -> Result<TcbBounds> {
    args.platform.parse::<PlatformKind>().map_err(|error| Failure::usage(format!("--platform: {error}")))?;
    let mut minimums = BTreeMap::new();
    for text in &args.minimums {
        let parsed =
            text.split_once('=').and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)));
        let (name, number) = parsed
            .ok_or_else(|| Failure::usage(format!("--minimum {text:?}: write it as COMPONENT=NUMBER")))?;
        minimums.insert(name.to_owned(), number);
    }
    let mut statuses = BTreeSet::new();
    for name in &args.statuses {
        let status: TcbStatus = name.parse().map_err(|error| Failure::usage(format!("--status: {error}")))?;
        statuses.insert(status.to_string());
    }
    let advisories: BTreeSet<_> = args.advisories.iter().cloned().collect();
    Ok(TcbBounds {
        platform: args.platform.clone(),
        components: minimums.keys().cloned().collect(),
        minimums: minimums.into_values().collect(),
        statuses: statuses.into_iter().collect(),
        any_advisory: args.any_advisory,
        advisories: advisories.into_iter().collect(),
        max_age_ms: args.max_age_seconds.saturating_mul(1000),
    })
}

async fn list(context: &Context, session: &Session) -> Result<()> {
    let known = session.read().await?;
    let now = now_ms();
    let registry = known.registry.as_ref();
    let allowed: Vec<_> = registry.iter().flat_map(|registry| &registry.allowed).collect();
    let bounds: Vec<_> = registry.iter().flat_map(|registry| &registry.bounds).collect();
    let values = |measurement: &Measurement| -> Vec<String> {
        measurement.to_map().iter().map(|(name, value)| format!("{name}={}", hex::encode(value))).collect()
    };
    let data = json!({
        "allowed": allowed
            .iter()
            .map(|measurement| json!({ "platform": measurement.platform, "measurements": values(measurement) }))
            .collect::<Vec<_>>(),
        "workers": registry.iter().flat_map(|registry| &registry.worker_code)
            .map(|measurement| json!({ "platform": measurement.platform, "measurements": values(measurement) }))
            .collect::<Vec<_>>(),
        "tcb": bounds.iter().map(|of| json!({
            "platform": of.platform,
            "minimum": of.components.iter().zip(&of.minimums).collect::<BTreeMap<_, _>>(),
            "statuses": of.statuses, "advisories": of.tolerated_advisories(), "maxAgeMs": of.max_age_ms,
        })).collect::<Vec<_>>(),
        "enclaves": known.enclaves.values().map(|enclave| json!({
            "enclaveId": enclave.id, "publicKey": hex::encode(&enclave.public_key),
            "platform": enclave.measurement.platform, "measurements": values(&enclave.measurement),
            "expiresMs": enclave.expires_ms, "inStanding": known.enclave_in_standing(&enclave.id, now),
        })).collect::<Vec<_>>(),
    });
    print(context.global.output, &data, |_| {
        let rows = |list: &[&Measurement]| -> Vec<Vec<String>> {
            list.iter().map(|one| vec![one.platform.clone(), values(one).join(" ")]).collect()
        };
        let workers: Vec<_> = registry.iter().flat_map(|registry| &registry.worker_code).collect();
        let bounds: Vec<Vec<String>> = bounds.iter().map(|of| row(of)).collect();
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
            "{}\n{}\n{}\n{}",
            table(&["ALLOWED", "MEASUREMENTS"], &rows(&allowed)),
            table(&["WORKERS MAY PROVE", "MEASUREMENTS"], &rows(&workers)),
            table(&["HELD TO", "AT LEAST", "BESIDES UPTODATE", "ADVISORIES", "NO OLDER THAN"], &bounds),
            table(&["ENCLAVE", "PLATFORM", "IN STANDING", "EXPIRES"], &enclaves)
        )
    })
}

fn row(of: &TcbBounds) -> Vec<String> {
    let or_none = |list: String| if list.is_empty() { "-".to_owned() } else { list };
    let minimums: Vec<String> =
        of.components.iter().zip(&of.minimums).map(|(name, number)| format!("{name}={number}")).collect();
    let advisories = of.tolerated_advisories().map_or_else(|| "any".to_owned(), |ids| ids.join(" "));
    vec![
        of.platform.clone(),
        or_none(minimums.join(" ")),
        or_none(of.statuses.join(" ")),
        or_none(advisories),
        format!("{} s", of.max_age_ms / 1000),
    ]
}
