use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::command::{Command, Op, Reply};
use super::history::History;
use super::hold::Hold;
use super::note::AnchorNote;
use super::range::KeyRange;
use super::record::{Record, Shared};
use super::txn::Writer;
use crate::EtcdError;
use crate::proto::{
    AlarmAction, AlarmMember, AlarmRequest, AlarmResponse, AlarmType, CompactionRequest, CompactionResponse,
    LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeRequest, LeaseRevokeResponse, ResponseHeader,
};

/// Keys of a fresh store start after this revision, as in etcd.
pub(super) const FIRST_REVISION: i64 = 1;
/// etcd's compact revision before the first compaction, so that there can be one at 0.
const NOT_COMPACTED: i64 = -1;
/// etcd's shortest lease with default election timing, in seconds.
const MIN_LEASE_TTL: i64 = 2;

/// One change of one key, with what was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The new version; a tombstone for a deletion.
    pub record: Arc<Record>,
    /// The version that was live at the revision before.
    pub previous: Option<Arc<Record>>,
}

/// A lease as the state knows it; when it expires is the business of a clock outside.
#[derive(Debug, Default)]
pub(super) struct Lease {
    pub(super) ttl: i64,
    pub(super) keys: BTreeSet<Bytes>,
}

/// All keys with their retained history, the revision log, leases and alarms.
#[derive(Debug)]
pub struct State {
    pub(super) keys: BTreeMap<Bytes, History>,
    /// Every retained change in order of revision; what a late watcher reads.
    pub(super) log: VecDeque<Shared>,
    pub(super) leases: BTreeMap<i64, Lease>,
    pub(super) alarms: BTreeSet<(u64, i32)>,
    pub(super) revision: i64,
    pub(super) compact_revision: i64,
    /// Up to where compaction has removed what it may; lags behind `compact_revision` so that no reader waits for it.
    pub(super) scrubbed_revision: i64,
    /// From here on every change is in `log`; moves before the first one is removed.
    pub(super) kept_from: i64,
    /// What is not removed though it is compacted.
    pub(super) hold: Option<Hold>,
    /// Commands applied since the store was made.
    pub(super) applied: u64,
    pub(super) weight: u64,
    /// Points that were anchored, or were about to be, oldest first.
    pub(super) anchors: VecDeque<AnchorNote>,
    /// While an image is being taken nothing may be removed.
    pub(super) pins: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            log: VecDeque::new(),
            leases: BTreeMap::new(),
            alarms: BTreeSet::new(),
            revision: FIRST_REVISION,
            compact_revision: NOT_COMPACTED,
            scrubbed_revision: NOT_COMPACTED,
            kept_from: NOT_COMPACTED,
            hold: None,
            applied: 0,
            weight: 0,
            anchors: VecDeque::new(),
            pins: 0,
        }
    }
}

impl State {
    /// The revision of the last change.
    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// The revision below which history is gone; -1 before the first compaction.
    pub fn compact_revision(&self) -> i64 {
        self.compact_revision
    }

    /// Commands applied since the store was made.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// Bytes that count against the quota.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// Keys that have any history, deleted ones too.
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// Keys that exist now.
    pub fn live_keys(&self) -> usize {
        self.keys.values().filter(|history| history.live().is_some()).count()
    }

    /// Applies one command and appends what changed to `changes`.
    ///
    /// # Errors
    /// etcd's refusals. A refused command changes nothing.
    pub fn apply(&mut self, command: Command, changes: &mut Vec<Change>) -> Result<Reply, EtcdError> {
        self.applied += 1;
        if self.is_corrupt() && !matches!(command.op, Some(Op::Alarm(_) | Op::Anchor(_))) {
            return Err(EtcdError::Corrupt);
        }
        match command.op {
            Some(Op::Put(put)) => {
                self.check_put(&put)?;
                let mut writer = Writer::new(self, changes);
                let mut reply = writer.put(&put);
                reply.header = header(writer.finish());
                Ok(Reply::Put(reply))
            }
            Some(Op::DeleteRange(delete)) => {
                let mut writer = Writer::new(self, changes);
                let mut reply = writer.delete(&delete);
                reply.header = header(writer.finish());
                Ok(Reply::DeleteRange(reply))
            }
            Some(Op::Txn(txn)) => {
                let path = self.plan(&txn)?;
                let mut writer = Writer::new(self, changes);
                let reply = writer.txn(&txn, &mut path.into_iter());
                let revision = writer.finish();
                reply.map(|mut txn| {
                    txn.header = header(revision);
                    Reply::Txn(txn)
                })
            }
            Some(Op::Compact(compact)) => self.compact(&compact).map(Reply::Compact),
            Some(Op::LeaseGrant(grant)) => self.grant(&grant).map(Reply::LeaseGrant),
            Some(Op::LeaseRevoke(revoke)) => self.revoke(&revoke, changes).map(Reply::LeaseRevoke),
            Some(Op::Alarm(alarm)) => Ok(Reply::Alarm(self.alarm(&alarm))),
            Some(Op::Anchor(note)) => {
                self.note_anchor(note);
                Ok(Reply::Anchor)
            }
            None => Err(EtcdError::Unsupported("etcdserver: unknown command")),
        }
    }

    /// Changes from `from` on, in order; fewer than all when history before `from` is compacted.
    pub fn changes_since(&self, from: i64) -> impl Iterator<Item = &Arc<Record>> {
        let start = self.log.partition_point(|record| record.mod_revision < from);
        self.log.range(start..)
    }

    /// The version of `key` that was live just before `revision`, if that is still readable.
    pub fn before(&self, key: &[u8], revision: i64) -> Option<Arc<Record>> {
        let earlier = revision.checked_sub(1).filter(|earlier| *earlier >= self.compact_revision)?;
        self.keys.get(key)?.at(earlier).cloned()
    }

    /// Raised alarms as (member, [`AlarmType`]).
    pub fn alarms(&self) -> impl Iterator<Item = AlarmMember> + '_ {
        self.alarms.iter().map(|&(member_id, alarm)| AlarmMember { member_id, alarm })
    }

    /// Whether the store is out of space and takes no more.
    pub fn is_full(&self) -> bool {
        self.alarms.iter().any(|(_, alarm)| *alarm == AlarmType::Nospace as i32)
    }

    /// Whether somebody raised the alarm that the data is wrong: nothing is changed then, as in etcd.
    pub fn is_corrupt(&self) -> bool {
        self.alarms.iter().any(|(_, alarm)| *alarm == AlarmType::Corrupt as i32)
    }

    /// All leases as (id, granted time to live in seconds).
    pub fn leases(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.leases.iter().map(|(id, lease)| (*id, lease.ttl))
    }

    /// Granted time to live of a lease, in seconds.
    pub fn lease_ttl(&self, id: i64) -> Option<i64> {
        self.leases.get(&id).map(|lease| lease.ttl)
    }

    /// Keys attached to a lease, in order.
    pub fn lease_keys(&self, id: i64) -> Vec<Bytes> {
        self.leases.get(&id).map(|lease| lease.keys.iter().cloned().collect()).unwrap_or_default()
    }

    /// The revision a read at `requested` (0: now) sees.
    pub(super) fn readable(&self, requested: i64, current: i64) -> Result<i64, EtcdError> {
        match requested {
            ..=0 => Ok(current),
            _ if requested > current => Err(EtcdError::FutureRevision),
            _ if requested < self.compact_revision => Err(EtcdError::Compacted),
            _ => Ok(requested),
        }
    }

    fn compact(&mut self, request: &CompactionRequest) -> Result<CompactionResponse, EtcdError> {
        if request.revision <= self.compact_revision {
            return Err(EtcdError::Compacted);
        }
        if request.revision > self.revision {
            return Err(EtcdError::FutureRevision);
        }
        self.compact_revision = request.revision;
        Ok(CompactionResponse { header: header(self.revision) })
    }

    /// Removes up to `max` compacted changes. `true` when nothing is left to do, or nothing may be done while an
    /// image is taken. What readers see does not change.
    pub fn scrub(&mut self, max: usize) -> bool {
        if self.pins > 0 {
            return true;
        }
        let until = self.removable();
        self.kept_from = self.kept_from.max(until);
        for _ in 0..max {
            let Some(record) = self.log.front().filter(|record| record.mod_revision < until) else {
                return self.scrub_boundary(until);
            };
            let key = record.key.clone();
            self.scrub_key(&key, until);
            self.log.pop_front();
        }
        false
    }

    /// Whether everything below the compact revision is removed, but for what is kept for a copy.
    pub fn is_scrubbed(&self) -> bool {
        self.scrubbed_revision >= self.removable()
    }

    /// Changes *at* the last revision stay in the log, for a watch may start there; what they replaced can go.
    fn scrub_boundary(&mut self, until: i64) -> bool {
        if self.scrubbed_revision < until {
            let boundary: Vec<Bytes> = self
                .log
                .iter()
                .take_while(|record| record.mod_revision == until)
                .map(|record| record.key.clone())
                .collect();
            for key in boundary {
                self.scrub_key(&key, until);
            }
            self.scrubbed_revision = until;
        }
        true
    }

    fn scrub_key(&mut self, key: &Bytes, until: i64) {
        let Some(history) = self.keys.get_mut(key) else { return };
        let outcome = history.compact(until);
        self.weight = self.weight.saturating_sub(outcome.freed);
        if outcome.gone {
            self.keys.remove(key);
        }
    }

    fn grant(&mut self, request: &LeaseGrantRequest) -> Result<LeaseGrantResponse, EtcdError> {
        super::check_lease_grant(request)?;
        if request.id == 0 {
            return Err(EtcdError::LeaseNotFound);
        }
        if self.leases.contains_key(&request.id) {
            return Err(EtcdError::LeaseExists);
        }
        let ttl = request.ttl.max(MIN_LEASE_TTL);
        self.leases.insert(request.id, Lease { ttl, keys: BTreeSet::new() });
        Ok(LeaseGrantResponse { header: header(self.revision), id: request.id, ttl, error: String::new() })
    }

    fn revoke(
        &mut self,
        request: &LeaseRevokeRequest,
        changes: &mut Vec<Change>,
    ) -> Result<LeaseRevokeResponse, EtcdError> {
        let lease = self.leases.remove(&request.id).ok_or(EtcdError::LeaseNotFound)?;
        let mut writer = Writer::new(self, changes);
        for key in &lease.keys {
            writer.delete_key(key);
        }
        Ok(LeaseRevokeResponse { header: header(writer.finish()) })
    }

    fn alarm(&mut self, request: &AlarmRequest) -> AlarmResponse {
        let alarm = (request.member_id, request.alarm);
        let touched = match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Activate) => {
                self.alarms.insert(alarm);
                vec![alarm]
            }
            Ok(AlarmAction::Deactivate) => self.alarms.remove(&alarm).then_some(alarm).into_iter().collect(),
            _ => self.alarms.iter().copied().collect::<Vec<_>>(),
        };
        AlarmResponse {
            header: header(self.revision),
            alarms: touched.into_iter().map(|(member_id, alarm)| AlarmMember { member_id, alarm }).collect(),
        }
    }

    /// Every key of `range` that exists now.
    pub(super) fn live_in(&self, range: &KeyRange) -> Vec<Shared> {
        let mut found = Vec::new();
        self.visit(range, i64::MAX, |record| found.push(record.clone()));
        found
    }
}

pub(super) fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}
