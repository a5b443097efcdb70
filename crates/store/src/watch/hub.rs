use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::stream::{Stream, header};
use super::watcher::{Pending, Watcher};
use crate::mvcc::{Change, KeyRange, State};
use crate::proto::{WatchCreateRequest, WatchResponse};

/// Names a stream of a [`Hub`].
pub type StreamId = u64;

/// The id that etcd uses for "no watch in particular".
const NO_WATCH: i64 = -1;

/// What a stream may hold before its watchers lag.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Changes pending in one stream.
    pub events: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Changes of history looked at in one [`Hub::poll`].
    pub scan: usize,
    /// Bytes above which a response is split for watchers that asked for fragments.
    pub fragment: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { events: 4096, bytes: 4 << 20, scan: 8192, fragment: 2 << 20 }
    }
}

/// Outcome of [`Hub::poll`].
#[derive(Debug, PartialEq)]
pub enum Polled {
    /// The next response.
    Response(WatchResponse),
    /// History was read, nothing matched yet: poll again after letting others in.
    Again,
    /// Nothing to say; the stream is woken by the next change for it.
    Idle,
}

type WatcherRef = (StreamId, i64);

/// All watches. `W` is what wakes the reader of a stream.
#[derive(Debug)]
pub struct Hub<W> {
    streams: HashMap<StreamId, Stream<W>>,
    by_key: HashMap<Bytes, Vec<WatcherRef>>,
    by_range: BTreeMap<KeyRange, Vec<WatcherRef>>,
    published: i64,
    next_stream: StreamId,
    limits: Limits,
}

impl<W: Clone> Hub<W> {
    /// A hub for a store that stands at `published`.
    pub fn new(published: i64, limits: Limits) -> Self {
        Self {
            streams: HashMap::new(),
            by_key: HashMap::new(),
            by_range: BTreeMap::new(),
            published,
            next_stream: 0,
            limits,
        }
    }

    /// Opens a stream; `waker` comes back when it has something to say.
    pub fn open(&mut self, waker: W) -> StreamId {
        let id = self.next_stream;
        self.next_stream += 1;
        self.streams.insert(id, Stream::new(waker));
        id
    }

    /// Closes a stream and all its watches.
    pub fn close(&mut self, stream: StreamId) {
        let Some(closed) = self.streams.remove(&stream) else { return };
        for (id, watcher) in closed.watchers {
            self.unindex(&watcher.range, (stream, id));
        }
    }

    /// Number of watches.
    pub fn watchers(&self) -> usize {
        self.streams.values().map(|stream| stream.watchers.len()).sum()
    }

    /// Number of watches that are behind and read history.
    pub fn slow_watchers(&self) -> usize {
        self.streams.values().map(|stream| stream.lagging.len()).sum()
    }

    /// Number of changes that wait for readers.
    pub fn pending_events(&self) -> usize {
        self.streams.values().map(|stream| stream.events).sum()
    }

    /// Number of streams.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Creates a watch; the answer is the stream's next response.
    pub fn create(&mut self, stream_id: StreamId, request: &WatchCreateRequest) {
        let published = self.published;
        let Some(stream) = self.streams.get_mut(&stream_id) else { return };
        stream.idle = false;
        // An empty key means "from the first key on" here, as in etcd.
        let key = if request.key.is_empty() { Bytes::from_static(&[0]) } else { request.key.clone() };
        let range = KeyRange::new(&key, &request.range_end);
        let refusal = if request.start_revision < 0 {
            Some("etcdserver: mvcc: required revision has been compacted")
        } else if range.is_empty() {
            Some("mvcc: watcher range is empty")
        } else if request.watch_id != 0 && stream.watchers.contains_key(&request.watch_id) {
            Some("mvcc: duplicate watch ID provided on the WatchStream")
        } else {
            None
        };
        if let Some(reason) = refusal {
            stream.control.push_back(WatchResponse {
                header: header(published),
                watch_id: NO_WATCH,
                created: true,
                canceled: true,
                cancel_reason: reason.to_owned(),
                ..WatchResponse::default()
            });
            return;
        }
        let id = if request.watch_id != 0 { request.watch_id } else { stream.free_id() };
        let start = if request.start_revision > 0 { request.start_revision } else { published + 1 };
        let lagging = start <= published;
        if lagging {
            stream.lagging.push_back(id);
        }
        stream.watchers.insert(id, Watcher::new(request, range.clone(), start, lagging));
        stream.control.push_back(WatchResponse {
            header: header(published),
            watch_id: id,
            created: true,
            ..WatchResponse::default()
        });
        match &range {
            KeyRange::One(key) => self.by_key.entry(key.clone()).or_default().push((stream_id, id)),
            _ => self.by_range.entry(range).or_default().push((stream_id, id)),
        }
    }

    /// Cancels a watch; an unknown id is not answered, as in etcd.
    pub fn cancel(&mut self, stream_id: StreamId, id: i64) {
        let published = self.published;
        if !self.remove(stream_id, id) {
            return;
        }
        let Some(stream) = self.streams.get_mut(&stream_id) else { return };
        stream.idle = false;
        stream.control.push_back(WatchResponse {
            header: header(published),
            watch_id: id,
            canceled: true,
            ..WatchResponse::default()
        });
    }

    /// Asks for a progress response as soon as every watch of the stream has been given everything.
    pub fn request_progress(&mut self, stream: StreamId) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.progress_requested = true;
            stream.idle = false;
        }
    }

    /// The timer's tick: watches that asked for progress and have nothing pending are told the revision.
    pub fn tick(&mut self, wake: &mut Vec<W>) {
        let published = self.published;
        for stream in self.streams.values_mut() {
            if !stream.control.is_empty() {
                continue;
            }
            for (id, watcher) in &stream.watchers {
                let told_all = !watcher.lagging && watcher.pending.is_empty();
                if watcher.progress_notify && told_all && !watcher.is_ahead(published) {
                    stream.control.push_back(WatchResponse {
                        header: header(published),
                        watch_id: *id,
                        ..WatchResponse::default()
                    });
                }
            }
            if !stream.control.is_empty() {
                stream.wake(wake);
            }
        }
    }

    /// Hands durable changes, oldest first, to the watches that want them.
    pub fn publish(&mut self, changes: &[Change], wake: &mut Vec<W>) {
        let Self { streams, by_key, by_range, limits, .. } = self;
        for change in changes {
            let key = &change.record.key;
            if let Some(watchers) = by_key.get(key) {
                watchers.iter().for_each(|watcher| offer(streams, *watcher, change, limits, wake));
            }
            for (range, watchers) in by_range.iter() {
                if range.contains(key) {
                    watchers.iter().for_each(|watcher| offer(streams, *watcher, change, limits, wake));
                }
            }
        }
        if let Some(last) = changes.last() {
            self.published = last.record.mod_revision;
        }
    }

    /// Whether [`Hub::poll`] would read history. Lets the caller take the state's lock only when it must.
    pub fn needs_history(&self, stream: StreamId) -> bool {
        self.streams
            .get(&stream)
            .is_some_and(|s| s.control.is_empty() && s.ready.is_empty() && !s.lagging.is_empty())
    }

    /// The stream's next response. `state` may be ahead of what was published, never behind; it is looked at only
    /// if [`Hub::needs_history`].
    pub fn poll(&mut self, stream_id: StreamId, state: Option<&State>) -> Polled {
        let (published, limits) = (self.published, self.limits);
        let Some(stream) = self.streams.get_mut(&stream_id) else { return Polled::Idle };
        if let Some(response) = stream.control.pop_front() {
            return Polled::Response(response);
        }
        if let Some(response) = stream.next_ready(published, &limits) {
            return Polled::Response(response);
        }
        if let Some(&id) = stream.lagging.front() {
            let Some(state) = state else { return Polled::Again };
            if let Some(compact_revision) = stream.read_history(id, state, published, &limits) {
                self.remove(stream_id, id);
                // Without a revision, as in etcd: none was reached.
                return Polled::Response(WatchResponse {
                    header: header(0),
                    watch_id: id,
                    canceled: true,
                    compact_revision,
                    ..WatchResponse::default()
                });
            }
            return stream.next_ready(published, &limits).map_or(Polled::Again, Polled::Response);
        }
        let none_ahead = !stream.watchers.values().any(|watcher| watcher.is_ahead(published));
        if std::mem::take(&mut stream.progress_requested) && !stream.watchers.is_empty() && none_ahead {
            return Polled::Response(WatchResponse {
                header: header(published),
                watch_id: NO_WATCH,
                ..WatchResponse::default()
            });
        }
        stream.idle = true;
        Polled::Idle
    }

    fn remove(&mut self, stream_id: StreamId, id: i64) -> bool {
        let Some(stream) = self.streams.get_mut(&stream_id) else { return false };
        let Some(watcher) = stream.watchers.remove(&id) else { return false };
        stream.forget(&watcher.pending);
        stream.ready.retain(|ready| *ready != id);
        stream.lagging.retain(|lagging| *lagging != id);
        self.unindex(&watcher.range, (stream_id, id));
        true
    }

    fn unindex(&mut self, range: &KeyRange, watcher: WatcherRef) {
        let drop_from = |list: &mut Vec<WatcherRef>| {
            list.retain(|other| *other != watcher);
            list.is_empty()
        };
        match range {
            KeyRange::One(key) => {
                if self.by_key.get_mut(key).is_some_and(drop_from) {
                    self.by_key.remove(key);
                }
            }
            _ => {
                if self.by_range.get_mut(range).is_some_and(drop_from) {
                    self.by_range.remove(range);
                }
            }
        }
    }
}

/// Gives a change to one watcher, or notes that it lags from here on when its stream is full.
fn offer<W: Clone>(
    streams: &mut HashMap<StreamId, Stream<W>>,
    (stream_id, id): WatcherRef,
    change: &Change,
    limits: &Limits,
    wake: &mut Vec<W>,
) {
    let Some(stream) = streams.get_mut(&stream_id) else { return };
    let Some(watcher) = stream.watchers.get_mut(&id) else { return };
    if watcher.lagging || !watcher.wants(&change.record) {
        return;
    }
    // A revision is delivered whole, so only its first change may find the stream full.
    let begun = watcher.pending_revision() == Some(change.record.mod_revision);
    if !begun && (stream.events >= limits.events || stream.bytes >= limits.bytes) {
        watcher.lagging = true;
        watcher.next_revision = change.record.mod_revision;
        stream.lagging.push_back(id);
        return;
    }
    let pending = Pending {
        record: change.record.clone(),
        previous: if watcher.prev_kv { change.previous.clone() } else { None },
    };
    stream.events += 1;
    stream.bytes += pending.weight();
    if watcher.pending.is_empty() {
        stream.ready.push_back(id);
    }
    watcher.pending.push(pending);
    stream.wake(wake);
}
