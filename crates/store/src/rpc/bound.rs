use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::{TcpListener, UnixListener, UnixStream};

use super::tls::Acceptor;
use crate::StoreError;
use crate::listen::Listener;

/// A listener that clients can connect to.
pub(super) enum Bound {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener, SocketAddr, Option<Arc<Acceptor>>),
}

/// Sockets on their way to the runtime that they will belong to.
pub(super) enum Accepted {
    Unix(std::os::unix::net::UnixStream),
    Tcp(std::net::TcpStream, Option<Arc<Acceptor>>),
}

impl Bound {
    pub(super) async fn new(listener: Listener) -> Result<Self, StoreError> {
        match listener {
            Listener::Unix(path) => {
                remove_stale(&path).await.map_err(StoreError::io("listen on", &path))?;
                let bound = UnixListener::bind(&path).and_then(|bound| {
                    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
                    Ok(bound)
                });
                Ok(Self::Unix(bound.map_err(StoreError::io("listen on", &path))?, path))
            }
            Listener::Tcp { addr, tls } => {
                let acceptor = tls.map(Acceptor::new).transpose()?.map(Arc::new);
                let place = PathBuf::from(addr.to_string());
                let bound = TcpListener::bind(addr).await.map_err(StoreError::io("listen on", &place))?;
                let addr = bound.local_addr().map_err(StoreError::io("listen on", &place))?;
                Ok(Self::Tcp(bound, addr, acceptor))
            }
        }
    }

    /// The URL that clients can use, with the port that the system chose.
    pub(super) fn url(&self) -> String {
        match self {
            Self::Unix(_, path) => format!("unix://{}", path.display()),
            Self::Tcp(_, addr, None) => format!("http://{addr}"),
            Self::Tcp(_, addr, Some(_)) => format!("https://{addr}"),
        }
    }

    /// The next client.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Unix(listener, _) => Ok(Accepted::Unix(listener.accept().await?.0.into_std()?)),
            Self::Tcp(listener, _, tls) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Accepted::Tcp(stream.into_std()?, tls.clone()))
            }
        }
    }
}

/// Removes a socket that nobody listens on any more; one that is in use stays, and binding fails.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        _ => Ok(()),
    }
}
