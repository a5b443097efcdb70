//! Asking a running store, from another process, for what etcd's API has no words for.

use std::path::PathBuf;

use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::proto::{RotateKeyRequest, RotateKeyResponse};

/// Why a running store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Not the address of a store that can be reached without certificates.
    #[error("{0:?}: expected unix:///PATH or http://ADDRESS:PORT of a running store")]
    BadUrl(String),
    /// Nobody answers.
    #[error("no store answers at {url}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why not.
        source: tonic::transport::Error,
    },
    /// It answered with a refusal.
    #[error("the store refused: {0}")]
    Refused(String),
}

/// Begins a new generation of keys in the store that serves at `url` (`unix:///PATH` or `http://ADDRESS:PORT`); tells its
/// number. When this returns, no file under an older generation is left.
///
/// # Errors
/// The store is not reached, or refuses.
pub async fn rotate_key(url: &str) -> Result<u32, AdminError> {
    let mut grpc = Grpc::new(connect(url).await?);
    let refused = |status: Status| AdminError::Refused(status.message().to_owned());
    grpc.ready().await.map_err(|error| refused(Status::new(Code::Unavailable, error.to_string())))?;
    let path = PathAndQuery::from_static("/k3s_daas.store.v1.Admin/RotateKey");
    let codec = ProstCodec::<RotateKeyRequest, RotateKeyResponse>::default();
    let answer = grpc.unary(Request::new(RotateKeyRequest {}), path, codec).await.map_err(refused)?;
    Ok(answer.into_inner().key_epoch)
}

async fn connect(url: &str) -> Result<Channel, AdminError> {
    let unreachable = |source| AdminError::Unreachable { url: url.to_owned(), source };
    if let Some(path) = url.strip_prefix("unix://") {
        let path = PathBuf::from(path);
        let connector = tower::service_fn(move |_: http::Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://localhost");
        return endpoint.connect_with_connector(connector).await.map_err(unreachable);
    }
    if !url.starts_with("http://") {
        return Err(AdminError::BadUrl(url.to_owned()));
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| AdminError::BadUrl(url.to_owned()))?;
    endpoint.connect().await.map_err(unreachable)
}
