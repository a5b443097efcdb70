use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::ColdError;

/// Where pieces are kept. Names follow from content, so that storing twice is storing once.
#[async_trait]
pub trait ColdStore: Send + Sync {
    /// Where this is, for people. Never with a secret in it.
    fn place(&self) -> String;

    /// The name that `piece` has here. May take a second.
    ///
    /// # Errors
    /// The piece cannot be stored here.
    fn name(&self, piece: &[u8]) -> Result<String, ColdError>;

    /// How long a piece is kept at least after it was stored, or stored again; `None` where it stays until it is removed.
    fn lifetime(&self) -> Option<Duration> {
        None
    }

    /// Stores `piece` under `name`, which is its own; when this returns, it is kept.
    ///
    /// # Errors
    /// It may or may not be kept; storing again is harmless.
    async fn put(&self, name: &str, piece: Bytes) -> Result<(), ColdError>;

    /// The piece with this name, of at most `most` bytes.
    ///
    /// # Errors
    /// [`ColdError::Missing`], or what the place makes impossible.
    async fn get(&self, name: &str, most: usize) -> Result<Bytes, ColdError>;

    /// Removes the piece, or lets it end by itself where nothing can be removed. One that is not there is removed.
    ///
    /// # Errors
    /// What the place makes impossible.
    async fn remove(&self, name: &str) -> Result<(), ColdError>;
}
