//! The tunnel that a node opens: K3s' `connect`, a websocket of rancher/remotedialer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tunnel::tokio_tungstenite::WebSocketStream;
use tunnel::tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tunnel::tokio_tungstenite::tungstenite::protocol::Role;
use tunnel::{Ended, Limits, Link};

use super::join::requested_name;
use super::peer::Peer;
use super::problem::Problem;
use super::routes::Desk;
use crate::membership::{NODES_GROUP, NodeCertificate, Refusal};
use crate::shared::Shared;
use crate::tunnels::Seat;

/// Time from the answer to the websocket.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Takes a node's tunnel. Only a client certificate of `system:nodes` opens it, as with K3s, and its name says whose
/// it is; a header that names another node is refused.
pub(super) async fn connect(
    State(desk): State<Desk>,
    mut request: Request<Body>,
) -> Result<Response, Problem> {
    let shared = desk.shared;
    let peer = request.extensions().get::<Peer>().cloned();
    let refused = |refusal| Problem::Refused { refusal, token: None };
    let certificate = peer.and_then(|peer| peer.certificate).ok_or(refused(Refusal::MissingCredential))?;
    if !certificate.groups.iter().any(|group| group == NODES_GROUP) {
        return Err(refused(Refusal::NotANodeCertificate));
    }
    let requested = requested_name(request.headers())?;
    let now_ms = shared.now_ms();
    let node = shared.membership.read().node_by_certificate(&certificate, requested, now_ms);
    let node = node.map_err(refused)?;
    shared.may_act(&certificate).map_err(refused)?;
    let accept = websocket(request.headers())?;
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(serve(shared, node.name, certificate, upgrade));
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// Checks a websocket's opening handshake (RFC 6455, 4.2.1); gives the value of `Sec-WebSocket-Accept`.
fn websocket(headers: &HeaderMap) -> Result<HeaderValue, Problem> {
    let has = |name: header::HeaderName, wanted: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    let bad = |name, problem| Problem::BadHeader { name, problem };
    if !has(header::UPGRADE, "websocket") || !has(header::CONNECTION, "upgrade") {
        return Err(bad("Upgrade", "does not ask for a websocket, which is what this path is"));
    }
    if !has(header::SEC_WEBSOCKET_VERSION, "13") {
        return Err(bad("Sec-WebSocket-Version", "is not 13"));
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key = key.ok_or(bad("Sec-WebSocket-Key", "is missing or malformed"))?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| Problem::Internal("no websocket could be made"))
}

async fn serve(shared: Arc<Shared>, node: String, certificate: Arc<NodeCertificate>, upgrade: OnUpgrade) {
    let Ok(Ok(stream)) = timeout(UPGRADE_TIMEOUT, upgrade).await else {
        return tracing::debug!(node, "a tunnel's connection ended before it was one");
    };
    let config = Some(Link::websocket_config());
    let websocket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Server, config).await;
    let Some(seat) = shared.tunnels.enter(&node, certificate, Limits::default()) else { return };
    tracing::info!(node, "opened a tunnel");
    let ended = tunnel::run(websocket, &seat.link, |_| {}).await;
    let reason = reason(&shared, &seat, &ended);
    shared.tunnel_metrics.ended.get_or_create(&[("reason", reason)]).inc();
    match &ended {
        // A worker that works does none of these.
        Ended::Violation(violation) if reason != "silent" => {
            shared.note_node(reason, "/v1-k3s/connect", None, &format!("node {node}: {violation}"));
        }
        ended => tracing::info!(node, reason, "a tunnel ended: {ended}"),
    }
}

fn reason(shared: &Shared, seat: &Seat, ended: &Ended) -> &'static str {
    let here = shared.tunnels.leave(seat);
    match ended {
        Ended::Here => here.unwrap_or("shutdown"),
        Ended::Closed => "closed_by_worker",
        Ended::Violation(violation) => violation.reason(),
        Ended::NotBinary => "not_binary",
        _ => "connection_failed",
    }
}
