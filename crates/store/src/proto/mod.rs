//! etcd's v3 messages, with `Bytes` for every key and value so that nothing is copied on the way in.
//!
//! Written as `prost` derives, not generated: field numbers are facts of a public protocol, builds need no
//! protobuf compiler, and hot messages stay under our control. What each field means is etcd's API documentation.
#![allow(missing_docs, reason = "the fields are etcd's public API and documented there")]

mod auth;
mod extra;
mod kv;
mod lease;
mod maintenance;
pub mod reflection;
mod watch;

pub use auth::*;
pub use extra::*;
pub use kv::*;
pub use lease::*;
pub use maintenance::*;
pub use watch::*;

/// Stands at the head of every response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub struct ResponseHeader {
    #[prost(uint64, tag = "1")]
    pub cluster_id: u64,
    #[prost(uint64, tag = "2")]
    pub member_id: u64,
    #[prost(int64, tag = "3")]
    pub revision: i64,
    #[prost(uint64, tag = "4")]
    pub raft_term: u64,
}
