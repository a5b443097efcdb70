//! Writes and transactions.

use std::cmp::Ordering;
use std::sync::Arc;

use bytes::Bytes;

use super::history::History;
use super::range::KeyRange;
use super::record::{Record, Shared};
use super::state::{Change, State, header};
use crate::EtcdError;
use crate::proto::{
    Compare, CompareResult, CompareTarget, DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse,
    RangeRequest, Request, RequestOp, Response, ResponseHeader, ResponseOp, TargetUnion, TxnRequest,
    TxnResponse,
};

/// Makes one revision: every change gets the same number, which the state takes over only if there was one.
pub(super) struct Writer<'a> {
    state: &'a mut State,
    changes: &'a mut Vec<Change>,
    revision: i64,
    sub: u32,
}

impl<'a> Writer<'a> {
    pub(super) fn new(state: &'a mut State, changes: &'a mut Vec<Change>) -> Self {
        let revision = state.revision + 1;
        Self { state, changes, revision, sub: 0 }
    }

    /// Ends the revision and tells the one that is now current.
    pub(super) fn finish(self) -> i64 {
        if self.sub > 0 {
            self.state.revision = self.revision;
        }
        self.state.revision
    }

    /// What a read inside this transaction calls "now".
    fn current(&self) -> i64 {
        if self.sub > 0 { self.revision } else { self.state.revision }
    }

    /// Does what [`State::plan`] decided.
    pub(super) fn txn(
        &mut self,
        txn: &TxnRequest,
        path: &mut std::vec::IntoIter<bool>,
    ) -> Result<TxnResponse, EtcdError> {
        let succeeded = path.next().unwrap_or(false);
        let mut responses = Vec::new();
        for op in if succeeded { &txn.success } else { &txn.failure } {
            responses.push(self.op(op, path)?);
        }
        // The outermost answer gets its revision at the end; inner ones have an empty header in etcd.
        Ok(TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses })
    }

    fn op(&mut self, op: &RequestOp, path: &mut std::vec::IntoIter<bool>) -> Result<ResponseOp, EtcdError> {
        Ok(match &op.request {
            Some(Request::Range(range)) => {
                Response::Range(self.state.range_at(range, self.current())?).into()
            }
            Some(Request::Put(put)) => Response::Put(self.put(put)).into(),
            Some(Request::DeleteRange(delete)) => Response::DeleteRange(self.delete(delete)).into(),
            Some(Request::Txn(txn)) => Response::Txn(self.txn(txn, path)?).into(),
            None => ResponseOp::default(),
        })
    }

    /// Puts one key; [`State::check_put`] has been asked before.
    pub(super) fn put(&mut self, put: &PutRequest) -> PutResponse {
        let previous = self.live(&put.key).cloned();
        let kept = |flag: bool| previous.as_ref().filter(|_| flag);
        // A value of its own: what arrived is a slice of a bigger network buffer that must not live as long.
        let value = match kept(put.ignore_value) {
            Some(old) => old.value.clone(),
            None => Bytes::copy_from_slice(&put.value),
        };
        let lease = kept(put.ignore_lease).map_or(put.lease, |old| old.lease);
        let (create_revision, version) =
            previous.as_ref().map_or((self.revision, 1), |old| (old.create_revision, old.version + 1));
        let prev_kv = previous.as_ref().filter(|_| put.prev_kv).map(|old| old.to_kv(false));
        let key = match self.state.keys.get_key_value(&put.key) {
            Some((key, _)) => key.clone(),
            None => Bytes::copy_from_slice(&put.key),
        };
        self.attach(&key, previous.as_ref().map_or(0, |old| old.lease), lease);
        self.record(
            Record {
                key,
                value,
                create_revision,
                mod_revision: self.revision,
                sub: self.sub,
                version,
                lease,
            },
            previous,
        );
        PutResponse { header: header(self.current()), prev_kv }
    }

    pub(super) fn delete(&mut self, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let found = self.state.live_in(&KeyRange::new(&delete.key, &delete.range_end));
        for record in &found {
            self.delete_record(record.clone());
        }
        DeleteRangeResponse {
            header: header(self.current()),
            deleted: i64::try_from(found.len()).unwrap_or(i64::MAX),
            prev_kvs: if delete.prev_kv {
                found.iter().map(|old| old.to_kv(false)).collect()
            } else {
                Vec::new()
            },
        }
    }

    pub(super) fn delete_key(&mut self, key: &Bytes) {
        if let Some(record) = self.live(key).cloned() {
            self.delete_record(record);
        }
    }

    fn delete_record(&mut self, previous: Shared) {
        let key = previous.key.clone();
        self.attach(&key, previous.lease, 0);
        self.record(
            Record {
                key,
                value: Bytes::new(),
                create_revision: 0,
                mod_revision: self.revision,
                sub: self.sub,
                version: 0,
                lease: 0,
            },
            Some(previous),
        );
    }

    fn record(&mut self, record: Record, previous: Option<Shared>) {
        self.sub += 1;
        self.state.weight += record.weight();
        // Watches are told what was there before this revision, even when it changes a key twice.
        let previous = match previous {
            Some(earlier) if earlier.mod_revision == self.revision => self.before(&record.key),
            other => other,
        };
        let record = Arc::new(record);
        self.state.log.push_back(record.clone());
        match self.state.keys.get_mut(&record.key) {
            Some(history) => history.push(record.clone()),
            None => {
                self.state.keys.insert(record.key.clone(), History::new(record.clone()));
            }
        }
        self.changes.push(Change { record, previous });
    }

    fn before(&self, key: &[u8]) -> Option<Shared> {
        self.state.keys.get(key)?.at(self.revision - 1).cloned()
    }

    /// Moves `key` from one lease to another; 0 is none.
    fn attach(&mut self, key: &Bytes, from: i64, to: i64) {
        if from == to {
            return;
        }
        if let Some(lease) = self.state.leases.get_mut(&from) {
            lease.keys.remove(key);
        }
        if let Some(lease) = self.state.leases.get_mut(&to) {
            lease.keys.insert(key.clone());
        }
    }

    fn live(&self, key: &[u8]) -> Option<&Shared> {
        self.state.live(key)
    }
}

impl State {
    /// Decides every comparison, inner ones too, before anything is changed, and refuses what would fail half way.
    /// The outcomes come in the order in which [`Writer::txn`] meets the transactions.
    pub(super) fn plan(&self, txn: &TxnRequest) -> Result<Vec<bool>, EtcdError> {
        let mut path = Vec::with_capacity(1);
        self.plan_into(txn, &mut path)?;
        Ok(path)
    }

    fn plan_into(&self, txn: &TxnRequest, path: &mut Vec<bool>) -> Result<(), EtcdError> {
        let succeeds = txn.compare.iter().all(|compare| self.compare(compare));
        path.push(succeeds);
        for op in if succeeds { &txn.success } else { &txn.failure } {
            match &op.request {
                Some(Request::Range(range)) => {
                    self.check_range(range)?;
                }
                Some(Request::Put(put)) => self.check_inner_put(put)?,
                Some(Request::Txn(txn)) => self.plan_into(txn, path)?,
                Some(Request::DeleteRange(_)) | None => {}
            }
        }
        Ok(())
    }

    pub(super) fn check_put(&self, put: &PutRequest) -> Result<(), EtcdError> {
        self.check_lease(put)?;
        self.check_kept(put)
    }

    /// Inside a transaction etcd looks in the other order.
    fn check_inner_put(&self, put: &PutRequest) -> Result<(), EtcdError> {
        self.check_kept(put)?;
        self.check_lease(put)
    }

    fn check_lease(&self, put: &PutRequest) -> Result<(), EtcdError> {
        let known = put.lease == 0 || self.leases.contains_key(&put.lease);
        if known { Ok(()) } else { Err(EtcdError::LeaseNotFound) }
    }

    fn check_kept(&self, put: &PutRequest) -> Result<(), EtcdError> {
        let lacks = (put.ignore_value || put.ignore_lease) && self.live(&put.key).is_none();
        if lacks { Err(EtcdError::KeyNotFound) } else { Ok(()) }
    }

    /// Inside a transaction etcd takes a negative revision as a very old one; outside it means "now".
    fn check_range(&self, range: &RangeRequest) -> Result<(), EtcdError> {
        match range.revision {
            0 => Ok(()),
            revision if revision > self.revision => Err(EtcdError::FutureRevision),
            revision if revision < self.compact_revision => Err(EtcdError::Compacted),
            _ => Ok(()),
        }
    }

    /// Answers a transaction that only reads.
    ///
    /// # Errors
    /// A revision is compacted or does not exist yet.
    pub fn read_txn(&self, txn: &TxnRequest) -> Result<TxnResponse, EtcdError> {
        let path = self.plan(txn)?;
        let inner = self.read_inner_txn(txn, &mut path.into_iter())?;
        Ok(TxnResponse { header: header(self.revision), ..inner })
    }

    fn read_inner_txn(
        &self,
        txn: &TxnRequest,
        path: &mut std::vec::IntoIter<bool>,
    ) -> Result<TxnResponse, EtcdError> {
        let succeeded = path.next().unwrap_or(false);
        let mut responses = Vec::new();
        for op in if succeeded { &txn.success } else { &txn.failure } {
            responses.push(match &op.request {
                Some(Request::Range(range)) => Response::Range(self.range(range)?).into(),
                Some(Request::Txn(txn)) => Response::Txn(self.read_inner_txn(txn, path)?).into(),
                Some(Request::Put(_) | Request::DeleteRange(_)) | None => ResponseOp::default(),
            });
        }
        Ok(TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses })
    }

    fn live(&self, key: &[u8]) -> Option<&Shared> {
        self.keys.get(key).and_then(History::live)
    }

    fn compare(&self, compare: &Compare) -> bool {
        let range = KeyRange::new(&compare.key, &compare.range_end);
        let (mut any, mut all) = (false, true);
        self.visit(&range, i64::MAX, |record| {
            any = true;
            all &= holds(compare, Some(record));
        });
        if any { all } else { holds(compare, None) }
    }
}

/// Whether one comparison holds for one key; a key that does not exist has zero everywhere and no value at all.
fn holds(compare: &Compare, record: Option<&Shared>) -> bool {
    let number = |actual: Option<i64>, expected: Option<i64>| actual.unwrap_or(0).cmp(&expected.unwrap_or(0));
    let union = compare.target_union.as_ref();
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Version) => number(record.map(|r| r.version), union.and_then(version)),
        Ok(CompareTarget::Create) => {
            number(record.map(|r| r.create_revision), union.and_then(create_revision))
        }
        Ok(CompareTarget::Mod) => number(record.map(|r| r.mod_revision), union.and_then(mod_revision)),
        Ok(CompareTarget::Lease) => number(record.map(|r| r.lease), union.and_then(lease)),
        Ok(CompareTarget::Value) => match (record, union) {
            (None, _) => return false,
            (Some(record), Some(TargetUnion::Value(expected))) => record.value.cmp(expected),
            (Some(record), _) => record.value.as_ref().cmp(&[]),
        },
        // etcd compares nothing for a target it does not know, which is "equal".
        Err(_) => Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering == Ordering::Equal,
        Ok(CompareResult::NotEqual) => ordering != Ordering::Equal,
        Ok(CompareResult::Greater) => ordering == Ordering::Greater,
        Ok(CompareResult::Less) => ordering == Ordering::Less,
        Err(_) => true,
    }
}

fn version(union: &TargetUnion) -> Option<i64> {
    if let TargetUnion::Version(version) = union { Some(*version) } else { None }
}

fn create_revision(union: &TargetUnion) -> Option<i64> {
    if let TargetUnion::CreateRevision(revision) = union { Some(*revision) } else { None }
}

fn mod_revision(union: &TargetUnion) -> Option<i64> {
    if let TargetUnion::ModRevision(revision) = union { Some(*revision) } else { None }
}

fn lease(union: &TargetUnion) -> Option<i64> {
    if let TargetUnion::Lease(lease) = union { Some(*lease) } else { None }
}
