use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::{ClientOptions, ObjectStoreExt as _, RetryConfig};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::directory::digest_name;
use super::{ColdError, ColdStore};

/// An S3-compatible object store, by its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct S3Place {
    /// The bucket, which has to exist.
    pub bucket: String,
    /// What the objects' names begin with, before a slash; empty for nothing.
    #[serde(default)]
    pub prefix: String,
    /// The region, which is part of what is signed. Most servers that are not Amazon's take any.
    #[serde(default = "region")]
    pub region: String,
    /// Base URL of a server that is not Amazon's, asked in path style (`URL/BUCKET/OBJECT`).
    #[serde(default)]
    pub endpoint: Option<String>,
    /// A file of the form of `~/.aws/credentials`, of which `[default]` is read. Without one the environment says who asks, as
    /// for AWS's own tools (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, …), or the machine's role.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
}

/// Pieces as objects; names are SHA-256 in hexadecimal.
#[derive(Debug)]
pub struct S3Store {
    objects: AmazonS3,
    place: String,
    prefix: String,
}

/// How long one request may take; a piece has some 32 MiB.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Requests that fail are repeated so often and so long, then it is the caller's to come again.
const RETRIES: usize = 4;
const RETRY_FOR: Duration = Duration::from_secs(150);

fn region() -> String {
    "us-east-1".to_owned()
}

impl S3Store {
    /// Opens it; nothing is asked of it yet.
    ///
    /// # Errors
    /// [`ColdError::Io`], [`ColdError::Credentials`] for the file, [`ColdError::Objects`] for what cannot be used.
    pub fn open(config: &S3Place) -> Result<Self, ColdError> {
        let prefix = config.prefix.trim_matches('/').to_owned();
        let place = match &config.endpoint {
            Some(endpoint) => format!("{}/{}/{prefix}", endpoint.trim_end_matches('/'), config.bucket),
            None => format!("s3://{}/{prefix}", config.bucket),
        };
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: RETRY_FOR, ..RetryConfig::default() };
        let mut builder = match &config.credentials_file {
            Some(path) => credentials(path)?,
            None => AmazonS3Builder::from_env(),
        };
        // Plain HTTP is for who names it: pieces are sealed, and the key does not travel.
        let plain = config.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let objects = builder
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_checksum_algorithm(Checksum::SHA256)
            .with_retry(retry)
            .with_client_options(ClientOptions::new().with_allow_http(plain).with_timeout(TIMEOUT))
            .build()
            .map_err(failed(&place))?;
        Ok(Self { objects, place, prefix })
    }

    fn path(&self, name: &str) -> Result<object_store::path::Path, ColdError> {
        let file = format!("{}.piece", digest_name(name, &self.place)?);
        Ok([self.prefix.as_str(), &file]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/")
            .into())
    }

    fn missing(&self, name: &str) -> ColdError {
        ColdError::Missing { place: self.place.clone(), name: name.to_owned() }
    }
}

#[async_trait]
impl ColdStore for S3Store {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn name(&self, piece: &[u8]) -> Result<String, ColdError> {
        Ok(hex::encode(Sha256::digest(piece)))
    }

    async fn put(&self, name: &str, piece: Bytes) -> Result<(), ColdError> {
        self.objects.put(&self.path(name)?, piece.into()).await.map_err(failed(&self.place))?;
        Ok(())
    }

    async fn get(&self, name: &str, most: usize) -> Result<Bytes, ColdError> {
        let found = match self.objects.get(&self.path(name)?).await {
            Err(object_store::Error::NotFound { .. }) => return Err(self.missing(name)),
            other => other.map_err(failed(&self.place))?,
        };
        let mut bytes = BytesMut::new();
        let mut chunks = found.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(failed(&self.place))?;
            // What is too long is another piece, whatever follows.
            if bytes.len() + chunk.len() > most {
                return Err(ColdError::Exchanged(name.to_owned()));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    async fn remove(&self, name: &str) -> Result<(), ColdError> {
        match self.objects.delete(&self.path(name)?).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => other.map_err(failed(&self.place)),
        }
    }
}

/// Reads `[default]` of a file as AWS's tools write it.
fn credentials(path: &Path) -> Result<AmazonS3Builder, ColdError> {
    let text = fs::read_to_string(path).map_err(ColdError::io("read", path))?;
    let mut builder = AmazonS3Builder::new();
    let (mut key, mut secret) = (false, false);
    let mut section = "";
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').trim();
            continue;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| section == "default") else {
            continue;
        };
        builder = match name.trim() {
            "aws_access_key_id" => {
                key = true;
                builder.with_access_key_id(value.trim())
            }
            "aws_secret_access_key" => {
                secret = true;
                builder.with_secret_access_key(value.trim())
            }
            "aws_session_token" => builder.with_token(value.trim()),
            _ => builder,
        };
    }
    if key && secret { Ok(builder) } else { Err(ColdError::Credentials(path.to_owned())) }
}

fn failed(place: &str) -> impl Fn(object_store::Error) -> ColdError {
    let place = place.to_owned();
    move |source| ColdError::Objects { place: place.clone(), source: Box::new(source) }
}
