use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Snapshots are saved with any etcd client: `etcdctl snapshot save FILE`. They are sealed.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Check a saved snapshot and say what it holds
    Status(SnapshotFile),
    /// Make a store from a saved snapshot, where none is
    Restore(SnapshotFile),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SnapshotFile {
    /// What `etcdctl snapshot save` wrote
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The --data-dir of `k3s-daas store`, which has the key; without it that of this state directory's master
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RotateStoreKey {
    /// Where the store listens: unix:///PATH or http://ADDRESS:PORT; without it this state directory's master
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
}
