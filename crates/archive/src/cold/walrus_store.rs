use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use walrus::{BlobId, Client, StoreOptions, WalrusError};

use super::{ColdError, ColdStore};

/// Pieces as blobs of Walrus; names are blob ids.
#[derive(Debug)]
pub struct WalrusStore {
    client: Client,
    options: StoreOptions,
    epoch: Duration,
}

impl WalrusStore {
    /// Stores over `client`, each piece for the epochs and lifetime of `options`; an epoch lasts for `epoch`.
    #[must_use]
    pub fn new(client: Client, options: StoreOptions, epoch: Duration) -> Self {
        Self { client, options, epoch }
    }

    fn id(&self, name: &str) -> Result<BlobId, ColdError> {
        let wrong = |_| ColdError::Name { place: self.place(), name: name.chars().take(64).collect() };
        name.parse().map_err(wrong)
    }
}

#[async_trait]
impl ColdStore for WalrusStore {
    fn place(&self) -> String {
        "Walrus".to_owned()
    }

    fn name(&self, piece: &[u8]) -> Result<String, ColdError> {
        Ok(self.client.encoding().blob_id(piece).map_err(WalrusError::from)?.to_string())
    }

    /// The epoch in which a piece is stored counts, and may be about to end.
    fn lifetime(&self) -> Option<Duration> {
        Some(self.epoch.saturating_mul(self.options.epochs.saturating_sub(1)))
    }

    async fn put(&self, name: &str, piece: Bytes) -> Result<(), ColdError> {
        let stored = self.client.store(piece, &self.options).await?;
        let (frost, end_epoch) = (stored.cost, stored.end_epoch);
        tracing::info!(name, frost, end_epoch, publisher = stored.publisher, "stored on Walrus");
        if stored.id == self.id(name)? { Ok(()) } else { Err(ColdError::Exchanged(name.to_owned())) }
    }

    async fn get(&self, name: &str, most: usize) -> Result<Bytes, ColdError> {
        match self.client.read(&self.id(name)?, most).await {
            Err(WalrusError::NotFound(_)) => {
                Err(ColdError::Missing { place: self.place(), name: name.to_owned() })
            }
            other => Ok(other?),
        }
    }

    /// A permanent blob stays until its epochs have passed; nothing is to be done.
    async fn remove(&self, name: &str) -> Result<(), ColdError> {
        self.id(name).map(drop)
    }
}
