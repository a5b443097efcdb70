use bytes::Bytes;

use super::record::Record;

/// A [`Record`] in a snapshot, here or elsewhere; part of their formats.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct RecordWire {
    /// The key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: Bytes,
    /// The value; empty for a tombstone.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// Revision at which this life of the key began; 0 for a tombstone.
    #[prost(int64, tag = "3")]
    pub create_revision: i64,
    /// Revision of this version.
    #[prost(int64, tag = "4")]
    pub mod_revision: i64,
    /// Position among the changes of the same revision.
    #[prost(uint32, tag = "5")]
    pub sub: u32,
    /// 1 for the first version of a life; 0 marks a tombstone.
    #[prost(int64, tag = "6")]
    pub version: i64,
    /// Lease that holds this version, or 0.
    #[prost(int64, tag = "7")]
    pub lease: i64,
}

impl From<&Record> for RecordWire {
    fn from(record: &Record) -> Self {
        Self {
            key: record.key.clone(),
            value: record.value.clone(),
            create_revision: record.create_revision,
            mod_revision: record.mod_revision,
            sub: record.sub,
            version: record.version,
            lease: record.lease,
        }
    }
}

impl From<RecordWire> for Record {
    fn from(wire: RecordWire) -> Self {
        Self {
            // Own memory: a slice would keep its whole chunk.
            key: Bytes::copy_from_slice(&wire.key),
            value: Bytes::copy_from_slice(&wire.value),
            create_revision: wire.create_revision,
            mod_revision: wire.mod_revision,
            sub: wire.sub,
            version: wire.version,
            lease: wire.lease,
        }
    }
}
