use std::collections::{BTreeMap, VecDeque};

use super::hub::Limits;
use super::watcher::{Pending, Watcher};
use crate::mvcc::State;
use crate::proto::{ResponseHeader, WatchResponse};

/// The watches of one client stream and what is on its way to them.
#[derive(Debug)]
pub(super) struct Stream<W> {
    waker: W,
    pub(super) idle: bool,
    pub(super) watchers: BTreeMap<i64, Watcher>,
    next_watch: i64,
    /// Answers that come before any events.
    pub(super) control: VecDeque<WatchResponse>,
    /// Watchers with pending changes.
    pub(super) ready: VecDeque<i64>,
    /// Watchers that read history.
    pub(super) lagging: VecDeque<i64>,
    pub(super) progress_requested: bool,
    pub(super) events: usize,
    pub(super) bytes: usize,
}

impl<W: Clone> Stream<W> {
    pub(super) fn new(waker: W) -> Self {
        Self {
            waker,
            idle: true,
            watchers: BTreeMap::new(),
            next_watch: 0,
            control: VecDeque::new(),
            ready: VecDeque::new(),
            lagging: VecDeque::new(),
            progress_requested: false,
            events: 0,
            bytes: 0,
        }
    }

    pub(super) fn wake(&mut self, wake: &mut Vec<W>) {
        if std::mem::take(&mut self.idle) {
            wake.push(self.waker.clone());
        }
    }

    pub(super) fn free_id(&mut self) -> i64 {
        while self.watchers.contains_key(&self.next_watch) {
            self.next_watch += 1;
        }
        self.next_watch += 1;
        self.next_watch - 1
    }

    pub(super) fn forget(&mut self, pending: &[Pending]) {
        self.events -= pending.len();
        self.bytes -= pending.iter().map(Pending::weight).sum::<usize>();
    }

    /// Everything pending for the next ready watcher; a part of it when it asked for fragments.
    pub(super) fn next_ready(&mut self, published: i64, limits: &Limits) -> Option<WatchResponse> {
        let id = self.ready.pop_front()?;
        let watcher = self.watchers.get_mut(&id)?;
        let mut pending = std::mem::take(&mut watcher.pending);
        if watcher.fragment {
            let mut bytes = 0;
            let fits = pending.iter().take_while(|p| {
                bytes += p.weight();
                bytes <= limits.fragment
            });
            let fits = fits.count().max(1);
            if fits < pending.len() {
                watcher.pending = pending.split_off(fits);
                self.ready.push_front(id);
            }
        }
        let last = pending.last().map_or(published, |pending| pending.record.mod_revision);
        let revision = if watcher.lagging { last } else { published };
        let fragment = !watcher.pending.is_empty();
        self.forget(&pending);
        Some(WatchResponse {
            header: header(revision),
            watch_id: id,
            fragment,
            events: pending.into_iter().map(Pending::into_event).collect(),
            ..WatchResponse::default()
        })
    }

    /// Moves the first lagging watcher on through history, not beyond what was published. The compact revision
    /// if history it needs is gone.
    pub(super) fn read_history(
        &mut self,
        id: i64,
        state: &State,
        published: i64,
        limits: &Limits,
    ) -> Option<i64> {
        self.lagging.rotate_left(1);
        let watcher = self.watchers.get_mut(&id)?;
        if watcher.next_revision < state.compact_revision() {
            return Some(state.compact_revision());
        }
        let from = watcher.next_revision;
        let (mut events, mut bytes) = (0, 0);
        let (mut reached, mut previous_revision) = (published + 1, from);
        for (scanned, record) in state.changes_since(from).enumerate() {
            if record.mod_revision > published {
                break;
            }
            let full = events >= limits.events || bytes >= limits.bytes || scanned >= limits.scan;
            // A revision is delivered whole.
            if full && record.mod_revision != previous_revision {
                reached = record.mod_revision;
                break;
            }
            previous_revision = record.mod_revision;
            if !watcher.range.contains(&record.key) || !watcher.wants(record) {
                continue;
            }
            // What a put creates had nothing before, even if the same revision ended an earlier life of the key.
            let asked = watcher.prev_kv && record.create_revision != record.mod_revision;
            let previous = if asked { state.before(&record.key, record.mod_revision) } else { None };
            let pending = Pending { record: record.clone(), previous };
            events += 1;
            bytes += pending.weight();
            watcher.pending.push(pending);
        }
        watcher.next_revision = reached;
        if reached > published {
            watcher.lagging = false;
            self.lagging.retain(|lagging| *lagging != id);
        }
        if events > 0 {
            self.events += events;
            self.bytes += bytes;
            self.ready.push_back(id);
        }
        None
    }
}

pub(super) fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}
