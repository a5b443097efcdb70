use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use engine::control_plane::WEBHOOK_CLIENT;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::lent::Lent;
use super::limits::GatewayLimits;
use super::peer::Peer;
use super::routes::router;
use super::stall::StallGuard;
use crate::shared::Shared;

/// Header fields of one request.
const MAX_HEADERS: usize = 64;
/// Bytes of one request's head.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Pause after the system could not accept, e.g. for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long requests in progress may take at shutdown.
const DRAIN: Duration = Duration::from_secs(3);

/// Silence after which a connection rests: its answers are out, and a node's next heartbeat is seconds away.
const REST_AFTER: Duration = Duration::from_millis(250);

type Stream = TlsStream<StallGuard<TcpStream>>;

/// The bound listener with its routes.
pub(crate) struct Gateway {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    limits: GatewayLimits,
    shared: Arc<Shared>,
    router: Router,
}

impl Gateway {
    /// Binds `address`; `tls` asks for client certificates without requiring them.
    pub(crate) async fn bind(
        address: SocketAddr,
        tls: Arc<ServerConfig>,
        limits: GatewayLimits,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let router = router(shared.clone(), limits);
        Ok(Self { listener, acceptor: TlsAcceptor::from(tls), limits, shared, router })
    }

    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, then lets requests in progress finish.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let remote = Arc::new(Semaphore::new(self.limits.max_connections));
        let local = Arc::new(Semaphore::new(self.limits.max_connections));
        let connections = TaskTracker::new();
        let shared = self.shared.clone();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let pool = if address.ip().to_canonical().is_loopback() { &local } else { &remote };
            let Ok(permit) = pool.clone().try_acquire_owned() else {
                shared.metrics.refused_connections.get_or_create(&[("reason", "too_many")]).inc();
                continue;
            };
            let connection = Connection {
                acceptor: self.acceptor.clone(),
                router: self.router.clone(),
                limits: self.limits,
                shared: shared.clone(),
                stop: stop.clone(),
                address,
                _permit: permit,
            };
            connections.spawn(connection.run(stream));
        }
        drop(self.listener);
        shared.tunnels.close();
        connections.close();
        // Whoever takes longer is cut off when the runtime drops the tasks.
        let _ = timeout(DRAIN, connections.wait()).await;
    }
}

struct Connection {
    acceptor: TlsAcceptor,
    router: Router,
    limits: GatewayLimits,
    shared: Arc<Shared>,
    stop: CancellationToken,
    address: SocketAddr,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        self.shared.metrics.connections.inc();
        self.serve(stream).await;
        self.shared.metrics.connections.dec();
    }

    async fn serve(&self, stream: TcpStream) {
        // Without it small answers wait for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let guarded = StallGuard::new(stream, Duration::from_millis(self.limits.write_timeout_ms));
        // Boxed, as its state is large and gone when the connection rests.
        let handshake = Box::pin(self.acceptor.accept(guarded));
        let stream = match timeout(Duration::from_millis(self.limits.handshake_timeout_ms), handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                self.refused("handshake_failed");
                tracing::debug!(peer = %self.address, "TLS handshake failed: {error}");
                return;
            }
            Err(_) => return self.refused("handshake_timeout"),
        };
        let peer = Peer::new(self.address, stream.get_ref().1.peer_certificates());
        let idle = Duration::from_millis(if peer.is_user(WEBHOOK_CLIENT) {
            self.limits.apiserver_idle_timeout_ms
        } else {
            self.limits.header_timeout_ms
        });
        let stream = Lent::new(stream);
        while self.requests(&stream, &peer, idle).await == After::Rest {
            let woken = tokio::select! {
                () = self.stop.cancelled() => Ok(Ok(false)),
                woken = timeout(idle, stream.woken()) => woken,
            };
            match woken {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => {
                    // Whoever is gone is not told.
                    let _ = stream.close().await;
                    return;
                }
                Ok(Err(error)) => return tracing::debug!(peer = %self.address, "connection ended: {error}"),
                Err(_) => return self.refused("idle_or_slow"),
            }
        }
    }

    /// Answers requests until the connection ends, or until it has been quiet for a while.
    async fn requests(&self, stream: &Lent<Stream>, peer: &Peer, idle: Duration) -> After {
        let (asked, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let router = &self.router;
        let service = service_fn(|request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer.clone());
            let router = router.clone();
            let answered = &answered;
            asked.fetch_add(1, Ordering::Relaxed);
            async move {
                let answer = router.oneshot(request).await;
                answered.fetch_add(1, Ordering::Relaxed);
                Ok::<_, Infallible>(answer.unwrap_or_else(|never| match never {}))
            }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(idle)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream.clone()), service)
            .with_upgrades();
        let mut connection = Box::pin(connection);
        let ended = loop {
            tokio::select! {
                ended = connection.as_mut() => break ended,
                () = self.stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    break connection.as_mut().await;
                }
                () = sleep(REST_AFTER) => {
                    let done = answered.load(Ordering::Relaxed);
                    // hyper lets go of a connection between two requests, and only there without telling the peer.
                    if stream.quiet() && done > 0 && done == asked.load(Ordering::Relaxed) {
                        stream.keep();
                        connection.as_mut().graceful_shutdown();
                        return match connection.await {
                            Ok(()) => After::Rest,
                            Err(_) => After::End,
                        };
                    }
                }
            }
        };
        if let Err(error) = ended {
            if error.is_timeout() {
                self.refused("idle_or_slow");
            }
            tracing::debug!(peer = %self.address, "connection ended: {error}");
        }
        After::End
    }

    fn refused(&self, reason: &'static str) {
        self.shared.metrics.refused_connections.get_or_create(&[("reason", reason)]).inc();
    }
}

/// What follows the requests on a connection.
#[derive(PartialEq, Eq)]
enum After {
    /// It stays open without hyper until its peer says something.
    Rest,
    End,
}
