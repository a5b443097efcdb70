use std::sync::Arc;

use crate::mvcc::{KeyRange, Record};
use crate::proto::{Event, EventType, FilterType, WatchCreateRequest};

/// A change on its way to one watcher.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) record: Arc<Record>,
    pub(super) previous: Option<Arc<Record>>,
}

impl Pending {
    /// Bytes of the event on the wire, about.
    pub(super) fn weight(&self) -> usize {
        let size = |record: &Record| record.key.len() + record.value.len() + 48;
        size(&self.record) + self.previous.as_deref().map_or(0, size)
    }

    pub(super) fn into_event(self) -> Event {
        let kind = if self.record.is_tombstone() { EventType::Delete } else { EventType::Put };
        Event {
            r#type: kind as i32,
            kv: Some(self.record.to_kv(false)),
            prev_kv: self.previous.map(|previous| previous.to_kv(false)),
        }
    }
}

/// One watch of a stream.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) range: KeyRange,
    pub(super) prev_kv: bool,
    pub(super) progress_notify: bool,
    pub(super) fragment: bool,
    no_put: bool,
    no_delete: bool,
    /// Nothing older is delivered; while lagging, where history is read from.
    pub(super) next_revision: i64,
    pub(super) lagging: bool,
    pub(super) pending: Vec<Pending>,
}

impl Watcher {
    pub(super) fn new(
        request: &WatchCreateRequest,
        range: KeyRange,
        next_revision: i64,
        lagging: bool,
    ) -> Self {
        Self {
            range,
            prev_kv: request.prev_kv,
            progress_notify: request.progress_notify,
            fragment: request.fragment,
            no_put: request.filters.contains(&(FilterType::Noput as i32)),
            no_delete: request.filters.contains(&(FilterType::Nodelete as i32)),
            next_revision,
            lagging,
            pending: Vec::new(),
        }
    }

    /// Whether the watcher asked for changes like this one.
    pub(super) fn wants(&self, record: &Record) -> bool {
        record.mod_revision >= self.next_revision
            && !(if record.is_tombstone() { self.no_delete } else { self.no_put })
    }

    /// Whether it waits for a revision that is not there yet. It is told of no progress until then: etcd's client would go on from
    /// there after a broken connection, and be given what it did not ask for.
    pub(super) fn is_ahead(&self, published: i64) -> bool {
        self.next_revision > published.saturating_add(1)
    }

    /// Revision of the youngest pending change.
    pub(super) fn pending_revision(&self) -> Option<i64> {
        self.pending.last().map(|pending| pending.record.mod_revision)
    }
}
