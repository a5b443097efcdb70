use bytes::Bytes;
use store::mvcc::Image;

/// What a snapshot is and where the rest of it lies; the beginning of its last piece, and part of the format.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Index {
    /// The cluster's id on chain.
    #[prost(bytes = "bytes", tag = "1")]
    pub cluster: Bytes,
    /// Random name of the store that it was taken from.
    #[prost(bytes = "bytes", tag = "2")]
    pub store_id: Bytes,
    /// The revision of the snapshot before, whose changes are not here; 0 for a base.
    #[prost(int64, tag = "3")]
    pub since: i64,
    /// All of the store but its records.
    #[prost(message, required, tag = "4")]
    pub image: Image,
    /// The other pieces, in order.
    #[prost(message, repeated, tag = "5")]
    pub pieces: Vec<Piece>,
    /// The snapshots before, the base first.
    #[prost(message, repeated, tag = "6")]
    pub chain: Vec<Link>,
    /// When it was taken, in milliseconds since 1970.
    #[prost(uint64, tag = "7")]
    pub created_ms: u64,
    /// Records in it.
    #[prost(uint64, tag = "8")]
    pub records: u64,
    /// Small files beside the store that a recovery needs, as they are.
    #[prost(message, repeated, tag = "9")]
    pub attachments: Vec<Attachment>,
}

/// A small file that goes with a snapshot.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Attachment {
    /// What it is; who restores knows where it belongs.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its content.
    #[prost(bytes = "bytes", tag = "2")]
    pub content: Bytes,
}

/// A piece as the cold store names it.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message, serde::Deserialize, serde::Serialize)]
pub struct Piece {
    /// Its name there.
    #[prost(string, tag = "1")]
    pub name: String,
    /// SHA-256 of it.
    #[prost(bytes = "vec", tag = "2")]
    #[serde(with = "hex")]
    pub sha256: Vec<u8>,
    /// Its bytes.
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
}

/// A snapshot, by its last piece.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message, serde::Deserialize, serde::Serialize)]
pub struct Link {
    /// The last piece, which has the index.
    #[prost(message, required, tag = "1")]
    pub last: Piece,
    /// The revision of the snapshot before; 0 for a base.
    #[prost(int64, tag = "2")]
    pub since: i64,
    /// Its revision.
    #[prost(int64, tag = "3")]
    pub revision: i64,
    /// Bytes of all its pieces.
    #[prost(uint64, tag = "4")]
    pub bytes: u64,
    /// When it was taken, in milliseconds since 1970.
    #[prost(uint64, tag = "5")]
    pub created_ms: u64,
}

impl Index {
    /// Whether everything is in it.
    #[must_use]
    pub fn is_base(&self) -> bool {
        self.since == 0
    }
}
