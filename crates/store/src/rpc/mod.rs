//! etcd's v3 gRPC services, and the few plain HTTP pages that etcd has on the same port.

mod auth;
mod body;
mod bound;
mod cluster;
mod corked;
mod counted;
mod dispatch;
mod extra;
mod health;
mod hello;
mod hot;
mod http2;
mod kv;
mod lease;
mod maintenance;
mod pages;
mod reflection;
mod schema;
mod server;
mod tls;
mod watch;
mod workers;

pub use server::{Server, serve};

/// The etcd release whose API this is. Clients switch features on by it.
pub(crate) const ETCD_VERSION: &str = "3.6.8";
/// etcd's version of a cluster of that release.
pub(crate) const CLUSTER_VERSION: &str = "3.6";
/// etcd's name for the format generation of that release.
pub(crate) const STORAGE_VERSION: &str = "3.6.0";
