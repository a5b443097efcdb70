use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::RwLock;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::routes::{Route, Routes};
use super::services;
use crate::shared::Shared;

/// Connections of the apiserver at once.
const MAX_CONNECTIONS: usize = 4_096;
/// Time for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for an ordinary connection.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system could not accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// An HTTP CONNECT proxy on a unix socket, as kube-apiserver's egress selector speaks it (`HTTPConnect` over `uds`).
/// It takes connections of this process's own user only.
#[derive(Clone)]
pub(crate) struct Egress {
    pub(crate) shared: Arc<Shared>,
    pub(crate) routes: Arc<RwLock<Routes>>,
    /// Asked for the pods behind services.
    pub(crate) kubernetes: kube::Client,
}

/// What can be read and written to.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Why there is no connection; becomes the reason of the HTTP status, which kube-apiserver shows.
struct NoWay {
    status: StatusCode,
    result: &'static str,
    reason: String,
}

impl Egress {
    /// Binds `path`; what an earlier run left there is removed.
    pub(crate) fn bind(path: &Path) -> io::Result<UnixListener> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    /// Serves until `stop`.
    pub(crate) async fn serve(self, listener: UnixListener, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let own = rustix::process::geteuid().as_raw();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!("cannot accept a connection to the egress proxy: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            if !stream.peer_cred().is_ok_and(|peer| peer.uid() == own) {
                tracing::warn!("refused a connection of another user to the egress proxy");
                self.shared.tunnel_metrics.dialled("forbidden");
                continue;
            }
            let Ok(place) = places.clone().try_acquire_owned() else {
                tracing::warn!("the egress proxy has {MAX_CONNECTIONS} connections, which is its limit");
                continue;
            };
            let (egress, stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = egress.serve_one(stream) => {}
                }
                drop(place);
            });
        }
    }

    async fn serve_one(&self, stream: UnixStream) {
        let (to_relay, mut relay) = mpsc::channel(1);
        let service = service_fn(|request: Request<Incoming>| {
            let to_relay = to_relay.clone();
            async move { Ok::<_, Infallible>(self.answer(request, &to_relay).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        if let Err(error) = connection.await {
            tracing::debug!("a connection to the egress proxy ended: {error}");
        }
        drop(to_relay);
        // At most one: after it the connection is no HTTP any more.
        let Some((upgrade, mut there)) = relay.recv().await else { return };
        if let Ok(here) = upgrade.await {
            // Either end may break off at any time, which is no news here.
            let _ = copy_bidirectional(&mut TokioIo::new(here), &mut there).await;
        }
    }

    async fn answer(&self, mut request: Request<Incoming>, relay: &Relay) -> Response<String> {
        let connected = match target(&request) {
            Ok((host, port)) => self.connect(&host, port).await,
            Err(problem) => Err(problem),
        };
        match connected {
            Ok((there, result)) => {
                self.shared.tunnel_metrics.dialled(result);
                let _ = relay.try_send((hyper::upgrade::on(&mut request), there));
                Response::new(String::new())
            }
            Err(problem) => {
                self.shared.tunnel_metrics.dialled(problem.result);
                tracing::debug!(target = %request.uri(), "no connection for the apiserver: {}", problem.reason);
                let mut response = Response::new(problem.reason.clone());
                *response.status_mut() = problem.status;
                if let Ok(reason) = ReasonPhrase::try_from(problem.reason.into_bytes()) {
                    response.extensions_mut().insert(reason);
                }
                response
            }
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<Connected, NoWay> {
        let has_tunnel = |node: &str| self.shared.tunnels.has(node);
        let route = self.routes.read().route(host, port, has_tunnel);
        let Route::Service(ip) = route else { return self.follow(route, host, port).await };
        let no_way = |reason| NoWay { status: StatusCode::BAD_GATEWAY, result: "direct_failed", reason };
        let endpoints = services::endpoints(&self.kubernetes, ip, port).await;
        let mut endpoints = endpoints.map_err(|error| no_way(format!("service {ip}:{port}: {error}")))?;
        let turn = self.shared.now_ms() as usize % endpoints.len().max(1);
        endpoints.rotate_left(turn);
        let mut last = no_way(format!("no ready pod is behind service {ip}:{port}"));
        for endpoint in endpoints {
            let route = self.routes.read().address(endpoint.ip(), endpoint.port(), has_tunnel);
            match self.follow(route, host, endpoint.port()).await {
                Ok(connected) => return Ok(connected),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }

    async fn follow(&self, route: Route, host: &str, port: u16) -> Result<Connected, NoWay> {
        let forbidden = |why| NoWay {
            status: StatusCode::FORBIDDEN,
            result: "forbidden",
            reason: format!("{host}:{port}: {why}"),
        };
        match route {
            Route::Tunnel { node, address } => match self.shared.tunnels.dial(&node, &address) {
                Ok(stream) => Ok((Box::new(stream), "tunnel")),
                Err(error) => Err(NoWay {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    result: "tunnel_refused",
                    reason: error.to_string(),
                }),
            },
            Route::Direct(addresses) => direct(host, &addresses).await,
            Route::Forbidden(why) => Err(forbidden(why)),
            Route::Service(_) => Err(forbidden("a service's address leads to pods only")),
        }
    }
}

type Connected = (Box<dyn Duplex>, &'static str);
type Relay = mpsc::Sender<(OnUpgrade, Box<dyn Duplex>)>;

fn target<B>(request: &Request<B>) -> Result<(String, u16), NoWay> {
    let bad = |status, reason: &str| NoWay { status, result: "forbidden", reason: reason.to_owned() };
    if request.method() != Method::CONNECT {
        return Err(bad(StatusCode::METHOD_NOT_ALLOWED, "only CONNECT host:port is served here"));
    }
    let authority = request.uri().authority();
    authority
        .and_then(|authority| Some((authority.host().to_owned(), authority.port_u16()?)))
        .ok_or_else(|| bad(StatusCode::BAD_REQUEST, "CONNECT needs host:port"))
}

async fn direct(host: &str, addresses: &[String]) -> Result<Connected, NoWay> {
    let mut last = format!("node {host} has no tunnel and no address");
    for address in addresses {
        match timeout(DIAL_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                let _ = stream.set_nodelay(true);
                return Ok((Box::new(stream), "direct"));
            }
            Ok(Err(error)) => last = format!("cannot connect to {address}: {error}"),
            Err(_) => last = format!("{address} did not answer in {} s", DIAL_TIMEOUT.as_secs()),
        }
    }
    Err(NoWay { status: StatusCode::BAD_GATEWAY, result: "direct_failed", reason: last })
}
