use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use prost::Message;
use tokio::sync::{oneshot, watch};

use crate::committer::{self, describe};
use crate::keeper;
use crate::lease_clock::LeaseClock;
use crate::log::{Directory, Recovered, recover};
use crate::mvcc::{self, Command, Op, Reply};
use crate::proto::{
    AlarmAction, AlarmRequest, AlarmResponse, AlarmType, CompactionRequest, CompactionResponse,
    DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, Request, ResponseHeader, TxnRequest, TxnResponse,
};
use crate::queue::Queue;
use crate::seal::Keyring;
use crate::shared::{Keeper, Shared};
use crate::watch::{Hub, Limits};
use crate::watch_stream::WatchStream;
use crate::{Config, EtcdError, StoreError};

/// etcd's `--max-request-bytes`.
pub(crate) const MAX_REQUEST_BYTES: usize = 1_572_864;

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
    /// Whether `NOSPACE` is raised.
    pub full: bool,
    /// Watches, over all streams.
    pub watchers: usize,
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
        let directory = Arc::new(Directory::open(&config.data_dir)?);
        let keyring = Keyring::new(config.key.clone());
        let Recovered { state, segments, inventory, identity, cut } =
            recover(&directory, &keyring, config.anchor.as_deref(), config.segment_bytes)?;
        if cut > 0 {
            tracing::warn!(bytes = cut, "cut a half-written record that was never acknowledged");
        }
        tracing::info!(
            revision = state.revision(),
            keys = state.live_keys(),
            millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            "store opened"
        );
        let mut leases = LeaseClock::default();
        for (id, ttl) in state.leases() {
            leases.grant(id, ttl, 0);
        }
        let shared = Arc::new(Shared {
            hub: Mutex::new(Hub::new(state.revision(), Limits::default())),
            durable: Mutex::new((segments.position(), state.revision())),
            scrubbed: watch::Sender::new(state.compact_revision()),
            state: RwLock::new(state),
            leases: Mutex::new(leases),
            queue: Queue::default(),
            failure: watch::Sender::new(None),
            keeper: Keeper::default(),
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
        let (watchers, watch_streams) = {
            let hub = shared.hub.lock();
            (hub.watchers(), hub.streams())
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
            full: state.is_full(),
            watchers,
            watch_streams,
        }
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

    /// Keys of a range, now or at a revision. Linearizable: it sees every answered write, and only durable ones.
    ///
    /// # Errors
    /// etcd's refusals.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, EtcdError> {
        mvcc::check_range(request)?;
        self.alive()?;
        let mut response = self.shared().state.read().range(request)?;
        self.fill(&mut response.header);
        Ok(response)
    }

    /// Puts one key; durable when it returns.
    ///
    /// # Errors
    /// etcd's refusals.
    pub async fn put(&self, request: PutRequest) -> Result<PutResponse, EtcdError> {
        mvcc::check_put(&request)?;
        self.make_room().await?;
        match self.commit(Op::Put(request)).await? {
            Reply::Put(mut response) => {
                self.fill(&mut response.header);
                Ok(response)
            }
            other => Err(mismatch(&other)),
        }
    }

    /// Deletes keys; durable when it returns.
    ///
    /// # Errors
    /// etcd's refusals.
    pub async fn delete_range(&self, request: DeleteRangeRequest) -> Result<DeleteRangeResponse, EtcdError> {
        mvcc::check_delete(&request)?;
        match self.commit(Op::DeleteRange(request)).await? {
            Reply::DeleteRange(mut response) => {
                self.fill(&mut response.header);
                Ok(response)
            }
            other => Err(mismatch(&other)),
        }
    }

    /// Compares, then does one of two lists, all at one revision; durable when it returns.
    ///
    /// # Errors
    /// etcd's refusals.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, EtcdError> {
        mvcc::check_txn(&request)?;
        let (writes, puts) = effects(&request);
        if !writes {
            self.alive()?;
            let mut response = self.shared().state.read().read_txn(&request)?;
            self.fill(&mut response.header);
            return Ok(response);
        }
        if puts {
            self.make_room().await?;
        }
        match self.commit(Op::Txn(request)).await? {
            Reply::Txn(mut response) => {
                self.fill(&mut response.header);
                Ok(response)
            }
            other => Err(mismatch(&other)),
        }
    }

    /// Forgets history below a revision; with `physical` it is removed when this returns.
    ///
    /// # Errors
    /// etcd's refusals.
    pub async fn compact(&self, request: CompactionRequest) -> Result<CompactionResponse, EtcdError> {
        let mut scrubbed = self.shared().scrubbed.subscribe();
        match self.commit(Op::Compact(request)).await? {
            Reply::Compact(mut response) => {
                if request.physical {
                    tokio::select! {
                        _done = scrubbed.wait_for(|revision| *revision >= request.revision) => {}
                        _reason = self.failed() => return Err(EtcdError::Stopped),
                    }
                }
                self.fill(&mut response.header);
                Ok(response)
            }
            other => Err(mismatch(&other)),
        }
    }

    /// Makes a lease; id 0 lets the store choose.
    ///
    /// # Errors
    /// etcd's refusals.
    pub async fn lease_grant(&self, mut request: LeaseGrantRequest) -> Result<LeaseGrantResponse, EtcdError> {
        mvcc::check_lease_grant(&request)?;
        self.make_room().await?;
        while request.id == 0 {
            request.id = rand::random::<i64>() & i64::MAX;
        }
        match self.commit(Op::LeaseGrant(request)).await? {
            Reply::LeaseGrant(mut response) => {
                self.fill(&mut response.header);
                Ok(response)
            }
            other => Err(mismatch(&other)),
        }
    }

    /// Ends a lease and deletes its keys.
    ///
    /// # Errors
    /// etcd's refusals.
    pub async fn lease_revoke(&self, request: LeaseRevokeRequest) -> Result<LeaseRevokeResponse, EtcdError> {
        match self.commit(Op::LeaseRevoke(request)).await? {
            Reply::LeaseRevoke(mut response) => {
                self.fill(&mut response.header);
                Ok(response)
            }
            other => Err(mismatch(&other)),
        }
    }

    /// Starts a lease's time again; a TTL of 0 in the answer says that it is gone, as in etcd.
    pub fn lease_keep_alive(&self, id: i64) -> LeaseKeepAliveResponse {
        let now = self.shared().now();
        let ttl = self.shared().leases.lock().renew(id, now).unwrap_or(0);
        LeaseKeepAliveResponse { header: Some(self.header(self.revision())), id, ttl }
    }

    /// Time a lease still has; -1 when there is no such lease, as in etcd.
    pub fn lease_time_to_live(&self, request: LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse {
        let now = self.shared().now();
        let state = self.shared().state.read();
        let header = Some(self.header(state.revision()));
        let Some(granted_ttl) = state.lease_ttl(request.id) else {
            return LeaseTimeToLiveResponse {
                header,
                id: request.id,
                ttl: -1,
                ..LeaseTimeToLiveResponse::default()
            };
        };
        let ttl = self.shared().leases.lock().remaining(request.id, now).unwrap_or(0);
        let keys = if request.keys { state.lease_keys(request.id) } else { Vec::new() };
        LeaseTimeToLiveResponse { header, id: request.id, ttl, granted_ttl, keys }
    }

    /// Ids of all leases.
    pub fn leases(&self) -> Vec<i64> {
        self.shared().state.read().leases().map(|(id, _)| id).collect()
    }

    /// Reads, raises or disarms alarms.
    ///
    /// # Errors
    /// The store has stopped.
    pub async fn alarm(&self, request: AlarmRequest) -> Result<AlarmResponse, EtcdError> {
        if request.action == AlarmAction::Get as i32 {
            let state = self.shared().state.read();
            let wanted = |alarm: i32| request.alarm == AlarmType::None as i32 || request.alarm == alarm;
            let alarms = state.alarms().filter(|alarm| wanted(alarm.alarm)).collect();
            return Ok(AlarmResponse { header: Some(self.header(state.revision())), alarms });
        }
        match self.commit(Op::Alarm(request)).await? {
            Reply::Alarm(mut response) => {
                self.fill(&mut response.header);
                Ok(response)
            }
            other => Err(mismatch(&other)),
        }
    }

    /// A stream on which watches are created and their responses come.
    pub fn watch(&self) -> WatchStream {
        WatchStream::open(self.clone())
    }

    /// Hash over everything readable up to a revision (0: now), with the compact and the hashed revision.
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet.
    pub fn hash_kv(&self, revision: i64) -> Result<(u32, i64, i64), EtcdError> {
        self.shared().state.read().hash_kv(revision)
    }

    /// Writes a snapshot now and drops the log that it covers; this is what etcd's defragmentation is here.
    ///
    /// # Errors
    /// The store has stopped, or the disk refused.
    pub async fn defragment(&self) -> Result<(), EtcdError> {
        self.alive()?;
        let (sender, receiver) = oneshot::channel();
        self.shared().keeper.snapshots.lock().push(sender);
        self.shared().keeper.wake();
        receiver.await.map_err(|_| EtcdError::Stopped)?.map_err(EtcdError::Failed)
    }

    /// A sealed snapshot of the state as it is now, for keeping elsewhere: an unnamed file at its beginning, its
    /// length, and the revision it holds.
    ///
    /// # Errors
    /// The store has stopped, or the disk refused.
    pub async fn snapshot(&self) -> Result<(std::fs::File, u64, i64), EtcdError> {
        let cut = self.shared().queue.cut()?.await.map_err(|_| EtcdError::Stopped)?;
        let store = self.clone();
        let exported = tokio::task::spawn_blocking(move || crate::export::export(store.shared(), cut)).await;
        let exported = exported.map_err(|error| EtcdError::Failed(error.to_string()))?;
        exported.map_err(|error| EtcdError::Failed(describe(&error)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.open.shared
    }

    /// etcd's ids, made from the store's own.
    pub(crate) fn ids(&self) -> (u64, u64) {
        let id = u128::from_be_bytes(self.shared().identity.store_id);
        // Truncation is meant: each half names something.
        ((id >> 64) as u64 | 1, id as u64 | 1)
    }

    pub(crate) fn header(&self, revision: i64) -> ResponseHeader {
        let (cluster_id, member_id) = self.ids();
        ResponseHeader { cluster_id, member_id, revision, raft_term: RAFT_TERM }
    }

    pub(crate) fn fill(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
    }

    fn alive(&self) -> Result<(), EtcdError> {
        match self.shared().queue.ended() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn commit(&self, op: Op) -> Result<Reply, EtcdError> {
        let command = Command::from(op);
        let bytes = command.encoded_len();
        if bytes > MAX_REQUEST_BYTES {
            return Err(EtcdError::RequestTooLarge);
        }
        let answer = self.shared().queue.submit(command, bytes)?;
        answer.await.map_err(|_| EtcdError::Stopped)?
    }

    /// Refuses when there is no space; raises the alarm when that is new.
    async fn make_room(&self) -> Result<(), EtcdError> {
        let (full, used) = {
            let state = self.shared().state.read();
            (state.is_full(), state.weight())
        };
        if full {
            return Err(EtcdError::NoSpace);
        }
        if used < self.shared().config.quota() {
            return Ok(());
        }
        tracing::warn!(used, quota = self.shared().config.quota(), "quota exceeded: raising NOSPACE");
        let (_, member_id) = self.ids();
        let (action, alarm) = (AlarmAction::Activate as i32, AlarmType::Nospace as i32);
        self.commit(Op::Alarm(AlarmRequest { action, member_id, alarm })).await?;
        Err(EtcdError::NoSpace)
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

fn mismatch(reply: &Reply) -> EtcdError {
    EtcdError::Failed(format!("the log answered with something else: {reply:?}"))
}

/// Whether a transaction may write at all, and whether it may add.
fn effects(txn: &TxnRequest) -> (bool, bool) {
    let mut effects = (false, false);
    let mut open: VecDeque<&TxnRequest> = VecDeque::from([txn]);
    while let Some(txn) = open.pop_front() {
        for op in txn.success.iter().chain(&txn.failure) {
            match &op.request {
                Some(Request::Put(_)) => effects = (true, true),
                Some(Request::DeleteRange(_)) => effects.0 = true,
                Some(Request::Txn(inner)) => open.push_back(inner),
                Some(Request::Range(_)) | None => {}
            }
        }
    }
    effects
}

/// A key range for tests and callers that build requests by hand: all keys that begin with `prefix`.
pub fn prefix_end(prefix: &[u8]) -> Bytes {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX);
    match kept {
        Some(last) => {
            let mut end = prefix[..=last].to_vec();
            end[last] += 1;
            end.into()
        }
        None => Bytes::from_static(&[0]),
    }
}
