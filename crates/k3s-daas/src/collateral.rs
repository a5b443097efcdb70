//! Fetches what `tee` asks for from platforms' makers, or from services that cache it, and keeps it on disk until it expires.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tee::{Collateral, CollateralRequest, CollateralResponse, Evidence, Maker, TeeError};

use crate::state_dir::write_file;

/// The largest document: AMD's longest list is 50 KiB.
const MAX_DOCUMENT: usize = 1 << 20;
/// The largest file of the cache: bytes as JSON numbers take up to four characters each.
const MAX_FILE: u64 = 8 << 20;
const CONNECT: Duration = Duration::from_secs(5);
const TOTAL: Duration = Duration::from_secs(20);

/// Why collateral could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollateralError {
    /// No address had the document.
    #[error("{url} has no such document (HTTP status {status})")]
    Status { url: String, status: u16 },
    /// The service did not answer.
    #[error("cannot fetch {url}: give --collateral or --certs, or a service that can be reached from here")]
    Transport { url: String, source: reqwest::Error },
    /// More than [`MAX_DOCUMENT`].
    #[error("{url} sends more than {MAX_DOCUMENT} bytes")]
    TooLarge { url: String },
    /// Evidence or answers that cannot be read.
    #[error(transparent)]
    Tee(#[from] TeeError),
}

/// Where documents come from.
pub(crate) trait Source {
    /// The document at one of the request's addresses, the first that has it.
    async fn fetch(&self, request: &CollateralRequest) -> Result<CollateralResponse, CollateralError>;
}

/// Everything that it takes to verify `evidence`.
pub(crate) async fn collect(
    source: &impl Source,
    evidence: &Evidence,
) -> Result<Collateral, CollateralError> {
    let mut answers = Vec::new();
    for request in tee::collateral_requests(evidence)? {
        let response = source.fetch(&request).await?;
        answers.push((request, response));
    }
    Ok(tee::assemble_collateral(&answers)?)
}

/// The makers' services, or others with the same paths.
pub(crate) struct Http {
    client: reqwest::Client,
    intel: String,
    amd: String,
}

impl Http {
    pub(crate) fn new(intel: &str, amd: &str) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder().connect_timeout(CONNECT).timeout(TOTAL).build()?;
        Ok(Self { client, intel: intel.to_owned(), amd: amd.to_owned() })
    }

    fn urls(&self, request: &CollateralRequest) -> Vec<String> {
        match request.maker() {
            Maker::Intel => request.urls(&self.intel),
            Maker::Amd => request.urls(&self.amd),
        }
    }

    async fn get(&self, url: &str, headers: &[&str]) -> Result<CollateralResponse, CollateralError> {
        let failed = |source: reqwest::Error| CollateralError::Transport {
            url: url.to_owned(),
            source: source.without_url(),
        };
        let mut response = self.client.get(url).send().await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(CollateralError::Status { url: url.to_owned(), status: response.status().as_u16() });
        }
        let chain =
            headers.iter().find_map(|name| response.headers().get(*name)?.to_str().ok().map(str::to_owned));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_DOCUMENT {
                return Err(CollateralError::TooLarge { url: url.to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(CollateralResponse { body, issuer_chain: chain })
    }
}

impl Source for Http {
    async fn fetch(&self, request: &CollateralRequest) -> Result<CollateralResponse, CollateralError> {
        let mut missing = None;
        for url in self.urls(request) {
            match self.get(&url, request.issuer_chain_headers()).await {
                Err(error @ CollateralError::Status { status: 404, .. }) => missing = Some(error),
                other => return other,
            }
        }
        Err(missing.unwrap_or_else(|| CollateralError::Status { url: String::new(), status: 404 }))
    }
}

/// Keeps what another source gave in a directory, one file per document, until the document itself says that it ends.
pub(crate) struct Cached<S> {
    source: S,
    dir: PathBuf,
    /// Unix seconds.
    now: i64,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    body: Vec<u8>,
    issuer_chain: Option<String>,
}

impl<S: Source> Cached<S> {
    pub(crate) fn new(source: S, dir: PathBuf, now: i64) -> Self {
        Self { source, dir, now }
    }

    /// The cached document, when it has not expired. Whether it is genuine is seen at verification.
    fn read(&self, path: &Path, request: &CollateralRequest) -> Option<CollateralResponse> {
        if std::fs::metadata(path).ok()?.len() > MAX_FILE {
            return None;
        }
        let entry: Entry = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        let response = CollateralResponse { body: entry.body, issuer_chain: entry.issuer_chain };
        (request.valid_until(&response)? > self.now).then_some(response)
    }
}

impl<S: Source> Source for Cached<S> {
    async fn fetch(&self, request: &CollateralRequest) -> Result<CollateralResponse, CollateralError> {
        let name = Sha256::digest(request.urls("").join("\n"));
        let path = self.dir.join(format!("{}.json", hex::encode(name)));
        if let Some(response) = self.read(&path, request) {
            return Ok(response);
        }
        let response = self.source.fetch(request).await?;
        if request.valid_until(&response).is_some_and(|until| until > self.now) {
            let entry = Entry { body: response.body.clone(), issuer_chain: response.issuer_chain.clone() };
            let written = serde_json::to_vec(&entry).map_err(std::io::Error::other);
            if let Err(error) = written.and_then(|bytes| write_file(&path, &bytes)) {
                tracing::warn!(path = %path.display(), %error, "collateral is not kept for the next time");
            }
        }
        Ok(response)
    }
}
