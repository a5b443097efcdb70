//! etcd's health pages: `/health`, and Kubernetes' `/livez` and `/readyz` with their single checks.

use http::{Method, StatusCode, Uri};

use super::dispatch::{Context, HttpResponse};
use super::maintenance::alarm_name;
use super::pages::respond;
use crate::Store;
use crate::proto::AlarmType;

const TEXT: &str = "text/plain; charset=utf-8";
const LIVE: &[&str] = &["serializable_read"];
const READY: &[&str] = &["data_corruption", "serializable_read", "linearizable_read", "non_learner"];

/// The page at `uri`, if it is one of these.
pub(super) fn page(context: &Context, method: &Method, uri: &Uri) -> Option<HttpResponse> {
    let store = &context.store;
    let mut parts = uri.path().trim_start_matches('/').splitn(2, '/');
    let (kind, check) = (parts.next().unwrap_or_default(), parts.next());
    let checks = match kind {
        "health" if check.is_none() => &[][..],
        "livez" => LIVE,
        "readyz" => READY,
        _ => return None,
    };
    let checks: Vec<&str> = match check {
        Some(check) => vec![*checks.iter().find(|known| **known == check)?],
        None => checks.iter().copied().filter(|check| !excluded(uri, check)).collect(),
    };
    if method != Method::GET {
        return Some(respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed\n".to_owned()));
    }
    Some(if kind == "health" { health(store, uri) } else { checked(store, uri, &checks) })
}

/// The older page: alarms count too, so it also tells that somebody is needed.
fn health(store: &Store, uri: &Uri) -> HttpResponse {
    let metrics = &store.shared().metrics;
    let alarm = store.alarms().iter().map(|alarm| alarm_name(alarm.alarm)).find(|name| !excluded(uri, name));
    let reason = match (alarm, store.alive()) {
        (Some(alarm), _) => format!("ALARM {alarm}"),
        (None, Err(error)) => format!("RANGE ERROR:{error}"),
        (None, Ok(())) => {
            metrics.health_success.add(1);
            return respond(StatusCode::OK, TEXT, "{\"health\":\"true\",\"reason\":\"\"}".to_owned());
        }
    };
    metrics.health_failures.add(1);
    // The reason may hold a path with anything in it.
    let reason: String = reason.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
    let body = format!("{{\"health\":\"false\",\"reason\":\"{reason}\"}}\n");
    respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, body)
}

fn checked(store: &Store, uri: &Uri, checks: &[&str]) -> HttpResponse {
    let outcomes: Vec<(&str, Result<(), String>)> =
        checks.iter().map(|check| (*check, outcome(store, check))).collect();
    let mut told = String::new();
    for (check, outcome) in &outcomes {
        match outcome {
            Ok(()) => told.push_str(&format!("[+]{check} ok\n")),
            Err(reason) => told.push_str(&format!("[-]{check} failed: {reason}\n")),
        }
    }
    if outcomes.iter().any(|(_, outcome)| outcome.is_err()) {
        return respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{told}\n"));
    }
    let verbose = query(uri).any(|(name, _)| name == "verbose");
    respond(StatusCode::OK, TEXT, if verbose { format!("{told}ok\n") } else { "ok\n".to_owned() })
}

/// Reads of both kinds work as long as the store does: it has one member.
fn outcome(store: &Store, check: &str) -> Result<(), String> {
    match check {
        "data_corruption" => {
            let corrupt = store.alarms().iter().any(|alarm| alarm.alarm == AlarmType::Corrupt as i32);
            if corrupt { Err("alarm activated: CORRUPT".to_owned()) } else { Ok(()) }
        }
        "serializable_read" | "linearizable_read" => {
            store.alive().map_err(|error| format!("range error: {error}"))
        }
        _ => Ok(()),
    }
}

fn excluded(uri: &Uri, name: &str) -> bool {
    query(uri).any(|(key, value)| key == "exclude" && value == name)
}

fn query(uri: &Uri) -> impl Iterator<Item = (&str, &str)> {
    uri.query().unwrap_or_default().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}
