//! What a copy elsewhere is made of: everything, or what changed since an earlier copy, at one revision.

use std::sync::Arc;

use crate::mvcc::{Image, ImageCursor, Record};
use crate::shared::Shared;
use crate::{EtcdError, Store};

/// The state at one revision, given out in portions while the store goes on working. As long as this lives nothing that
/// it needs is removed, so do not keep it longer than it takes to read it.
pub struct Extract {
    shared: Arc<Shared>,
    /// All of the state but its records.
    pub image: Image,
    source: Source,
}

enum Source {
    /// All versions of all keys, key by key.
    Everything(ImageCursor),
    /// What changed after this point, change by change: revision and place in it.
    Changes(i64, u32),
}

/// Keys or changes given out at a time; the state is locked for as long.
const PORTION: usize = 250;

impl Store {
    /// The state as it is now: all of it, or with `since` only the versions that are younger than that revision.
    ///
    /// # Errors
    /// [`EtcdError::Compacted`] when changes after `since` are gone, so that only everything will do;
    /// [`EtcdError::FutureRevision`] when there never was such a revision.
    pub fn extract(&self, since: Option<i64>) -> Result<Extract, EtcdError> {
        self.alive()?;
        let shared = self.shared().clone();
        let (image, source) = {
            let mut state = shared.state.write();
            if let Some(since) = since {
                if since > state.revision() {
                    return Err(EtcdError::FutureRevision);
                }
                if since.saturating_add(1) < state.kept_from() {
                    return Err(EtcdError::Compacted);
                }
            }
            let (image, cursor) = state.begin_image();
            (image, since.map_or(Source::Everything(cursor), |since| Source::Changes(since, u32::MAX)))
        };
        Ok(Extract { shared, image, source })
    }
}

impl Extract {
    /// The next records; `None` at the end. Everything comes in order of keys, changes come in order of revisions.
    pub fn portion(&mut self) -> Option<Vec<Arc<Record>>> {
        let state = self.shared.state.read();
        match &mut self.source {
            Source::Everything(cursor) => state.image_records(cursor, PORTION),
            Source::Changes(revision, sub) => {
                let after = (*revision, *sub);
                let portion: Vec<_> = state
                    .changes_since(*revision)
                    .skip_while(|record| record.order() <= after)
                    .take_while(|record| record.mod_revision <= self.image.revision)
                    .take(PORTION)
                    .cloned()
                    .collect();
                (*revision, *sub) = portion.last()?.order();
                Some(portion)
            }
        }
    }
}

impl Drop for Extract {
    fn drop(&mut self) {
        self.shared.state.write().end_image();
    }
}

impl std::fmt::Debug for Extract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extract").field("revision", &self.image.revision).finish_non_exhaustive()
    }
}
