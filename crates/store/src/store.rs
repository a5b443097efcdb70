use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use prost::Message;
use tokio::sync::watch;

use crate::anchor::AnchorPoint;
use crate::anchoring::Anchoring;
use crate::lease_clock::LeaseClock;
use crate::log::{Directory, Recovered, recover};
use crate::metrics::Metrics;
use crate::mvcc::{Command, Op, Reply};
use crate::proto::ResponseHeader;
use crate::queue::Queue;
use crate::seal::Keyring;
use crate::shared::{Keeper, Shared};
use crate::watch::{Hub, Limits};
use crate::watch_stream::WatchStream;
use crate::{Config, EtcdError, StoreError, committer, keeper};

/// An open store. Clones share it; it closes with [`Store::close`] or the last clone.
#[derive(Clone)]
pub struct Store {
    open: Arc<Open>,
}

struct Open {
    shared: Arc<Shared>,
    threads: Mutex<Option<[JoinHandle<()>; 2]>>,
}

/// What a store is like now; the facts behind etcd's `Status`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreStatus {
    /// Random name of this store.
    pub store_id: [u8; 16],
    /// Current revision.
    pub revision: i64,
    /// Revision below which history is gone.
    pub compact_revision: i64,
    /// Commands applied since the store was made.
    pub applied: u64,
    /// Durable records of the log since the store was made.
    pub sequence: u64,
    /// Bytes that count against the quota.
    pub used_bytes: u64,
    /// The quota.
    pub quota_bytes: u64,
    /// Bytes of log and snapshot on disk.
    pub disk_bytes: u64,
    /// Generation of the keys that new files get.
    pub key_epoch: u32,
    /// Whether `NOSPACE` is raised.
    pub full: bool,
    /// Keys that have any history, deleted ones too.
    pub keys: usize,
    /// Watches, over all streams.
    pub watchers: usize,
    /// Watches that are behind and read history.
    pub slow_watchers: usize,
    /// Events that wait for clients to take them.
    pub pending_events: usize,
    /// Watch streams.
    pub watch_streams: usize,
}

impl Store {
    /// Opens or makes the store in `config.data_dir`: reads and checks everything, and starts its two threads.
    ///
    /// Blocks while it reads; from async code call it in `spawn_blocking`.
    ///
    /// # Errors
    /// Whatever [`StoreError`] names; nothing on disk is changed then.
    pub fn open(config: Config) -> Result<Self, StoreError> {
        let started = Instant::now();
        let directory = Arc::new(Directory::open(config.disk.clone(), &config.data_dir)?);
        let keyring = Keyring::new(config.key.clone()).with_older(config.older_keys.iter().cloned());
        let Recovered { state, segments, inventory, identity, cut, older_root } = recover(
            &directory,
            &keyring,
            config.anchor.as_deref(),
            config.segment_bytes,
            config.min_key_epoch,
            config.held_history_bytes > 0,
        )?;
        if cut > 0 {
            tracing::warn!(bytes = cut, "cut a half-written record that was never acknowledged");
        }
        tracing::info!(
            revision = state.revision(),
            keys = state.live_keys(),
            millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "store opened"
        );
        let keeper = Keeper::default();
        if older_root {
            tracing::info!(
                "files are sealed under an older key: a snapshot under the new one is written now"
            );
            // Nobody waits for it, and the keeper says so when it fails.
            keeper.snapshots.lock().push(tokio::sync::oneshot::channel().0);
        }
        let leases = LeaseClock::start(state.leases(), 0);
        // As in etcd, a part of a response is as long as a request may be.
        let limits = Limits { fragment: config.limits.message_bytes(), ..Limits::default() };
        let shared = Arc::new(Shared {
            hub: Mutex::new(Hub::new(state.revision(), limits)),
            durable: Mutex::new((segments.position(), state.revision())),
            root: Mutex::default(),
            archiving: crate::archiving::Archiving::default(),
            anchoring: Anchoring::default(),
            scrubbed: watch::Sender::new(state.compact_revision()),
            state: RwLock::new(state),
            leases: Mutex::new(leases),
            queue: Queue::default(),
            disk_full: AtomicBool::new(false),
            failure: watch::Sender::new(None),
            keeper,
            metrics: Arc::new(Metrics::default()),
            started: Instant::now(),
            config,
            directory,
            identity,
            inventory,
        });
        let committer = spawn("store-log", {
            let shared = shared.clone();
            move || committer::run(&shared, segments)
        })?;
        let keeper = spawn("store-keeper", {
            let shared = shared.clone();
            move || keeper::run(&shared)
        })?;
        Ok(Self { open: Arc::new(Open { shared, threads: Mutex::new(Some([committer, keeper])) }) })
    }

    /// Takes no more, finishes what is waiting, moves the anchor, and lets the directory go. Blocks meanwhile.
    pub fn close(&self) {
        self.open.close();
    }

    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.shared().state.read().revision()
    }

    /// What the store is like now.
    pub fn status(&self) -> StoreStatus {
        let shared = self.shared();
        let (watchers, slow_watchers, pending_events, watch_streams) = {
            let hub = shared.hub.lock();
            (hub.watchers(), hub.slow_watchers(), hub.pending_events(), hub.streams())
        };
        let sequence = shared.durable.lock().0.sequence;
        let state = shared.state.read();
        StoreStatus {
            store_id: shared.identity.store_id,
            revision: state.revision(),
            compact_revision: state.compact_revision(),
            applied: state.applied(),
            sequence,
            used_bytes: state.weight(),
            quota_bytes: shared.config.quota(),
            disk_bytes: shared.inventory.disk_bytes(),
            key_epoch: shared.identity.epoch(),
            full: state.is_full(),
            keys: state.key_count(),
            watchers,
            slow_watchers,
            pending_events,
            watch_streams,
        }
    }

    /// The latest durable point of the log: what an [`Anchor`](crate::Anchor) elsewhere, on a chain for instance, is to
    /// hold. Points only grow.
    pub fn anchor_point(&self) -> AnchorPoint {
        let (position, revision) = *self.shared().durable.lock();
        let store_id = self.shared().identity.store_id;
        AnchorPoint { store_id, sequence: position.sequence, revision, chain: position.chain }
    }

    /// Why the store stopped, once it has; resolves never while it works.
    pub async fn failed(&self) -> String {
        let mut failure = self.shared().failure.subscribe();
        loop {
            if let Some(reason) = failure.borrow_and_update().clone() {
                return reason;
            }
            if failure.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A stream on which watches are created and their responses come.
    pub fn watch(&self) -> WatchStream {
        WatchStream::open(self.clone())
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.open.shared
    }

    /// etcd's ids, made from the store's own.
    pub(crate) fn ids(&self) -> (u64, u64) {
        self.shared().ids()
    }

    pub(crate) fn header(&self, revision: i64) -> ResponseHeader {
        let (cluster_id, member_id) = self.ids();
        ResponseHeader { cluster_id, member_id, revision, raft_term: RAFT_TERM }
    }

    pub(crate) fn fill(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
    }

    pub(crate) fn alive(&self) -> Result<(), EtcdError> {
        match self.shared().queue.ended() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(crate) async fn commit(&self, op: Op) -> Result<Reply, EtcdError> {
        let command = Command::from(op);
        let bytes = command.encoded_len();
        if bytes > self.shared().config.limits.request_bytes() {
            return Err(EtcdError::RequestTooLarge);
        }
        let answer = self.shared().queue.submit(command, bytes)?;
        let answer = answer.await.map_err(|_| EtcdError::Stopped)?;
        #[cfg(feature = "fault-injection")]
        let answer = answer.map(crate::fault::reply);
        answer
    }
}

/// One member, one term.
pub(crate) const RAFT_TERM: u64 = 1;

impl Open {
    fn close(&self) {
        self.shared.queue.close(EtcdError::Stopped);
        let threads = self.threads.lock().take();
        let Some([committer, keeper]) = threads else { return };
        // First the log, so that the keeper anchors its end.
        let ended = committer.join();
        self.shared.keeper.closing.store(true, Ordering::Release);
        self.shared.keeper.wake();
        if ended.is_err() || keeper.join().is_err() {
            tracing::error!("a thread of the store panicked");
        }
        self.shared.directory.release();
        self.shared.failure.send_if_modified(|failure| {
            failure.get_or_insert_with(|| "closed".to_owned());
            true
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("directory", &self.shared().directory.path()).finish_non_exhaustive()
    }
}

fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(StoreError::io("start thread", std::path::Path::new(name)))
}
