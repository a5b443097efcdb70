use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use tonic::body::Body;

use super::dispatch::{Context, HttpRequest, HttpResponse};
use super::{CLUSTER_VERSION, ETCD_VERSION, STORAGE_VERSION, health};
use crate::Store;
use crate::metrics::{Text, process};

const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The plain HTTP pages: health, version, metrics.
pub(super) fn page(context: &Context, request: &HttpRequest) -> HttpResponse {
    if let Some(response) = health::page(context, request.method(), request.uri()) {
        return response;
    }
    let path = request.uri().path();
    if !matches!(path, "/version" | "/metrics") {
        return respond(StatusCode::NOT_FOUND, TEXT, "404 page not found\n".to_owned());
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "Method Not Allowed\n".to_owned());
    }
    if path == "/metrics" {
        return respond(StatusCode::OK, METRICS, metrics(&context.store));
    }
    let body = format!(
        "{{\"etcdserver\":\"{ETCD_VERSION}\",\"etcdcluster\":\"{STORAGE_VERSION}\",\"storage\":\"{STORAGE_VERSION}\"}}"
    );
    respond(StatusCode::OK, JSON, body)
}

/// What a listener for metrics serves: these pages and nothing else, as etcd's does.
pub(super) fn monitoring(context: &Context, request: &HttpRequest) -> HttpResponse {
    if request.uri().path() == "/version" {
        return respond(StatusCode::NOT_FOUND, TEXT, "404 page not found\n".to_owned());
    }
    page(context, request)
}

/// Under etcd's names where the meaning is etcd's, so that dashboards and alerts for etcd work.
fn metrics(store: &Store) -> String {
    let mut text = Text::default();
    server(store, &mut text);
    disk(store, &mut text);
    mvcc(store, &mut text);
    grpc(store, &mut text);
    process(&mut text);
    text.finish()
}

fn server(store: &Store, text: &mut Text) {
    let (status, metrics) = (store.status(), &store.shared().metrics);
    let serving = u8::from(store.alive().is_ok());
    let (_, member_id) = store.ids();
    text.gauge("etcd_server_has_leader", "Whether the store takes writes.", serving);
    text.gauge("etcd_server_is_leader", "Whether the store takes writes: there is one member.", serving);
    text.gauge("etcd_server_is_learner", "Never: there is one member.", 0);
    text.counter("etcd_server_leader_changes_seen_total", "Leaders seen: there is one member.", 1);
    let label = |name: &str, value: &str| [(format!("{name}=\"{value}\""), 1)];
    let help = "The etcd release whose API this is.";
    text.family("gauge", "etcd_server_version", help, label("server_version", ETCD_VERSION));
    let help = "The etcd cluster version whose API this is.";
    text.family("gauge", "etcd_cluster_version", help, label("cluster_version", CLUSTER_VERSION));
    let id = format!("{member_id:x}");
    text.family("gauge", "etcd_server_id", "Member id in hexadecimal.", label("server_id", &id));
    text.gauge("etcd_server_quota_backend_bytes", "Quota in bytes.", status.quota_bytes);
    let alarms = store.alarms().into_iter().map(|alarm| {
        let name = super::maintenance::alarm_name(alarm.alarm);
        (format!("alarm_type=\"{name}\",server_id=\"{:x}\"", alarm.member_id), 1)
    });
    text.family("gauge", "etcd_debugging_server_alarms", "Raised alarms.", alarms);
    text.gauge("etcd_server_proposals_committed_total", "Commands made durable.", status.applied);
    text.gauge("etcd_server_proposals_applied_total", "Commands applied.", status.applied);
    text.gauge("etcd_server_proposals_pending", "Commands that wait.", store.shared().queue.waiting());
    let failed = metrics.failed_proposals.get();
    text.counter("etcd_server_proposals_failed_total", "Commands that were not made durable.", failed);
    let slow = metrics.slow_applies.get();
    text.counter("etcd_server_slow_apply_total", "Commands that took longer than 100 ms.", slow);
    let counters = [
        ("etcd_server_health_success", "Successful health checks.", &metrics.health_success),
        ("etcd_server_health_failures", "Failed health checks.", &metrics.health_failures),
        (
            "etcd_debugging_server_lease_expired_total",
            "Leases that ended by themselves.",
            &metrics.leases_expired,
        ),
        ("etcd_debugging_lease_granted_total", "Leases made.", &metrics.leases_granted),
        ("etcd_debugging_lease_revoked_total", "Leases ended.", &metrics.leases_revoked),
        ("etcd_debugging_lease_renewed_total", "Leases kept alive.", &metrics.leases_renewed),
    ];
    for (name, help, counter) in counters {
        text.counter(name, help, counter.get());
    }
}

fn disk(store: &Store, text: &mut Text) {
    let (status, metrics) = (store.status(), &store.shared().metrics);
    let epoch = status.key_epoch;
    text.gauge("k3s_daas_store_key_epoch", "Generation of the keys that new files get.", epoch);
    text.histogram(
        "etcd_disk_wal_fsync_duration_seconds",
        "Writing and syncing a group of commands to the log.",
        &metrics.wal_fsync,
    );
    text.histogram(
        "etcd_disk_backend_commit_duration_seconds",
        "A group of commands from sealing to answering.",
        &metrics.backend_commit,
    );
    text.histogram("etcd_disk_backend_snapshot_duration_seconds", "Writing a snapshot.", &metrics.snapshot);
    let bytes = store.shared().inventory.appended_bytes();
    text.gauge("etcd_disk_wal_write_bytes_total", "Bytes written to the log.", bytes);
}

fn mvcc(store: &Store, text: &mut Text) {
    let (status, metrics) = (store.status(), &store.shared().metrics);
    let gauges = [
        ("etcd_mvcc_db_total_size_in_bytes", "Bytes of log and snapshot on disk.", status.disk_bytes),
        ("etcd_mvcc_db_total_size_in_use_in_bytes", "Bytes that count against the quota.", status.used_bytes),
        ("etcd_debugging_mvcc_keys_total", "Keys with any history.", status.keys as u64),
        ("etcd_debugging_mvcc_watcher_total", "Watches.", status.watchers as u64),
        ("etcd_debugging_mvcc_watch_stream_total", "Watch streams.", status.watch_streams as u64),
        ("etcd_debugging_mvcc_slow_watcher_total", "Watches that read history.", status.slow_watchers as u64),
        (
            "etcd_debugging_mvcc_pending_events_total",
            "Events waiting for clients.",
            status.pending_events as u64,
        ),
    ];
    for (name, help, value) in gauges {
        text.gauge(name, help, value);
    }
    text.gauge("etcd_debugging_mvcc_current_revision", "Current revision.", status.revision);
    text.gauge("etcd_debugging_mvcc_compact_revision", "Compact revision.", status.compact_revision);
    let counters = [
        ("etcd_mvcc_range_total", "Ranges answered.", &metrics.ranges),
        ("etcd_mvcc_put_total", "Puts applied.", &metrics.puts),
        ("etcd_mvcc_delete_total", "Deletions applied.", &metrics.deletes),
        ("etcd_mvcc_txn_total", "Transactions applied.", &metrics.txns),
    ];
    for (name, help, counter) in counters {
        text.counter(name, help, counter.get());
    }
}

fn grpc(store: &Store, text: &mut Text) {
    let metrics = &store.shared().metrics;
    text.family("counter", "grpc_server_started_total", "Calls begun.", metrics.grpc.all_started());
    text.family("counter", "grpc_server_handled_total", "Calls ended, by code.", metrics.grpc.all_handled());
    let received = metrics.bytes_received.get();
    text.counter("etcd_network_client_grpc_received_bytes_total", "Bytes from clients.", received);
    let sent = metrics.bytes_sent.get();
    text.counter("etcd_network_client_grpc_sent_bytes_total", "Bytes to clients.", sent);
}

pub(super) fn respond(status: StatusCode, content_type: &'static str, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(Body::new(http_body_util::Full::new(Bytes::from(body))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
    }
    response
}
