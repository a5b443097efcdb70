use std::fmt::Write;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use tonic::body::Body;

use super::dispatch::{Context, HttpRequest, HttpResponse};
use super::{ETCD_VERSION, STORAGE_VERSION};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; version=0.0.4";

/// The plain HTTP pages: health, version, metrics.
pub(super) fn page(context: &Context, request: &HttpRequest) -> HttpResponse {
    let path = request.uri().path();
    let known = matches!(path, "/health" | "/livez" | "/readyz" | "/version" | "/metrics");
    if !known {
        return respond(StatusCode::NOT_FOUND, TEXT, "404 page not found\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".to_owned());
    }
    match path {
        "/version" => {
            let body = format!("{{\"etcdserver\":\"{ETCD_VERSION}\",\"etcdcluster\":\"{STORAGE_VERSION}\"}}");
            respond(StatusCode::OK, JSON, body)
        }
        "/metrics" => respond(StatusCode::OK, TEXT, metrics(context)),
        _ => health(context, path),
    }
}

fn health(context: &Context, path: &str) -> HttpResponse {
    let reason = match context.store.shared().queue.ended() {
        Some(error) => Some(error.to_string()),
        // A full store lives, but etcd's /health says that it needs somebody.
        None if path == "/health" && context.store.status().full => Some("ALARM NOSPACE".to_owned()),
        None => None,
    };
    let status = if reason.is_none() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match path {
        "/health" => {
            let reason: String =
                reason.unwrap_or_default().chars().filter(|c| !matches!(c, '"' | '\\')).collect();
            let healthy = status == StatusCode::OK;
            respond(status, JSON, format!("{{\"health\":\"{healthy}\",\"reason\":\"{reason}\"}}"))
        }
        _ => respond(status, TEXT, reason.map_or_else(|| "ok\n".to_owned(), |reason| format!("{reason}\n"))),
    }
}

/// Under etcd's names where the meaning is etcd's.
fn metrics(context: &Context) -> String {
    let status = context.store.status();
    let serving = u64::from(context.store.shared().queue.ended().is_none());
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: i128| {
        let _infallible = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    };
    gauge("etcd_server_has_leader", "Whether the store takes writes.", serving.into());
    gauge("etcd_server_quota_backend_bytes", "Quota in bytes.", status.quota_bytes.into());
    gauge("etcd_mvcc_db_total_size_in_bytes", "Bytes of log and snapshot on disk.", status.disk_bytes.into());
    gauge(
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "Bytes that count against the quota.",
        status.used_bytes.into(),
    );
    gauge("etcd_debugging_mvcc_current_revision", "Current revision.", status.revision.into());
    gauge("etcd_debugging_mvcc_compact_revision", "Compact revision.", status.compact_revision.into());
    gauge("etcd_debugging_mvcc_watcher_total", "Watches.", status.watchers as i128);
    gauge("etcd_debugging_mvcc_watch_stream_total", "Watch streams.", status.watch_streams as i128);
    gauge("etcd_server_proposals_applied_total", "Commands applied.", status.applied.into());
    text
}

fn respond(status: StatusCode, content_type: &'static str, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(Body::new(http_body_util::Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
