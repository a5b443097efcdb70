use std::ops::Bound;

use bytes::Bytes;

use super::State;
use super::record::Shared;
use crate::EtcdError;
use crate::proto::{RangeRequest, RangeResponse, ResponseHeader, SortOrder, SortTarget};

/// A set of keys as etcd's requests name it: one key, `[key, end)`, or everything from `key` on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyRange {
    /// Exactly this key.
    One(Bytes),
    /// From the first key up to, not including, the second.
    Until(Bytes, Bytes),
    /// This key and all greater ones.
    From(Bytes),
}

impl KeyRange {
    /// Reads etcd's `key` and `range_end`: no end is one key, the single byte 0 is "no upper limit".
    pub fn new(key: &Bytes, range_end: &Bytes) -> Self {
        match range_end.as_ref() {
            [] => Self::One(key.clone()),
            [0] => Self::From(key.clone()),
            _ => Self::Until(key.clone(), range_end.clone()),
        }
    }

    /// Whether `key` is in the set.
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::One(only) => only.as_ref() == key,
            Self::Until(start, end) => start.as_ref() <= key && key < end.as_ref(),
            Self::From(start) => start.as_ref() <= key,
        }
    }

    /// Whether no key can be in the set.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Until(start, end) if start >= end)
    }

    /// Bounds for an ordered map; the caller has made sure that the range is not empty.
    pub(crate) fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        match self {
            Self::One(key) => (Bound::Included(key), Bound::Included(key)),
            Self::Until(start, end) => (Bound::Included(start), Bound::Excluded(end)),
            Self::From(start) => (Bound::Included(start), Bound::Unbounded),
        }
    }
}

impl State {
    /// Answers a range request at its revision (0: now).
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, EtcdError> {
        self.range_at(request, self.revision())
    }

    /// As [`State::range`], with `current` for "now": inside a transaction that is the revision being made.
    pub(super) fn range_at(&self, request: &RangeRequest, current: i64) -> Result<RangeResponse, EtcdError> {
        let revision = self.readable(request.revision, current)?;
        let header = Some(ResponseHeader { revision: current, ..ResponseHeader::default() });
        let range = KeyRange::new(&request.key, &request.range_end);
        if request.count_only {
            let count = self.count(&range, revision);
            return Ok(RangeResponse { header, count, ..RangeResponse::default() });
        }
        let limit = usize::try_from(request.limit).ok().filter(|limit| *limit > 0);
        let filters = Filters::new(request);
        // etcd takes the first keys before it sorts, unless the request itself asks for an order or a filter.
        let unordered = request.sort_order == SortOrder::None as i32 && filters.is_none();
        let fetched = limit.filter(|_| unordered).map_or(usize::MAX, |limit| limit.saturating_add(1));
        let (mut found, mut count) = (Vec::new(), 0_i64);
        self.visit(&range, revision, |record| {
            count += 1;
            // Beyond the limit only the count is still needed.
            if found.len() < fetched {
                found.push(record.clone());
            }
        });
        if !filters.is_none() {
            found.retain(|record| filters.pass(record));
        }
        let (order, target) = sorting(request);
        if order != SortOrder::None {
            sort(&mut found, order, target);
        }
        let more = limit.is_some_and(|limit| limit < found.len());
        if let Some(limit) = limit {
            found.truncate(limit);
        }
        let kvs = found.iter().map(|record| record.to_kv(request.keys_only)).collect();
        Ok(RangeResponse { header, kvs, more, count })
    }

    fn count(&self, range: &KeyRange, revision: i64) -> i64 {
        let mut count = 0;
        self.visit(range, revision, |_| count += 1);
        count
    }

    /// Calls `each` for every key of `range` that was live at `revision`, in key order.
    pub(super) fn visit(&self, range: &KeyRange, revision: i64, mut each: impl FnMut(&Shared)) {
        if range.is_empty() {
            return;
        }
        if let KeyRange::One(key) = range {
            if let Some(record) = self.keys.get(key.as_ref()).and_then(|history| history.at(revision)) {
                each(record);
            }
            return;
        }
        for history in self.keys.range::<[u8], _>(range.bounds()).map(|(_, history)| history) {
            if let Some(record) = history.at(revision) {
                each(record);
            }
        }
    }
}

/// etcd sorts by key unless told otherwise, and by a target ascending unless told otherwise.
fn sorting(request: &RangeRequest) -> (SortOrder, SortTarget) {
    let order = SortOrder::try_from(request.sort_order).unwrap_or(SortOrder::None);
    let target = SortTarget::try_from(request.sort_target).unwrap_or(SortTarget::Key);
    match (target, order) {
        (SortTarget::Key, SortOrder::Ascend) => (SortOrder::None, target),
        (SortTarget::Key, _) => (order, target),
        (_, SortOrder::None) => (SortOrder::Ascend, target),
        _ => (order, target),
    }
}

/// Ties stay in the order of keys, whichever the direction.
fn sort(records: &mut [Shared], order: SortOrder, target: SortTarget) {
    records.sort_by(|a, b| {
        let ascending = match target {
            SortTarget::Key => a.key.cmp(&b.key),
            SortTarget::Version => a.version.cmp(&b.version),
            SortTarget::Create => a.create_revision.cmp(&b.create_revision),
            SortTarget::Mod => a.mod_revision.cmp(&b.mod_revision),
            SortTarget::Value => a.value.cmp(&b.value),
        };
        if order == SortOrder::Descend { ascending.reverse() } else { ascending }
    });
}

/// Bounds on revisions; 0 is "no bound".
struct Filters {
    min_mod: i64,
    max_mod: i64,
    min_create: i64,
    max_create: i64,
}

impl Filters {
    fn new(request: &RangeRequest) -> Self {
        Self {
            min_mod: request.min_mod_revision,
            max_mod: request.max_mod_revision,
            min_create: request.min_create_revision,
            max_create: request.max_create_revision,
        }
    }

    fn is_none(&self) -> bool {
        self.min_mod == 0 && self.max_mod == 0 && self.min_create == 0 && self.max_create == 0
    }

    fn pass(&self, record: &Shared) -> bool {
        (self.min_mod == 0 || record.mod_revision >= self.min_mod)
            && (self.max_mod == 0 || record.mod_revision <= self.max_mod)
            && (self.min_create == 0 || record.create_revision >= self.min_create)
            && (self.max_create == 0 || record.create_revision <= self.max_create)
    }
}
