use std::sync::Arc;

use bytes::Bytes;

use crate::proto::KeyValue;

/// One version of one key. Immutable: shared by the key's history, the revision log and pending watch events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Bytes,
    /// The value; empty for a tombstone.
    pub value: Bytes,
    /// Revision at which this life of the key began; 0 for a tombstone.
    pub create_revision: i64,
    /// Revision of this version.
    pub mod_revision: i64,
    /// Position among the changes of the same revision.
    pub sub: u32,
    /// 1 for the first version of a life; 0 marks a tombstone.
    pub version: i64,
    /// Lease that holds this version, or 0.
    pub lease: i64,
}

impl Record {
    /// What a record costs beside its key and value, for the quota: the record, its place in the index and in the log.
    const OVERHEAD: u64 = 160;

    /// Whether this version says that the key is gone.
    pub fn is_tombstone(&self) -> bool {
        self.version == 0
    }

    /// Bytes that count against the quota.
    pub fn weight(&self) -> u64 {
        self.key.len() as u64 + self.value.len() as u64 + Self::OVERHEAD
    }

    /// The record as etcd's clients see it.
    pub fn to_kv(&self, keys_only: bool) -> KeyValue {
        KeyValue {
            key: self.key.clone(),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            value: if keys_only { Bytes::new() } else { self.value.clone() },
            lease: self.lease,
        }
    }

    /// Order in the revision log.
    pub(crate) fn order(&self) -> (i64, u32) {
        (self.mod_revision, self.sub)
    }
}

/// Shared record.
pub(crate) type Shared = Arc<Record>;
