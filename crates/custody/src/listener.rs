use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::error::Error;

const CONNECTIONS: usize = 256;
const HEADERS: Duration = Duration::from_secs(10);
const MAX_HEAD_BYTES: usize = 16 << 10;
/// One connection's whole life: these services answer one or two requests and are done.
const LIFE: Duration = Duration::from_secs(60);

/// A small HTTP/1.1 server whose costs are bounded: connections, headers, and the life of each connection.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// [`Error::Listen`].
    pub async fn bind(address: SocketAddr) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address, source };
        let inner = TcpListener::bind(address).await.map_err(listen)?;
        let address = inner.local_addr().map_err(listen)?;
        Ok(Self { inner, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let permit = tokio::select! {
                () = stop.cancelled() => return,
                permit = permits.clone().acquire_owned() => permit,
            };
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.inner.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                // Out of file descriptors, most likely: not faster than this.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let router = router.clone();
            tokio::spawn(async move {
                let _permit = permit;
                let service = service_fn(move |request: http::Request<Incoming>| {
                    let router = router.clone();
                    async move {
                        let answered = router.oneshot(request.map(Body::new)).await;
                        Ok::<_, Infallible>(answered.unwrap_or_else(|never| match never {}))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADERS)
                    .max_buf_size(MAX_HEAD_BYTES)
                    .serve_connection(TokioIo::new(stream), service);
                // However it ends, there is nobody to tell.
                let _ = tokio::time::timeout(LIFE, connection).await;
            });
        }
    }
}
