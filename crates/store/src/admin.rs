//! Asking a running store, from another process, for what etcd's API has no words for.

use std::path::PathBuf;

use bytes::Bytes;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::proto::{
    AnchorNowRequest, AnchorNowResponse, CopyNowRequest, CopyNowResponse, ProveRequest, ProveResponse,
    RotateKeyRequest, RotateKeyResponse,
};
use crate::root::Proof;

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
    let answer: RotateKeyResponse = call(url, "RotateKey", RotateKeyRequest {}).await?;
    Ok(answer.key_epoch)
}

/// Asks the store that serves at `url` for the proof of a key at a revision, 0 being the latest that is anchored; gives
/// it with the value, when the key exists. The proof is not checked.
///
/// # Errors
/// The store is not reached, refuses, or its answer is no proof.
pub async fn prove(url: &str, key: Bytes, revision: i64) -> Result<(Proof, Option<Bytes>), AdminError> {
    let mut answer: ProveResponse = call(url, "Prove", ProveRequest { key, revision }).await?;
    let value = answer.leaf.as_ref().map(|_| std::mem::take(&mut answer.value));
    let proof = Proof::try_from(answer).map_err(|what| AdminError::Refused(what.to_owned()))?;
    Ok((proof, value))
}

/// Has the store that serves at `url` anchored now; tells up to which revision it is.
///
/// # Errors
/// The store is not reached, or nobody anchors it, or posting failed.
pub async fn anchor(url: &str) -> Result<i64, AdminError> {
    let answer: AnchorNowResponse = call(url, "Anchor", AnchorNowRequest {}).await?;
    Ok(answer.revision)
}

/// Has a copy of the store that serves at `url` taken elsewhere now; gives its name there.
///
/// # Errors
/// The store is not reached, or nobody takes copies of it, or it failed.
pub async fn copy(url: &str) -> Result<String, AdminError> {
    let answer: CopyNowResponse = call(url, "Copy", CopyNowRequest {}).await?;
    Ok(answer.name)
}

async fn call<Q, A>(url: &str, method: &'static str, request: Q) -> Result<A, AdminError>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(connect(url).await?);
    let refused = |status: Status| AdminError::Refused(status.message().to_owned());
    grpc.ready().await.map_err(|error| refused(Status::new(Code::Unavailable, error.to_string())))?;
    let path = PathAndQuery::try_from(format!("/k3s_daas.store.v1.Admin/{method}"))
        .map_err(|error| AdminError::Refused(error.to_string()))?;
    let answer = grpc.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await;
    Ok(answer.map_err(refused)?.into_inner())
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
