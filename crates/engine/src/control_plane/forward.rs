use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::error::ControlPlaneError;

/// Connections at once; more wait.
const MAX_CONNECTIONS: usize = 16_384;
/// Pause after an accept that failed: mostly for want of descriptors, of which the next has none either.
const PAUSE: Duration = Duration::from_millis(100);

/// Passes connections on as they are, byte by byte. Dropping it ends them all.
pub(crate) struct Forward {
    accepting: JoinHandle<()>,
}

impl Forward {
    /// From `listen` to `to`.
    pub(crate) async fn start(listen: SocketAddr, to: SocketAddr) -> Result<Self, ControlPlaneError> {
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|source| ControlPlaneError::Listen { address: listen, source })?;
        Ok(Self { accepting: tokio::spawn(accept(listener, to)) })
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, to: SocketAddr) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Aborted with this task.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((client, _)) => {
                connections.spawn(async move {
                    let _permit = permit;
                    pass(client, to).await;
                });
            }
            Err(error) => {
                tracing::warn!("cannot accept a connection for {to}: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn pass(mut client: TcpStream, to: SocketAddr) {
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
    }
    if let Err(error) = copy_bidirectional(&mut client, &mut server).await {
        tracing::debug!("a connection to {to} ended: {error}");
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_is_said_arrives_and_its_end_ends_it() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        // Below the ports that the system gives to whoever asks, other tests too.
        let free = (22_000..30_000).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let free = free.into_iter().find(|free| std::net::TcpListener::bind(free).is_ok()).unwrap();
        let forward = Forward::start(free, server.local_addr().unwrap()).await.unwrap();
        let mut client = TcpStream::connect(free).await.unwrap();
        client.write_all(b"question").await.unwrap();
        let (mut served, _) = server.accept().await.unwrap();
        let mut bytes = [0; 8];
        served.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"question");
        served.write_all(b"answer").await.unwrap();
        let mut bytes = [0; 6];
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"answer");
        drop(forward);
        assert_eq!(client.read(&mut bytes).await.unwrap_or(0), 0, "the connection is over");
        assert!(Forward::start(server.local_addr().unwrap(), free).await.is_err());
    }
}
