use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::peer::Peer;
use super::problem::{Problem, Reported};
use crate::shared::Shared;

/// Around every request: counts and times it, and says once why it was refused.
pub(super) async fn report(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("none", |path| path.as_str()).to_owned();
    let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
    let mut response = next.run(request).await;

    let code = response.status().as_u16().to_string();
    shared
        .metrics
        .requests
        .get_or_create(&[("route", route.clone()), ("method", method.into()), ("code", code)])
        .inc();
    let seconds = started.elapsed().as_secs_f64();
    shared.metrics.latency.get_or_create(&[("route", route.clone())]).observe(seconds);

    if let Some(Reported(problem)) = response.extensions_mut().remove::<Reported>() {
        let reason = problem.reason();
        let status = response.status().as_u16();
        match &problem {
            Problem::Refused { refusal, token } => shared.refuse(refusal, *token, &route, peer),
            Problem::Beat(_) => shared.note_node(reason, &route, peer, &problem.to_string()),
            Problem::Evidence { node, news: true, .. } => {
                shared.note_node(reason, &route, peer, &format!("node {node}: {problem}"));
            }
            Problem::Internal(_) => tracing::error!(reason, status, route, ?peer, "{problem}"),
            // What strangers can send at will is not worth a line each.
            _ => {
                shared.metrics.bad_requests.get_or_create(&[("reason", reason)]).inc();
                tracing::debug!(reason, status, route, ?peer, "bad request: {problem}");
            }
        }
    }
    response
}

/// Methods are labels of a metric, and a stranger may send any word as one.
fn method_label(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        _ => "other",
    }
}
