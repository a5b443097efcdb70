//! Services beside etcd's own: `grpc.health.v1.Health`, which etcd has too, and `k3s_daas.store.v1.Admin`.

/// What `Health` says about a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum ServingStatus {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HealthCheckRequest {
    /// Empty for the server as a whole.
    #[prost(string, tag = "1")]
    pub service: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct HealthCheckResponse {
    #[prost(enumeration = "ServingStatus", tag = "1")]
    pub status: i32,
}

/// Begins a new generation of the store's keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct RotateKeyRequest {}

#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct RotateKeyResponse {
    /// Number of the new generation.
    #[prost(uint32, tag = "1")]
    pub key_epoch: u32,
}

/// Asks for a proof.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ProveRequest {
    /// Of what.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: bytes::Bytes,
    /// At which revision; 0 is the latest that is anchored, or now when none is.
    #[prost(int64, tag = "2")]
    pub revision: i64,
}

/// A [`crate::root::Proof`]; of `leaf` and `other` one at most is there.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ProveResponse {
    #[prost(int64, tag = "1")]
    pub revision: i64,
    #[prost(uint64, tag = "2")]
    pub keys: u64,
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub siblings: Vec<Vec<u8>>,
    #[prost(message, optional, tag = "4")]
    pub leaf: Option<ProvenLeaf>,
    #[prost(message, optional, tag = "5")]
    pub other: Option<ProvenEntry>,
    /// The value, when the key exists.
    #[prost(bytes = "bytes", tag = "6")]
    pub value: bytes::Bytes,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ProvenLeaf {
    #[prost(int64, tag = "1")]
    pub create_revision: i64,
    #[prost(int64, tag = "2")]
    pub mod_revision: i64,
    #[prost(int64, tag = "3")]
    pub version: i64,
    #[prost(int64, tag = "4")]
    pub lease: i64,
    /// SHA-256.
    #[prost(bytes = "vec", tag = "5")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct ProvenEntry {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub body: Vec<u8>,
}

/// Asks for the versions of one key that are in memory.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct HistoryRequest {
    /// Of which key.
    #[prost(bytes = "bytes", tag = "1")]
    pub key: bytes::Bytes,
    /// The first and the last revision; 0 for no bound.
    #[prost(int64, tag = "2")]
    pub from: i64,
    /// See `from`.
    #[prost(int64, tag = "3")]
    pub until: i64,
    /// How many versions at most, the newest first; 0 for all that fit an answer.
    #[prost(int64, tag = "4")]
    pub limit: i64,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct HistoryResponse {
    /// Revision of the store.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// Its compact revision.
    #[prost(int64, tag = "2")]
    pub compact_revision: i64,
    /// From here on every change of every key is in memory.
    #[prost(int64, tag = "3")]
    pub kept_from: i64,
    /// The newest first.
    #[prost(message, repeated, tag = "4")]
    pub versions: Vec<crate::mvcc::RecordWire>,
    /// Whether there are older ones within the bounds.
    #[prost(bool, tag = "5")]
    pub more: bool,
    /// Points that were anchored, or were about to be.
    #[prost(message, repeated, tag = "6")]
    pub anchors: Vec<crate::mvcc::AnchorNote>,
}

/// Asks for a copy elsewhere, now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct CopyNowRequest {}

#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub struct CopyNowResponse {
    /// Its name there.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// Asks for an anchor now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct AnchorNowRequest {}

#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct AnchorNowResponse {
    /// Up to where the state is anchored.
    #[prost(int64, tag = "1")]
    pub revision: i64,
}
