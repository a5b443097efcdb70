use std::fmt::Write;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::routes::Desk;

/// Alive: the process answers and its locks are not stuck.
pub(super) async fn healthz(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    let _ = desk.shared.node_list();
    answer("healthz", &[("ping", None), ("membership", None)], query.as_deref())
}

/// Able to do its whole work: admit nodes, serve users.
pub(super) async fn readyz(State(desk): State<Desk>, RawQuery(query): RawQuery) -> Response {
    let board = desk.shared.board.read();
    let unless = |good: bool, problem: &'static str| (!good).then_some(problem);
    let synced = desk.shared.membership.read().is_synced();
    let checks = [
        ("ping", None),
        ("chain-sync", unless(synced, "the chain's state was not read yet")),
        ("chain", unless(board.chain.reachable, "the chain does not answer; joined nodes and users go on")),
        (
            "enclave",
            board.right.lost().or(unless(board.enclave.is_some(), "this enclave is not registered on chain")),
        ),
        ("apiserver", unless(board.apiserver_ready, "kube-apiserver is not ready")),
        ("membership", unless(board.reconciled, "Kubernetes does not agree with the chain yet")),
    ];
    answer("readyz", &checks, query.as_deref())
}

/// The format of Kubernetes' own probes: `ok`, or one line per check when one fails or `verbose` is asked for.
/// `exclude=<check>` leaves one out.
fn answer(name: &str, checks: &[(&str, Option<&str>)], query: Option<&str>) -> Response {
    let parameters: Vec<&str> = query.unwrap_or_default().split('&').collect();
    let excluded = |check: &str| parameters.iter().any(|p| p.strip_prefix("exclude=") == Some(check));
    let verbose = parameters.iter().any(|p| *p == "verbose" || p.starts_with("verbose="));
    let mut text = String::new();
    let mut failed = false;
    for (check, problem) in checks {
        // Writing to a String does not fail.
        let _ = match problem {
            _ if excluded(check) => writeln!(text, "[+]{check} excluded: ok"),
            None => writeln!(text, "[+]{check} ok"),
            Some(problem) => {
                failed = true;
                writeln!(text, "[-]{check} failed: {problem}")
            }
        };
    }
    let content_type = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    if failed {
        text.push_str(&format!("{name} check failed\n"));
        return (StatusCode::SERVICE_UNAVAILABLE, content_type, text).into_response();
    }
    if !verbose {
        return (content_type, "ok").into_response();
    }
    text.push_str(&format!("{name} check passed\n"));
    (content_type, text).into_response()
}

pub(super) async fn metrics(State(desk): State<Desk>) -> Response {
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], desk.shared.metrics.text()).into_response()
}
