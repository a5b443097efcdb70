use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tunnel::tokio_tungstenite::tungstenite::Error as WebSocketError;
use tunnel::tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tunnel::tokio_tungstenite::tungstenite::http::Request;
use tunnel::tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tunnel::{Incoming, Limits, Link, Role};

use super::counts::TunnelCounts;
use super::door::{Admitted, admit};
use crate::agent::Backoff;
use crate::certificates::KeyedCertificate;
use crate::gateway::with_identity;
use crate::node_agent::NodeAgent;

/// Time for connection, TLS and websocket.
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Time for a connection to kubelet or pod.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A tunnel that held that long was a good one: the next try comes soon.
const GOOD: Duration = Duration::from_secs(30);

/// Where the tunnel leads, and as whom it is opened.
#[derive(Clone)]
pub(crate) struct TunnelTarget {
    /// The gateway, `https://host:port`.
    pub(crate) base: String,
    /// TLS to it that demands its attestation.
    pub(crate) tls: Arc<ClientConfig>,
    /// Cancelled when the gateway is trusted no longer.
    pub(crate) closed: CancellationToken,
    /// The kubelet's client certificate, which is this node's name.
    pub(crate) identity: KeyedCertificate,
    /// The node's name.
    pub(crate) node_name: String,
}

/// Keeps the tunnel open to the gateway that was named last.
pub(crate) struct TunnelKeeper {
    target: watch::Sender<Option<Arc<TunnelTarget>>>,
    pub(crate) counts: TunnelCounts,
}

/// Why there is no tunnel.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error("{0}")]
    Local(String),
    #[error("cannot connect to {authority}: {source}")]
    Connect { authority: String, source: std::io::Error },
    #[error("the gateway did not answer in {} s", OPEN_TIMEOUT.as_secs())]
    Timeout,
    #[error("the gateway refused it: {0}")]
    Refused(String),
    #[error("no websocket: {0}")]
    WebSocket(Box<WebSocketError>),
}

impl OpenError {
    fn result(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::Connect { .. } | Self::Timeout => "unreachable",
            Self::Refused(_) => "refused",
            Self::WebSocket(_) => "failed",
        }
    }
}

impl TunnelKeeper {
    pub(crate) fn new() -> Self {
        Self { target: watch::Sender::new(None), counts: TunnelCounts::default() }
    }

    /// Names the gateway. A tunnel that is open stays; it ends with the trust in its own gateway.
    pub(crate) fn lead_to(&self, target: TunnelTarget) {
        self.target.send_replace(Some(Arc::new(target)));
    }

    /// Keeps the tunnel open until `shutdown`.
    pub(crate) async fn run(&self, node: Arc<dyn NodeAgent>, backoff: Backoff, shutdown: CancellationToken) {
        let mut targets = self.target.subscribe();
        let mut failures = 0u32;
        let mut said = String::new();
        loop {
            let target = targets.borrow_and_update().clone().filter(|target| !target.closed.is_cancelled());
            let Some(target) = target else {
                tokio::select! {
                    () = shutdown.cancelled() => return,
                    changed = targets.changed() => if changed.is_err() { return },
                }
                continue;
            };
            let started = Instant::now();
            let problem = tokio::select! {
                () = shutdown.cancelled() => return,
                problem = self.once(&target, &node) => problem,
            };
            failures = if started.elapsed() >= GOOD { 0 } else { failures.saturating_add(1) };
            if problem != said {
                tracing::info!(gateway = target.base, "no tunnel: {problem}");
                said = problem;
            }
            let random = u64::from(started.elapsed().subsec_nanos());
            let wait = Duration::from_millis(backoff.wait_ms(failures, random));
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = sleep(wait) => {}
            }
        }
    }

    /// One tunnel, from its opening to its end; says why it ended.
    async fn once(&self, target: &TunnelTarget, node: &Arc<dyn NodeAgent>) -> String {
        let opened = timeout(OPEN_TIMEOUT, open(target));
        let opened = tokio::select! {
            () = target.closed.cancelled() => return "the gateway is trusted no longer".to_owned(),
            opened = opened => opened.unwrap_or(Err(OpenError::Timeout)),
        };
        let websocket = match opened {
            Ok(websocket) => websocket,
            Err(error) => {
                self.counts.opened(error.result());
                return error.to_string();
            }
        };
        self.counts.opened("ok");
        self.counts.open.set(1);
        tracing::info!(gateway = target.base, node = target.node_name, "opened the tunnel");
        let link = Link::new(Role::Worker, Limits::default());
        let dials = TaskTracker::new();
        let over = CancellationToken::new();
        let incoming = |incoming: Incoming| {
            let (node, counts, over) = (Arc::clone(node), self.counts.clone(), over.clone());
            dials.spawn(async move {
                tokio::select! {
                    () = over.cancelled() => {}
                    () = serve(incoming, node, counts) => {}
                }
            });
        };
        let ended = tokio::select! {
            ended = tunnel::run(websocket, &link, incoming) => ended.to_string(),
            () = target.closed.cancelled() => "the gateway is trusted no longer".to_owned(),
        };
        over.cancel();
        self.counts.open.set(0);
        ended
    }
}

async fn open(target: &TunnelTarget) -> Result<WebSocketStream<TlsStream<TcpStream>>, OpenError> {
    let local = |problem: &str| OpenError::Local(problem.to_owned());
    let authority = target.base.strip_prefix("https://").ok_or_else(|| local("the gateway is not https"))?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let address = if host == authority { format!("{authority}:443") } else { authority.to_owned() };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
        .map_err(|_| local("the gateway's host is no DNS name and no address"))?;
    let tls = with_identity(&target.tls, &target.identity)
        .map_err(|problem| OpenError::Local(format!("the node's certificate: {problem}")))?;
    let tls = TlsConnector::from(Arc::new(tls));

    let failed = |source| OpenError::Connect { authority: authority.to_owned(), source };
    let stream = TcpStream::connect(&address).await.map_err(failed)?;
    let _ = stream.set_nodelay(true);
    let stream = tls.connect(name, stream).await.map_err(failed)?;
    let request = Request::get(format!("wss://{authority}/v1-k3s/connect"))
        .header("Host", authority)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("k3s-Node-Name", &target.node_name)
        .body(())
        .map_err(|_| local("the request cannot be made"))?;
    match client_async_with_config(request, stream, Some(Link::websocket_config())).await {
        Ok((websocket, _)) => Ok(websocket),
        Err(WebSocketError::Http(answer)) => Err(OpenError::Refused(said(&answer))),
        Err(error) => Err(OpenError::WebSocket(Box::new(error))),
    }
}

/// What the gateway said instead of a websocket, fit for a log line.
fn said(answer: &tunnel::tokio_tungstenite::tungstenite::http::Response<Option<Vec<u8>>>) -> String {
    let body = answer.body().as_deref().unwrap_or_default();
    let reason = serde_json::from_slice::<api::ErrorBody>(body).map_or(String::new(), |error| error.reason);
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(64).collect();
    format!("{} {reason}", answer.status().as_u16())
}

/// One connection that the master asks for.
async fn serve(incoming: Incoming, node: Arc<dyn NodeAgent>, counts: TunnelCounts) {
    let Incoming { mut stream, network, address } = incoming;
    let Some(reach) = node.reach().await else {
        counts.dialled("failed");
        return stream.fail("this node does not run");
    };
    let admitted = match admit(&reach, &network, &address) {
        Ok(admitted) => admitted,
        Err(refused) => {
            counts.dialled("refused");
            // What the master may not have, it should not ask for: either it is not ours or it is not well.
            tracing::warn!(network, address, "refused a connection that the master asked for: {refused}");
            return stream.fail(&refused.to_string());
        }
    };
    let to = admitted.to;
    match timeout(DIAL_TIMEOUT, connect(&admitted)).await {
        Ok(Ok(mut connection)) => {
            counts.dialled("connected");
            let _ = connection.set_nodelay(true);
            // Either end may break off at any time, which is no news here.
            let _ = copy_bidirectional(&mut stream, &mut connection).await;
        }
        Ok(Err(error)) => {
            counts.dialled("failed");
            stream.fail(&format!("cannot connect to {to}: {error}"));
        }
        Err(_) => {
            counts.dialled("failed");
            stream.fail(&format!("{to} did not answer"));
        }
    }
}

async fn connect(admitted: &Admitted) -> std::io::Result<TcpStream> {
    let socket = if admitted.to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(device) = &admitted.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    socket.connect(admitted.to).await
}
