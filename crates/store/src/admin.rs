//! Asking a running store, from another process, for what etcd's API has no words for.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::key_history::KeyHistory;
use crate::proto::{
    AnchorNowRequest, AnchorNowResponse, CopyNowRequest, CopyNowResponse, HistoryRequest, HistoryResponse,
    ProveRequest, ProveResponse, RotateKeyRequest, RotateKeyResponse,
};
use crate::root::Proof;

/// The largest answer, bytes: one version of the largest value, on top of a page.
const MAX_ANSWER: usize = 64 << 20;

/// Why a running store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// Not the address of a store.
    #[error("{0:?}: expected unix:///PATH, http://ADDRESS:PORT or https://ADDRESS:PORT of a running store")]
    BadUrl(String),
    /// A store behind TLS takes no one without a certificate.
    #[error("{0:?}: https needs --cacert, --cert and --key, as with etcdctl")]
    NoCertificates(String),
    /// A file of certificates or keys cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
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

/// What a store behind TLS is asked with: PEM files, named as `etcdctl` names its flags.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    /// CA that the store's certificate is signed by.
    pub cacert: PathBuf,
    /// The client's certificate.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Begins a new generation of keys in the store that serves at `url` (`unix:///PATH`, `http://ADDRESS:PORT`, or
/// `https://ADDRESS:PORT` with `files`; so for all of these calls); tells its number. When this returns, no file under an older generation is left.
///
/// # Errors
/// The store is not reached, or refuses; a file cannot be read.
pub async fn rotate_key(url: &str, files: Option<&ClientFiles>) -> Result<u32, AdminError> {
    let answer: RotateKeyResponse = call(url, files, "RotateKey", RotateKeyRequest {}).await?;
    Ok(answer.key_epoch)
}

/// Asks the store that serves at `url` for the proof of a key at a revision, 0 being the latest that is anchored; gives
/// it with the value, when the key exists. The proof is not checked.
///
/// # Errors
/// The store is not reached, refuses, or its answer is no proof.
pub async fn prove(
    url: &str,
    files: Option<&ClientFiles>,
    key: Bytes,
    revision: i64,
) -> Result<(Proof, Option<Bytes>), AdminError> {
    let mut answer: ProveResponse = call(url, files, "Prove", ProveRequest { key, revision }).await?;
    let value = answer.leaf.as_ref().map(|_| std::mem::take(&mut answer.value));
    let proof = Proof::try_from(answer).map_err(|what| AdminError::Refused(what.to_owned()))?;
    Ok((proof, value))
}

/// Asks the store that serves at `url` for the versions of a key that it has in memory, between two revisions (0: no bound) and
/// of at most `limit` revisions, the newest first.
///
/// # Errors
/// The store is not reached, or refuses.
pub async fn history(
    url: &str,
    files: Option<&ClientFiles>,
    key: Bytes,
    (from, until): (i64, i64),
    limit: Option<usize>,
) -> Result<KeyHistory, AdminError> {
    let most = limit.map_or(0, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let mut request = HistoryRequest { key, from, until, limit: most };
    let mut found = KeyHistory::default();
    loop {
        let answer: HistoryResponse = call(url, files, "History", request.clone()).await?;
        let Some(until) = found.page(answer, limit) else { return Ok(found) };
        request.until = until;
    }
}

/// Has the store that serves at `url` anchored now; tells up to which revision it is.
///
/// # Errors
/// The store is not reached, or nobody anchors it, or posting failed.
pub async fn anchor(url: &str, files: Option<&ClientFiles>) -> Result<i64, AdminError> {
    let answer: AnchorNowResponse = call(url, files, "Anchor", AnchorNowRequest {}).await?;
    Ok(answer.revision)
}

/// Has a copy of the store that serves at `url` taken elsewhere now; gives its name there.
///
/// # Errors
/// The store is not reached, or nobody takes copies of it, or it failed.
pub async fn copy(url: &str, files: Option<&ClientFiles>) -> Result<String, AdminError> {
    let answer: CopyNowResponse = call(url, files, "Copy", CopyNowRequest {}).await?;
    Ok(answer.name)
}

async fn call<Q, A>(
    url: &str,
    files: Option<&ClientFiles>,
    method: &'static str,
    request: Q,
) -> Result<A, AdminError>
where
    Q: prost::Message + 'static,
    A: prost::Message + Default + 'static,
{
    let mut grpc = Grpc::new(connect(url, files).await?).max_decoding_message_size(MAX_ANSWER);
    let refused = |status: Status| AdminError::Refused(status.message().to_owned());
    grpc.ready().await.map_err(|error| refused(Status::new(Code::Unavailable, error.to_string())))?;
    let path = PathAndQuery::try_from(format!("/k3s_daas.store.v1.Admin/{method}"))
        .map_err(|error| AdminError::Refused(error.to_string()))?;
    let answer = grpc.unary(Request::new(request), path, ProstCodec::<Q, A>::default()).await;
    Ok(answer.map_err(refused)?.into_inner())
}

async fn connect(url: &str, files: Option<&ClientFiles>) -> Result<Channel, AdminError> {
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
    let bad = || AdminError::BadUrl(url.to_owned());
    let mut endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| bad())?;
    if url.starts_with("https://") {
        let files = files.ok_or_else(|| AdminError::NoCertificates(url.to_owned()))?;
        let identity = Identity::from_pem(read(&files.cert)?, read(&files.key)?);
        let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&files.cacert)?));
        endpoint = endpoint.tls_config(config.identity(identity)).map_err(unreachable)?;
    } else if !url.starts_with("http://") {
        return Err(bad());
    }
    endpoint.connect().await.map_err(unreachable)
}

fn read(path: &Path) -> Result<Vec<u8>, AdminError> {
    std::fs::read(path).map_err(|source| AdminError::File { path: path.to_owned(), source })
}
