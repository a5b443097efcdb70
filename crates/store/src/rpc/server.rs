use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::body::Body;

use super::bound::{Accepted, Bound};
use super::dispatch::{Context, dispatch};
use super::hello::{Hello, Version};
use super::http2;
use super::workers::Workers;
use crate::listen::Listener;
use crate::{Store, StoreError};

/// Connections at once, over all listeners.
const MAX_CONNECTIONS: usize = 16_384;
/// Time for a client to finish its TLS handshake or its first request line.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for running requests after shutdown began.
const DRAIN: Duration = Duration::from_secs(5);
/// Serves `store` on all `listeners` until `shutdown` resolves.
///
/// # Errors
/// An address cannot be bound, a certificate cannot be used, or the store has stopped.
pub async fn serve(
    store: Store,
    listeners: Vec<Listener>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StoreError> {
    Server::bind(store, listeners).await?.run(shutdown).await
}

/// Bound listeners in front of a store.
pub struct Server {
    store: Store,
    bound: Vec<Bound>,
    /// For metrics and health only.
    pages: Vec<Bound>,
}

impl Server {
    /// Binds all `listeners`; clients can connect from now on and are answered once it runs.
    ///
    /// # Errors
    /// An address cannot be bound or a certificate cannot be used.
    pub async fn bind(store: Store, listeners: Vec<Listener>) -> Result<Self, StoreError> {
        Ok(Self { store, bound: bind_all(listeners).await?, pages: Vec::new() })
    }

    /// Binds `listeners` too, on which only metrics and health are served: etcd's `--listen-metrics-urls`.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub async fn with_pages(self, listeners: Vec<Listener>) -> Result<Self, StoreError> {
        Ok(Self { pages: bind_all(listeners).await?, ..self })
    }

    /// The URLs that clients can use, with the ports that the system chose.
    pub fn urls(&self) -> Vec<String> {
        self.bound.iter().map(Bound::url).collect()
    }

    /// The URLs of the metrics, likewise.
    pub fn page_urls(&self) -> Vec<String> {
        self.pages.iter().map(Bound::url).collect()
    }

    /// Answers clients until `shutdown` resolves, then lets running requests end.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StoreError> {
        let urls: Arc<[String]> = self.urls().into();
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let connections = TaskTracker::new();
        let workers = Arc::new(Workers::start()?);
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut sockets = Vec::new();
        let clients = self.bound.into_iter().map(|bound| (bound, false));
        for (bound, only_pages) in clients.chain(self.pages.into_iter().map(|bound| (bound, true))) {
            if let Bound::Unix(_, path) = &bound {
                sockets.push(path.clone());
            }
            let context = Context {
                store: self.store.clone(),
                runtime: Handle::current(),
                urls: urls.clone(),
                only_pages,
                stop: stop.clone(),
                kill: kill.clone(),
            };
            let home =
                Home { connections: connections.clone(), workers: workers.clone(), room: room.clone() };
            connections.spawn(accept(bound, context, home));
        }
        tracing::info!(?urls, "serving etcd clients");
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            reason = self.store.failed() => Err(StoreError::Failed(reason)),
        };
        stop.cancel();
        connections.close();
        if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
            tracing::warn!("some clients did not let go");
            kill.cancel();
            connections.wait().await;
        }
        for path in sockets {
            let _gone = std::fs::remove_file(path);
        }
        ended
    }
}

async fn bind_all(listeners: Vec<Listener>) -> Result<Vec<Bound>, StoreError> {
    let mut bound = Vec::with_capacity(listeners.len());
    for listener in listeners {
        bound.push(Bound::new(listener).await?);
    }
    Ok(bound)
}

/// Where connections live.
struct Home {
    connections: TaskTracker,
    workers: Arc<Workers>,
    room: Arc<Semaphore>,
}

impl Home {
    /// Runs a connection on a thread of the workers for as long as it lasts.
    fn take(
        &self,
        permit: OwnedSemaphorePermit,
        connection: impl Future<Output = io::Result<()>> + Send + 'static,
    ) {
        self.workers.spawn(self.connections.track_future(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection ended");
            }
        }));
    }
}

async fn accept(bound: Bound, context: Context, home: Home) {
    let stop = context.stop.clone();
    loop {
        let Ok(permit) = home.room.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = bound.accept() => accepted,
        };
        let context = context.clone();
        match accepted {
            Ok(Accepted::Unix(stream)) => {
                home.take(permit, async move { converse(UnixStream::from_std(stream)?, context).await });
            }
            Ok(Accepted::Tcp(stream, None)) => {
                home.take(permit, async move { converse(TcpStream::from_std(stream)?, context).await });
            }
            Ok(Accepted::Tcp(stream, Some(tls))) => home.take(permit, async move {
                let handshake = tls.current().accept(TcpStream::from_std(stream)?);
                converse(tokio::time::timeout(HANDSHAKE, handshake).await??, context).await
            }),
            Err(error) => {
                // Out of file descriptors, most likely: give connections time to end.
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse<S>(stream: S, context: Context) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Hello { stream, version } = tokio::select! {
        hello = tokio::time::timeout(HANDSHAKE, Hello::read(stream)) => hello??,
        () = context.stop.cancelled() => return Ok(()),
    };
    let kill = context.kill.clone();
    let talk = async {
        match version {
            Version::Http1 => http1(stream, context).await,
            Version::Http2 => http2::converse(stream, context).await,
        }
    };
    tokio::select! {
        ended = talk => ended,
        () = kill.cancelled() => Ok(()),
    }
}

async fn http1<S>(stream: S, context: Context) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stop = context.stop.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let context = context.clone();
        async move { Ok::<_, Infallible>(dispatch(context, request.map(Body::new)).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HANDSHAKE);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    ended.map_err(io::Error::other)
}
