//! The sealed etcd v3 store: cluster state that leaves memory only encrypted, behind etcd's own API.
//!
//! Four layers, each usable without the one below it in this list:
//! [`mvcc`] is the deterministic state machine, [`watch`] hands its changes to watches, both without IO or clock. A
//! log seals every command (AES-256-GCM, one key per file, records chained) and makes it durable before it is
//! applied and answered; snapshots bound it. [`serve`] speaks etcd's gRPC API over it.
//!
//! ```
//! use store::proto::{PutRequest, RangeRequest};
//! use store::{Config, Store};
//!
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let dir = tempfile::tempdir().unwrap();
//! let key = tee::SealingKey::from_bytes([7; 32]);
//! let store = Store::open(Config::new(dir.path(), key.clone())).unwrap();
//! let put = PutRequest { key: "greeting".into(), value: "hello".into(), ..PutRequest::default() };
//! let revision = store.put(put).await.unwrap().header.unwrap().revision;
//! store.close();
//!
//! // Acknowledged is durable, and on disk it is sealed.
//! let store = Store::open(Config::new(dir.path(), key)).unwrap();
//! let found = store.range(&RangeRequest { key: "greeting".into(), ..RangeRequest::default() }).unwrap();
//! assert_eq!((found.kvs[0].value.as_ref(), found.kvs[0].mod_revision), (b"hello".as_ref(), revision));
//! # });
//! ```
#![forbid(unsafe_code)]

mod admin;
mod anchor;
mod anchoring;
mod archiving;
mod background;
mod committer;
mod config;
pub mod disk;
mod error;
mod etcd_error;
mod export;
mod extract;
#[cfg(feature = "fault-injection")]
mod fault;
#[doc(hidden)]
pub mod fuzz;
mod keeper;
mod key_history;
mod lease_clock;
mod listen;
mod log;
mod metrics;
pub mod mvcc;
mod operations;
pub mod proto;
mod queue;
mod rebuild;
mod request_limits;
mod restore;
pub mod root;
mod rpc;
mod seal;
mod shared;
mod store;
pub mod watch;
mod watch_stream;

pub use admin::{AdminError, ClientFiles, anchor, copy, history, prove, rotate_key};
pub use anchor::{Anchor, AnchorError, AnchorPoint, FileAnchor};
pub use background::{Pace, in_background};
pub use config::{AutoCompaction, Config};
pub use error::StoreError;
pub use etcd_error::EtcdError;
pub use extract::Extract;
pub use key_history::{KeyHistory, history_of_files};
pub use lease_clock::LeaseClock;
pub use listen::{ListenError, Listener, TlsFiles};
pub use log::logged_requests;
pub use operations::prefix_end;
pub use rebuild::rebuild;
pub use request_limits::RequestLimits;
pub use restore::{Resume, SnapshotStatus, restore, snapshot_status};
pub use rpc::{Server, serve};
pub use store::{Store, StoreStatus};
pub use watch_stream::WatchStream;
