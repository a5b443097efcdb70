//! What etcd's clients can ask of a store.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::committer::describe;
use crate::disk::DiskStream;
use crate::mvcc::{self, Op, Reply};
use crate::proto::{
    AlarmAction, AlarmMember, AlarmRequest, AlarmResponse, AlarmType, CompactionRequest, CompactionResponse,
    DeleteRangeRequest, DeleteRangeResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveResponse,
    LeaseRevokeRequest, LeaseRevokeResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, Request, TxnRequest, TxnResponse,
};
use crate::{EtcdError, Store};

impl Store {
    /// Keys of a range, now or at a revision. Linearizable: it sees every answered write, and only durable ones.
    ///
    /// # Errors
    /// etcd's refusals.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, EtcdError> {
        mvcc::check_range(request)?;
        self.alive()?;
        self.shared().metrics.ranges.add(1);
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
        mvcc::check_txn(&request, self.shared().config.limits.txn_ops())?;
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
        self.shared().metrics.leases_renewed.add(u64::from(ttl > 0));
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

    /// Ids of all leases, those that end first before the others, as in etcd.
    pub fn leases(&self) -> Vec<i64> {
        let now = self.shared().now();
        let state = self.shared().state.read();
        let clock = self.shared().leases.lock();
        let mut leases: Vec<(Option<i64>, i64)> =
            state.leases().map(|(id, _)| (clock.remaining(id, now), id)).collect();
        leases.sort_unstable();
        leases.into_iter().map(|(_, id)| id).collect()
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

    /// Raised alarms.
    pub fn alarms(&self) -> Vec<AlarmMember> {
        self.shared().state.read().alarms().collect()
    }

    /// Hash over everything readable up to a revision (0: now), with the compact and the hashed revision.
    ///
    /// Reads everything, a thousand keys at a time, so that writers need not wait for it.
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet.
    pub fn hash_kv(&self, revision: i64) -> Result<(u32, i64, i64), EtcdError> {
        const STRIDE: usize = 1_000;
        let state = &self.shared().state;
        let (mut hash, mut cursor) = {
            let mut state = state.write();
            let hash = state.begin_hash(revision)?;
            (hash, state.begin_image().1)
        };
        loop {
            let records = state.read().image_records(&mut cursor, STRIDE);
            let Some(records) = records else { break };
            hash.update(&records);
        }
        state.write().end_image();
        let (compact_revision, revision) = (hash.compact_revision, hash.revision);
        Ok((hash.finish(), compact_revision, revision))
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

    /// Begins a new generation of keys while serving, and writes a snapshot, so that no file under an older one is
    /// left. Tells its number.
    ///
    /// # Errors
    /// The store has stopped, or the snapshot failed: then older files stay until the next one, and new ones are of
    /// the new generation all the same.
    pub async fn rotate_key(&self) -> Result<u32, EtcdError> {
        self.alive()?;
        let epoch = self.shared().identity.begin_epoch();
        tracing::info!(epoch, "new files are sealed under keys of a new generation");
        self.defragment().await?;
        Ok(epoch)
    }

    /// A sealed snapshot of the state as it is now, for keeping elsewhere: an unnamed file at its beginning, its
    /// length, and the revision it holds.
    ///
    /// # Errors
    /// The store has stopped, or the disk refused.
    pub async fn snapshot(&self) -> Result<(DiskStream, u64, i64), EtcdError> {
        let cut = self.shared().queue.cut()?.await.map_err(|_| EtcdError::Stopped)?;
        let store = self.clone();
        let exported = tokio::task::spawn_blocking(move || crate::export::export(store.shared(), cut)).await;
        let exported = exported.map_err(|error| EtcdError::Failed(error.to_string()))?;
        exported.map_err(|error| EtcdError::Failed(describe(&error)))
    }

    /// Refuses when there is no space; raises the alarm when that is new.
    async fn make_room(&self) -> Result<(), EtcdError> {
        let (full, used) = {
            let state = self.shared().state.read();
            (state.is_full(), state.weight())
        };
        if full || self.shared().disk_full.load(Ordering::Relaxed) {
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
