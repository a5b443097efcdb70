//! The sealed etcd v3 store.
