use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::directory::write;
use super::{ColdError, ColdStore, KeepPolicy, Link, Piece};

/// The snapshots that are stored, oldest first, as a file of this machine. It is for convenience: the newest snapshot's
/// index says as much of its own chain.
#[derive(Debug)]
pub struct Catalog {
    path: PathBuf,
    entries: Vec<Entry>,
}

/// A stored snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Entry {
    /// The snapshot.
    pub link: Link,
    /// Those that it needs, the base first.
    pub chain: Vec<Link>,
    /// Its pieces but the last.
    pub pieces: Vec<Piece>,
    /// When all of it was stored again, in milliseconds since 1970; 0 for not yet.
    #[serde(default)]
    pub renewed_ms: u64,
}

impl Catalog {
    /// Reads the file; one that is not there is empty.
    ///
    /// # Errors
    /// [`ColdError::Io`], [`ColdError::Json`].
    pub fn open(path: PathBuf) -> Result<Self, ColdError> {
        let entries = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|source| ColdError::Json { path: path.clone(), source })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(ColdError::io("read", &path)(error)),
        };
        Ok(Self { path, entries })
    }

    /// All snapshots, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The newest snapshot.
    #[must_use]
    pub fn newest(&self) -> Option<&Entry> {
        self.entries.last()
    }

    /// Notes a snapshot; again changes nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn add(&mut self, entry: Entry) -> Result<(), ColdError> {
        if self.entries.iter().any(|known| known.link.last == entry.link.last) {
            return Ok(());
        }
        self.entries.push(entry);
        self.save()
    }

    /// Forgets and removes what `policy` does not keep. First from the catalogue, so that nothing is named that may be gone.
    /// Gives the snapshots that went.
    ///
    /// # Errors
    /// The file cannot be written; or pieces cannot be removed, which stay behind then.
    pub async fn prune(
        &mut self,
        policy: &KeepPolicy,
        store: &dyn ColdStore,
        now_ms: u64,
    ) -> Result<Vec<Entry>, ColdError> {
        let gone = policy.prune(&self.entries, now_ms);
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let removed: Vec<Entry> = gone.iter().map(|&i| self.entries[i].clone()).collect();
        self.entries.retain(|entry| !removed.contains(entry));
        self.save()?;
        for entry in &removed {
            for piece in entry.pieces.iter().chain([&entry.link.last]) {
                store.remove(&piece.name).await?;
            }
        }
        Ok(removed)
    }

    pub(super) fn renewed(&mut self, at: usize, now_ms: u64) -> Result<(), ColdError> {
        self.entries[at].renewed_ms = now_ms;
        self.save()
    }

    fn save(&self) -> Result<(), ColdError> {
        let text = serde_json::to_vec_pretty(&self.entries)
            .map_err(|source| ColdError::Json { path: self.path.clone(), source })?;
        write(&self.path, &text)
    }
}
