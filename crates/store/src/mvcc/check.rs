//! What etcd refuses before a request reaches the state machine.

use std::collections::HashSet;

use bytes::Bytes;

use super::KeyRange;
use crate::EtcdError;
use crate::proto::{
    DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, Request, RequestOp, SortOrder,
    SortTarget, TxnRequest,
};

/// Transactions inside one another. etcd has no limit but that of operations; here the log must be able to read them
/// back, and protobuf messages are read at most 100 deep.
pub const MAX_TXN_DEPTH: usize = 32;
/// etcd's longest lease, in seconds.
pub const MAX_LEASE_TTL: i64 = 9_000_000_000;

/// Checks a range request.
///
/// # Errors
/// No key, or a sort option that does not exist.
pub fn check_range(request: &RangeRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() {
        return Err(EtcdError::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err() || SortTarget::try_from(request.sort_target).is_err()
    {
        return Err(EtcdError::InvalidSortOption);
    }
    Ok(())
}

/// Checks a range request that is to be answered as a stream.
///
/// # Errors
/// As [`check_range`], and what etcd 3.7 does not stream: another order than that of keys, and bounds on revisions. A sort
/// target alone is no order to etcd.
pub fn check_range_stream(request: &RangeRequest) -> Result<(), EtcdError> {
    check_range(request)?;
    let by_key =
        request.sort_target == SortTarget::Key as i32 && request.sort_order == SortOrder::Ascend as i32;
    if request.sort_order != SortOrder::None as i32 && !by_key {
        return Err(EtcdError::Unsupported("RangeStream does not support custom sort orders"));
    }
    let bounds = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    if bounds.iter().any(|bound| *bound != 0) {
        return Err(EtcdError::Unsupported("RangeStream does not support revision filters"));
    }
    Ok(())
}

/// Checks a put.
///
/// # Errors
/// No key, or a value or lease together with the flag that says to keep the old one.
pub fn check_put(request: &PutRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() {
        return Err(EtcdError::EmptyKey);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(EtcdError::ValueProvided);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(EtcdError::LeaseProvided);
    }
    Ok(())
}

/// Checks a deletion.
///
/// # Errors
/// No key.
pub fn check_delete(request: &DeleteRangeRequest) -> Result<(), EtcdError> {
    if request.key.is_empty() { Err(EtcdError::EmptyKey) } else { Ok(()) }
}

/// Checks a grant.
///
/// # Errors
/// A time to live beyond etcd's limit.
pub fn check_lease_grant(request: &LeaseGrantRequest) -> Result<(), EtcdError> {
    if request.ttl > MAX_LEASE_TTL { Err(EtcdError::LeaseTtlTooLarge) } else { Ok(()) }
}

/// Checks a transaction and everything inside it; `max_ops` is etcd's `--max-txn-ops`.
///
/// # Errors
/// Too many operations, an operation that is wrong alone, or one key written twice.
pub fn check_txn(request: &TxnRequest, max_ops: usize) -> Result<(), EtcdError> {
    check_ops(request, max_ops, MAX_TXN_DEPTH)?;
    written(&request.success)?;
    written(&request.failure)?;
    Ok(())
}

fn check_ops(request: &TxnRequest, budget: usize, depth: usize) -> Result<(), EtcdError> {
    let depth = depth.checked_sub(1).ok_or(EtcdError::TooManyOps)?;
    let ops = request.compare.len().max(request.success.len()).max(request.failure.len());
    let left = budget.checked_sub(ops).ok_or(EtcdError::TooManyOps)?;
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(EtcdError::EmptyKey);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::Range(range)) => check_range(range)?,
            Some(Request::Put(put)) => check_put(put)?,
            Some(Request::DeleteRange(delete)) => check_delete(delete)?,
            Some(Request::Txn(txn)) => check_ops(txn, left, depth)?,
            None => return Err(EtcdError::KeyNotFound),
        }
    }
    Ok(())
}

/// Keys and ranges that one list of operations may write.
#[derive(Default)]
struct Written {
    puts: HashSet<Bytes>,
    deletes: Vec<KeyRange>,
}

impl Written {
    fn deletes(&self, key: &[u8]) -> bool {
        self.deletes.iter().any(|range| range.contains(key))
    }
}

/// etcd takes the end here as it stands: "no upper limit" is a range without keys and overlaps no put.
fn deleted(delete: &DeleteRangeRequest) -> KeyRange {
    match delete.range_end.as_ref() {
        [] => KeyRange::One(delete.key.clone()),
        _ => KeyRange::Until(delete.key.clone(), delete.range_end.clone()),
    }
}

/// Collects what `ops` writes; both branches of an inner transaction count, but they may overlap each other.
fn written(ops: &[RequestOp]) -> Result<Written, EtcdError> {
    let mut all = Written::default();
    for op in ops {
        if let Some(Request::DeleteRange(delete)) = &op.request {
            all.deletes.push(deleted(delete));
        }
    }
    for op in ops {
        let Some(Request::Txn(txn)) = &op.request else { continue };
        let then = written(&txn.success)?;
        let otherwise = written(&txn.failure)?;
        for key in &then.puts {
            if all.puts.contains(key) || all.deletes(key) {
                return Err(EtcdError::DuplicateKey);
            }
        }
        for key in &otherwise.puts {
            if all.puts.contains(key) || all.deletes(key) {
                return Err(EtcdError::DuplicateKey);
            }
        }
        for branch in [then, otherwise] {
            all.puts.extend(branch.puts);
            all.deletes.extend(branch.deletes);
        }
    }
    for op in ops {
        let Some(Request::Put(put)) = &op.request else { continue };
        if all.deletes(&put.key) || !all.puts.insert(put.key.clone()) {
            return Err(EtcdError::DuplicateKey);
        }
    }
    Ok(all)
}
