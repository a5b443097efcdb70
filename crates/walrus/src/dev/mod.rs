//! A stand-in for publisher and aggregator on one machine: **simulated**. The API and the ids are Walrus's; behind them
//! is a directory instead of a hundred storage nodes, and nobody pays. Says so in its log and in every answer's headers.

mod routes;
mod shelf;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use shelf::Shelf;
pub use shelf::ShelfError;

use crate::encoding::Encoding;

/// How the stand-in is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where blobs are kept; made if it is not there.
    pub dir: PathBuf,
    /// The code by which ids are computed.
    pub encoding: Encoding,
    /// How long an epoch lasts; mainnet's have two weeks.
    pub epoch: Duration,
    /// The largest blob it takes, in bytes. Public services take 10 MiB.
    pub max_blob: usize,
}

impl Config {
    /// Mainnet's code, epochs of a day, blobs of up to 64 MiB.
    #[must_use]
    pub fn new(listen: SocketAddr, dir: PathBuf) -> Self {
        Self {
            listen,
            dir,
            encoding: Encoding::default(),
            epoch: Duration::from_secs(86_400),
            max_blob: 64 << 20,
        }
    }
}

/// A running stand-in.
#[derive(Debug)]
pub struct Dev {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevError {
    /// The directory.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The address.
    #[error("cannot listen on {0}: is something else there?")]
    Listen(SocketAddr, #[source] std::io::Error),
}

impl Dev {
    /// Opens the directory and serves it.
    ///
    /// # Errors
    /// [`DevError`]: a directory that cannot be used, an address that is taken.
    pub async fn start(config: Config) -> Result<Self, DevError> {
        let shelf = Shelf::open(config.dir.clone(), config.epoch, now_ms())?;
        let failed = |error| DevError::Listen(config.listen, error);
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let app = routes::routes(Arc::new(routes::Service::new(shelf, &config)));
        let task = tokio::spawn(async move {
            axum::serve(listener, app)
                .with_graceful_shutdown(async {
                    // An error means that the handle is gone, which is the same.
                    let _ = stopped.await;
                })
                .await
        });
        Ok(Self { address, stop, task })
    }

    /// Base URL, of publisher and aggregator both.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it when the requests under way have been answered.
    pub async fn shutdown(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
