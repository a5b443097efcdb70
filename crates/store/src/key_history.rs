//! What the store has of one key's past, asked for or read from its files.

use std::sync::Arc;

use crate::log::{Directory, look};
use crate::mvcc::{AnchorNote, Record};
use crate::proto::{HistoryRequest, HistoryResponse};
use crate::seal::Keyring;
use crate::{Config, EtcdError, Store, StoreError};

/// The versions of one key that a store has, and which of its past that is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyHistory {
    /// Revision of the store.
    pub revision: i64,
    /// Its compact revision.
    pub compact_revision: i64,
    /// Every version from this revision on is there, within what was asked for; an older one may be.
    pub complete_from: i64,
    /// The newest first; deletions are versions too.
    pub versions: Vec<Record>,
    /// Points that were anchored, or were about to be.
    pub anchors: Vec<AnchorNote>,
    /// Whether the limit left older versions out.
    pub truncated: bool,
}

impl Store {
    /// A page of the versions of one key that are in memory.
    ///
    /// # Errors
    /// No key is named, or the store has stopped.
    pub fn key_history(&self, request: &HistoryRequest) -> Result<HistoryResponse, EtcdError> {
        self.alive()?;
        if request.key.is_empty() {
            return Err(EtcdError::EmptyKey);
        }
        Ok(self.shared().state.read().key_history(request))
    }
}

/// The same as [`crate::history`] from the files of a store that nobody has open; changes nothing there. Blocks, and needs the
/// memory of the state.
///
/// # Errors
/// The store is open, or does not open.
pub fn history_of_files(
    config: &Config,
    key: bytes::Bytes,
    (from, until): (i64, i64),
    limit: Option<usize>,
) -> Result<KeyHistory, StoreError> {
    let directory = Arc::new(Directory::open(config.disk.clone(), &config.data_dir)?);
    let keyring = Keyring::new(config.key.clone()).with_older(config.older_keys.iter().cloned());
    let state = look(&directory, &keyring, config.anchor.as_deref());
    directory.release();
    let state = state?;
    let most = limit.map_or(0, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let mut request = HistoryRequest { key, from, until, limit: most };
    let mut found = KeyHistory::default();
    while let Some(until) = found.page(state.key_history(&request), limit) {
        request.until = until;
    }
    Ok(found)
}

impl KeyHistory {
    /// Takes a page in; gives the last revision of the next one, if there is one that is wanted.
    pub(crate) fn page(&mut self, page: HistoryResponse, limit: Option<usize>) -> Option<i64> {
        self.revision = self.revision.max(page.revision);
        // What was removed while pages were asked for is not promised.
        self.complete_from = self.complete_from.max(page.kept_from);
        self.compact_revision = self.compact_revision.max(page.compact_revision);
        self.anchors = page.anchors;
        self.versions.extend(page.versions.into_iter().map(Record::from));
        let oldest = self.versions.last().filter(|_| page.more)?.mod_revision;
        if limit.is_some_and(|limit| self.versions.len() >= limit) {
            self.truncated = true;
            return None;
        }
        Some(oldest.saturating_sub(1)).filter(|until| *until > 0)
    }
}
