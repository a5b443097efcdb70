//! A store as simple as can be, to compare the real one with: a list of all changes ever, replayed for every answer.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use store::EtcdError;
use store::mvcc::Record;
use store::proto::{
    Compare, DeleteRangeRequest, DeleteRangeResponse, KeyValue, PutRequest, PutResponse, RangeRequest,
    RangeResponse, Request, RequestOp, Response, ResponseHeader, ResponseOp, TargetUnion, TxnRequest,
    TxnResponse,
};

/// One change: the key as it is after it, or `None` when it was deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changed {
    pub(crate) revision: i64,
    pub(crate) key: Bytes,
    pub(crate) kv: Option<KeyValue>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) changes: Vec<Changed>,
    pub(crate) revision: i64,
    pub(crate) compacted: i64,
    pub(crate) leases: BTreeSet<i64>,
}

impl Default for Model {
    fn default() -> Self {
        Self { changes: Vec::new(), revision: 1, compacted: -1, leases: BTreeSet::new() }
    }
}

pub(crate) fn in_range(key: &[u8], start: &[u8], end: &[u8]) -> bool {
    match end {
        [] => key == start,
        [0] => key >= start,
        _ => key >= start && key < end,
    }
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..ResponseHeader::default() })
}

impl Model {
    /// All keys as they were at `revision`.
    pub(crate) fn at(&self, revision: i64) -> BTreeMap<Bytes, KeyValue> {
        let mut keys = BTreeMap::new();
        for change in self.changes.iter().filter(|change| change.revision <= revision) {
            match &change.kv {
                Some(kv) => keys.insert(change.key.clone(), kv.clone()),
                None => keys.remove(&change.key),
            };
        }
        keys
    }

    fn now(&self) -> BTreeMap<Bytes, KeyValue> {
        self.at(i64::MAX)
    }

    pub(crate) fn range(&self, request: &RangeRequest, current: i64) -> Result<RangeResponse, EtcdError> {
        let revision = if request.revision <= 0 { current } else { request.revision };
        if revision > current {
            return Err(EtcdError::FutureRevision);
        }
        if revision < self.compacted {
            return Err(EtcdError::Compacted);
        }
        let all: Vec<KeyValue> = self
            .at(revision)
            .into_values()
            .filter(|kv| in_range(&kv.key, &request.key, &request.range_end))
            .collect();
        let count = all.len() as i64;
        if request.count_only {
            return Ok(RangeResponse { header: header(current), count, ..RangeResponse::default() });
        }
        let bound = |bound: i64, ok: bool| bound == 0 || ok;
        let bounds = request.min_mod_revision
            | request.max_mod_revision
            | request.min_create_revision
            | request.max_create_revision;
        // etcd takes the first keys, and one more, before it sorts by a target without an order.
        let early = request.limit > 0 && request.sort_order == 0 && bounds == 0;
        let fetched = if early { request.limit as usize + 1 } else { all.len() };
        let mut kvs: Vec<KeyValue> = all
            .into_iter()
            .take(fetched)
            .filter(|kv| {
                bound(request.min_mod_revision, kv.mod_revision >= request.min_mod_revision)
                    && bound(request.max_mod_revision, kv.mod_revision <= request.max_mod_revision)
                    && bound(request.min_create_revision, kv.create_revision >= request.min_create_revision)
                    && bound(request.max_create_revision, kv.create_revision <= request.max_create_revision)
            })
            .collect();
        kvs.sort_by(|a, b| {
            let ascending = match request.sort_target {
                0 => a.key.cmp(&b.key),
                1 => a.version.cmp(&b.version),
                2 => a.create_revision.cmp(&b.create_revision),
                3 => a.mod_revision.cmp(&b.mod_revision),
                _ => a.value.cmp(&b.value),
            };
            if request.sort_order == 2 { ascending.reverse() } else { ascending }
        });
        let more = request.limit > 0 && kvs.len() as i64 > request.limit;
        if more {
            kvs.truncate(request.limit as usize);
        }
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value = Bytes::new());
        }
        Ok(RangeResponse { header: header(current), kvs, more, count })
    }

    /// Runs `ops` as one revision.
    pub(crate) fn txn(&mut self, txn: &TxnRequest) -> Result<TxnResponse, EtcdError> {
        let decided = self.decide(txn)?;
        let before = self.clone();
        let revision = self.revision + 1;
        let mut response = self.run(&decided, revision);
        if self.changes.len() > before.changes.len() {
            self.revision = revision;
        }
        response.header = header(self.revision);
        Ok(response)
    }

    /// Replaces every transaction by its branch, or says why it cannot run.
    fn decide(&self, txn: &TxnRequest) -> Result<TxnRequest, EtcdError> {
        let succeeded = txn.compare.iter().all(|compare| self.compare(compare));
        let mut branch = Vec::new();
        for op in if succeeded { &txn.success } else { &txn.failure } {
            branch.push(match op.request.clone().unwrap() {
                Request::Range(range) => {
                    self.range(&range, self.revision)?;
                    Request::Range(range).into()
                }
                Request::Put(put) => {
                    if (put.ignore_value || put.ignore_lease) && !self.now().contains_key(&put.key) {
                        return Err(EtcdError::KeyNotFound);
                    }
                    if put.lease != 0 && !self.leases.contains(&put.lease) {
                        return Err(EtcdError::LeaseNotFound);
                    }
                    Request::Put(put).into()
                }
                Request::DeleteRange(delete) => Request::DeleteRange(delete).into(),
                Request::Txn(txn) => Request::Txn(self.decide(&txn)?).into(),
            });
        }
        let (success, failure) = if succeeded { (branch, Vec::new()) } else { (Vec::new(), branch) };
        // The outcome is remembered as a comparison that is there or not.
        let compare = if succeeded { Vec::new() } else { vec![Compare::default()] };
        Ok(TxnRequest { compare, success, failure })
    }

    fn run(&mut self, decided: &TxnRequest, revision: i64) -> TxnResponse {
        let succeeded = decided.compare.is_empty();
        let ops = if succeeded { &decided.success } else { &decided.failure };
        let responses = ops.iter().map(|op| self.op(op, revision)).collect();
        TxnResponse { header: header(0), succeeded, responses }
    }

    fn current(&self, revision: i64) -> i64 {
        if self.changes.last().is_some_and(|change| change.revision == revision) {
            revision
        } else {
            self.revision
        }
    }

    fn op(&mut self, op: &RequestOp, revision: i64) -> ResponseOp {
        match op.request.as_ref().unwrap() {
            Request::Range(range) => {
                Response::Range(self.range(range, self.current(revision)).unwrap()).into()
            }
            Request::Put(put) => Response::Put(self.put(put, revision)).into(),
            Request::DeleteRange(delete) => Response::DeleteRange(self.delete(delete, revision)).into(),
            Request::Txn(txn) => Response::Txn(self.run(txn, revision)).into(),
        }
    }

    fn put(&mut self, put: &PutRequest, revision: i64) -> PutResponse {
        let old = self.now().remove(&put.key);
        let kv = KeyValue {
            key: put.key.clone(),
            create_revision: old.as_ref().map_or(revision, |old| old.create_revision),
            mod_revision: revision,
            version: old.as_ref().map_or(1, |old| old.version + 1),
            // There is nothing to keep when the same transaction deleted the key before; etcd panics then.
            value: old
                .as_ref()
                .filter(|_| put.ignore_value)
                .map_or(put.value.clone(), |old| old.value.clone()),
            lease: old.as_ref().filter(|_| put.ignore_lease).map_or(put.lease, |old| old.lease),
        };
        self.changes.push(Changed { revision, key: put.key.clone(), kv: Some(kv) });
        PutResponse { header: header(revision), prev_kv: old.filter(|_| put.prev_kv) }
    }

    fn delete(&mut self, delete: &DeleteRangeRequest, revision: i64) -> DeleteRangeResponse {
        let gone: Vec<KeyValue> =
            self.now().into_values().filter(|kv| in_range(&kv.key, &delete.key, &delete.range_end)).collect();
        for kv in &gone {
            self.changes.push(Changed { revision, key: kv.key.clone(), kv: None });
        }
        DeleteRangeResponse {
            header: header(self.current(revision)),
            deleted: gone.len() as i64,
            prev_kvs: if delete.prev_kv { gone } else { Vec::new() },
        }
    }

    pub(crate) fn revoke(&mut self, id: i64) -> Result<(), EtcdError> {
        if !self.leases.remove(&id) {
            return Err(EtcdError::LeaseNotFound);
        }
        let held: Vec<KeyValue> = self.now().into_values().filter(|kv| kv.lease == id).collect();
        if !held.is_empty() {
            self.revision += 1;
        }
        for kv in held {
            self.changes.push(Changed { revision: self.revision, key: kv.key, kv: None });
        }
        Ok(())
    }

    pub(crate) fn compact(&mut self, revision: i64) -> Result<(), EtcdError> {
        if revision <= self.compacted {
            return Err(EtcdError::Compacted);
        }
        if revision > self.revision {
            return Err(EtcdError::FutureRevision);
        }
        self.compacted = revision;
        Ok(())
    }

    fn compare(&self, compare: &Compare) -> bool {
        let found: Vec<KeyValue> = self
            .now()
            .into_values()
            .filter(|kv| in_range(&kv.key, &compare.key, &compare.range_end))
            .collect();
        if found.is_empty() {
            return compare.target != 3 && holds(compare, &KeyValue::default());
        }
        found.iter().all(|kv| holds(compare, kv))
    }
}

fn holds(compare: &Compare, kv: &KeyValue) -> bool {
    let ordering = match compare.target_union.clone().unwrap() {
        TargetUnion::Version(expected) => kv.version.cmp(&expected),
        TargetUnion::CreateRevision(expected) => kv.create_revision.cmp(&expected),
        TargetUnion::ModRevision(expected) => kv.mod_revision.cmp(&expected),
        TargetUnion::Value(expected) => kv.value.cmp(&expected),
        TargetUnion::Lease(expected) => kv.lease.cmp(&expected),
    };
    match compare.result {
        0 => ordering.is_eq(),
        1 => ordering.is_gt(),
        2 => ordering.is_lt(),
        _ => ordering.is_ne(),
    }
}

/// A real record in the model's words.
pub(crate) fn changed(record: &Record) -> Changed {
    let kv = (!record.is_tombstone()).then(|| record.to_kv(false));
    Changed { revision: record.mod_revision, key: record.key.clone(), kv }
}
