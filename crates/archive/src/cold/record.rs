use bytes::Bytes;
use store::mvcc::Record;

/// A [`Record`] in a piece; part of the format.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct RecordWire {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
    #[prost(int64, tag = "3")]
    create_revision: i64,
    #[prost(int64, tag = "4")]
    mod_revision: i64,
    #[prost(uint32, tag = "5")]
    sub: u32,
    #[prost(int64, tag = "6")]
    version: i64,
    #[prost(int64, tag = "7")]
    lease: i64,
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
