//! A running development chain: the node, its faucet and its server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sui_sdk_types::{Address, Digest, SignedTransaction};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::error::DevnetError;
use crate::faucet::{Faucet, FaucetError, Payment};
use crate::ledger::{Checkpoint, ExecutedTransaction, VerifiedTransaction};
use crate::node::{Node, SubmitError};
use crate::rpc;

/// How long a shutdown waits for requests that are under way; streams never end by themselves.
const GRACE: Duration = Duration::from_millis(500);

/// A development chain, served until it is shut down or dropped.
pub struct Devnet {
    node: Arc<Node>,
    faucet: Arc<Faucet>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Devnet {
    /// Opens or makes the chain and serves it. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When the framework, the journal or the address cannot be used.
    pub async fn start(config: Config) -> Result<Self, DevnetError> {
        let listen = config.listen;
        let refused = |source| DevnetError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let faucet_mist = config.faucet_mist;
        let node = tokio::task::spawn_blocking(move || Node::start(&config))
            .await
            .map_err(|_| DevnetError::Stopped)??;
        let faucet = Arc::new(Faucet::new(node.clone()));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = rpc::serve(node.clone(), faucet.clone(), faucet_mist, listener, async {
            let _ = stopped.await;
        });
        let server = tokio::spawn(async move {
            if let Err(error) = serving.await {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the development chain's server ended");
            }
        });
        tracing::info!(
            %address,
            chain_id = %node.ledger().chain_id(),
            "serving a development chain: one process, not a validator, money without value"
        );
        Ok(Self { node, faucet, address, stop: Some(stop), server })
    }

    /// The URL to give to `sui_rpc::Client::new`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where the chain is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The digest of the first checkpoint.
    pub fn chain_id(&self) -> Digest {
        self.node.ledger().chain_id()
    }

    /// Sends `mist` MIST in one new coin to `recipient`.
    ///
    /// # Errors
    ///
    /// [`FaucetError`].
    pub async fn faucet(&self, recipient: Address, mist: u64) -> Result<Payment, FaucetError> {
        self.faucet.pay(recipient, mist).await
    }

    /// Verifies and executes a transaction without going through gRPC.
    ///
    /// # Errors
    ///
    /// [`SubmitError`] when it is refused; a transaction that fails has effects that say so.
    pub async fn execute(
        &self,
        transaction: SignedTransaction,
    ) -> Result<Arc<ExecutedTransaction>, SubmitError> {
        self.node.submit(VerifiedTransaction::verify(transaction)?).await
    }

    /// The node behind the server.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Pushes the chain's time forward and makes a checkpoint at the new time.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Stopped`].
    pub async fn advance_clock(&self, by: Duration) -> Result<Arc<Checkpoint>, SubmitError> {
        self.node.clock().advance(by);
        self.node.checkpoint().await
    }

    /// Ends the epoch with a checkpoint: transactions after it belong to the next.
    ///
    /// # Errors
    ///
    /// [`SubmitError::Stopped`].
    pub async fn advance_epoch(&self) -> Result<Arc<Checkpoint>, SubmitError> {
        self.node.end_epoch().await
    }

    /// Writes the chain as it is into `dir`, which must not hold a chain. A chain that is started
    /// with [`Config::with_dir`] on it goes on from there; the two have the same identifier.
    ///
    /// # Errors
    ///
    /// When the directory holds a chain already or cannot be written.
    pub async fn snapshot(&self, dir: &Path) -> Result<(), DevnetError> {
        let (node, dir) = (self.node.clone(), dir.to_owned());
        tokio::task::spawn_blocking(move || node.snapshot(&dir)).await.map_err(|_| DevnetError::Stopped)?
    }

    /// Stops serving and executing. The journal is closed when this returns.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.node.stop().await;
        let server = &mut self.server;
        if tokio::time::timeout(GRACE, server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        self.server.abort();
    }
}
