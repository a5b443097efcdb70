use async_trait::async_trait;
use bytes::Bytes;
use walrus::{BlobId, Client, StoreOptions, WalrusError};

use super::{ColdError, ColdStore};

/// Pieces as blobs of Walrus; names are blob ids.
#[derive(Debug)]
pub struct WalrusStore {
    client: Client,
    options: StoreOptions,
}

impl WalrusStore {
    /// Stores over `client`, each piece for the epochs and lifetime of `options`.
    #[must_use]
    pub fn new(client: Client, options: StoreOptions) -> Self {
        Self { client, options }
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

    async fn put(&self, name: &str, piece: Bytes) -> Result<(), ColdError> {
        let stored = self.client.store(piece, &self.options).await?;
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
