use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Sealed snapshots: of the master in its cold store ([master.snapshots]), and files saved with any etcd client,
/// `etcdctl snapshot save FILE`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Snapshot {
    /// Have the running master take a snapshot into the cold store now
    Save,
    /// List the snapshots in the cold store, and when the next one is due
    List,
    /// Say when snapshots are taken, where they go and how long they stay, by the configuration; `--config FILE` tries out another
    Schedule,
    /// Fetch a snapshot from the cold store with all that it needs, and check every record
    Verify(SnapshotName),
    /// Remove snapshots from the cold store that the configuration does not keep
    Prune(SnapshotPrune),
    /// Check a saved file and say what it holds
    Status(SnapshotFile),
    /// Make a store from a saved file or from the cold store, where none is
    Restore(SnapshotRestore),
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SnapshotName {
    // Names of blobs on Walrus may begin with a hyphen.
    /// Which; the newest of the list without it
    #[arg(value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) name: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SnapshotPrune {
    /// Only say which would go
    #[arg(long)]
    pub(crate) dry_run: bool,
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
pub(crate) struct SnapshotRestore {
    /// What `etcdctl snapshot save` wrote
    #[arg(value_name = "FILE", required_unless_present = "name")]
    pub(crate) file: Option<PathBuf>,
    /// A snapshot of the cold store instead: its name, or `newest`
    #[arg(long, value_name = "NAME", allow_hyphen_values = true, conflicts_with_all = ["file", "data_dir"])]
    pub(crate) name: Option<String>,
    /// As it was at this revision; anything between the chain's base and the snapshot
    #[arg(long, value_name = "N", requires = "name", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) revision: Option<i64>,
    /// The --data-dir of `k3s-daas store`, which has the key; without it that of this state directory's master
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Go on this many revisions later than FILE, so that clients that saw more do not take new for old
    #[arg(long, value_name = "N", requires = "mark_compacted", conflicts_with = "name", value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) bump_revision: Option<i64>,
    /// With --bump-revision: without history, so that every watch is told to list anew
    #[arg(long, requires = "bump_revision")]
    pub(crate) mark_compacted: bool,
}

/// Which store is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreEndpoint {
    /// Where the store listens: unix:///PATH, http://ADDRESS:PORT or https://ADDRESS:PORT; without it this state directory's master
    #[arg(long, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// With https: CA that the store's certificate is signed by, PEM
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key", "endpoint"])]
    pub(crate) cacert: Option<PathBuf>,
    /// With https: the client's certificate, PEM
    #[arg(long, value_name = "FILE", requires = "cacert")]
    pub(crate) cert: Option<PathBuf>,
    /// With https: its key, PEM
    #[arg(long, value_name = "FILE", requires = "cacert")]
    pub(crate) key: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn names_of_snapshots_may_begin_with_a_hyphen() {
        let name = "-U2xwqP6DSztCKxpDWMQPtijBZwPerZ1Ob8ICuKJAl4";
        let cluster = format!("0x{}", "1".repeat(64));
        for args in [
            &["recover", "--cluster", &cluster, "--snapshot", name, "--dry-run"][..],
            &["history", "/registry/pods", "--snapshot", name],
            &["snapshot", "restore", "--name", name],
            &["snapshot", "verify", name],
        ] {
            let parsed = Cli::try_parse_from([&["k3s-daas"], args].concat());
            let parsed = parsed.unwrap_or_else(|error| panic!("{args:?}: {error}"));
            assert!(format!("{parsed:?}").contains(&format!("Some({name:?})")), "{parsed:?}");
        }
    }
}
