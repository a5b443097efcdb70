use std::time::Duration;

use super::{Catalog, ColdError, ColdStore, Entry};

/// What was stored again before its time was over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Snapshots.
    pub snapshots: usize,
    /// Their pieces, a blob each.
    pub pieces: usize,
}

/// A piece is what an index names, and never larger.
const MOST: usize = 256 << 20;

impl Catalog {
    /// Stores again what the place would keep for less than a quarter of its lifetime; on Walrus the publisher's contract call
    /// extends the blob. A place that keeps pieces until they are removed has nothing to do. Cut off anywhere, the next call
    /// goes on, and a piece that was renewed already costs nothing again.
    ///
    /// # Errors
    /// The first of the place's; what can be renewed is.
    pub async fn renew(&mut self, store: &dyn ColdStore, now_ms: u64) -> Result<Renewed, ColdError> {
        let mut renewed = Renewed::default();
        let Some(lifetime) = store.lifetime() else { return Ok(renewed) };
        let mut failed = None;
        for at in due(self.entries(), lifetime, now_ms) {
            match again(&self.entries()[at], store).await {
                Ok(pieces) => {
                    self.renewed(at, now_ms)?;
                    renewed.snapshots += 1;
                    renewed.pieces += pieces;
                }
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(renewed), Err)
    }
}

async fn again(entry: &Entry, store: &dyn ColdStore) -> Result<usize, ColdError> {
    for piece in entry.pieces.iter().chain([&entry.link.last]) {
        let most = usize::try_from(piece.bytes).unwrap_or(MOST).min(MOST);
        store.put(&piece.name, store.get(&piece.name, most).await?).await?;
    }
    Ok(entry.pieces.len() + 1)
}

/// The snapshots, as indexes, three quarters of whose time have passed.
fn due(entries: &[Entry], lifetime: Duration, now_ms: u64) -> Vec<usize> {
    let wait = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX) / 4 * 3;
    let stored = |entry: &Entry| entry.link.created_ms.max(entry.renewed_ms);
    (0..entries.len()).filter(|&i| stored(&entries[i]).saturating_add(wait) <= now_ms).collect()
}
