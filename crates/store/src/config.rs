use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tee::SealingKey;

use crate::RequestLimits;
use crate::anchor::{Anchor, FileAnchor};
use crate::disk::{Disk, SystemDisk};

/// How to open a [`Store`](crate::Store).
#[derive(Clone)]
pub struct Config {
    /// Where the sealed files are. One process at a time.
    pub data_dir: PathBuf,
    /// Where files are kept: the system's, unless it is to be seen what the store does on a disk with faults.
    pub disk: Arc<dyn Disk>,
    /// Root of all keys of the files.
    pub key: SealingKey,
    /// Roots that sealed before [`Config::key`]: they open what they sealed, and new files are sealed under `key`.
    /// Needed until the first snapshot, which is written at once.
    pub older_keys: Vec<SealingKey>,
    /// Generation of keys that new files get at least; what a chain knows of, when a store is recovered.
    pub min_key_epoch: u32,
    /// Tells an old copy of the directory from the latest; `None` gives that protection up.
    pub anchor: Option<Arc<dyn Anchor>>,
    /// Bytes of keys, values and history above which the store raises `NOSPACE` and takes only deletions and
    /// compactions. 0 is etcd's default, 2 GiB.
    pub quota_bytes: u64,
    /// What one client may send at once.
    pub limits: RequestLimits,
    /// Forget history by itself; kube-apiserver does that too.
    pub auto_compaction: Option<AutoCompaction>,
    /// Changes that are compacted before a copy elsewhere has them ([`Store::hold_history`](crate::Store::hold_history)) stay in
    /// memory, up to so many bytes; what is too much is removed all the same. 0: none stays.
    pub held_history_bytes: u64,
    /// Size at which a new segment of the log begins; reserved on disk.
    pub segment_bytes: u64,
    /// Bytes of log after which a snapshot is written, if that is more than twice the state.
    pub snapshot_log_bytes: u64,
    /// How often idle watches that asked for it are told the revision. etcd: 10 minutes.
    pub progress_interval: Duration,
}

/// etcd's `--auto-compaction-mode` and `--auto-compaction-retention`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Keep the history of this time.
    Periodic(Duration),
    /// Keep this many revisions.
    Revisions(i64),
}

impl Config {
    /// etcd's quota when none is given.
    pub const DEFAULT_QUOTA_BYTES: u64 = 2 << 30;

    /// Defaults for a directory and a key, without anchor.
    pub fn new(data_dir: impl Into<PathBuf>, key: SealingKey) -> Self {
        Self {
            data_dir: data_dir.into(),
            disk: Arc::new(SystemDisk),
            key,
            older_keys: Vec::new(),
            min_key_epoch: 0,
            anchor: None,
            quota_bytes: 0,
            limits: RequestLimits::default(),
            auto_compaction: None,
            held_history_bytes: 0,
            segment_bytes: 64 << 20,
            snapshot_log_bytes: 128 << 20,
            progress_interval: Duration::from_secs(600),
        }
    }

    /// With an anchor in a local file, sealed under the same key. Keep it apart from the data directory.
    #[must_use]
    pub fn with_anchor_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.anchor = Some(Arc::new(FileAnchor::new(self.disk.clone(), path.into(), self.key.clone())));
        self
    }

    pub(crate) fn quota(&self) -> u64 {
        if self.quota_bytes == 0 { Self::DEFAULT_QUOTA_BYTES } else { self.quota_bytes }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("data_dir", &self.data_dir)
            .field("anchored", &self.anchor.is_some())
            .field("quota_bytes", &self.quota())
            .finish_non_exhaustive()
    }
}

impl AutoCompaction {
    /// Reads etcd's two flags: mode `periodic` (retention in hours, or with a unit: `30m`, `10s`) or `revision` (a
    /// number). Retention `0` is "off".
    ///
    /// # Errors
    /// A sentence that says what is expected.
    pub fn parse(mode: &str, retention: &str) -> Result<Option<Self>, String> {
        let bad = || {
            format!(
                "--auto-compaction-retention {retention:?}: expected e.g. 1000 (revisions), 1 (hours) or 30m"
            )
        };
        let off = |value: u64| value == 0;
        match mode {
            "revision" => {
                let revisions: i64 = retention.parse().map_err(|_| bad())?;
                if revisions < 0 {
                    return Err(bad());
                }
                Ok((revisions > 0).then_some(Self::Revisions(revisions)))
            }
            "" | "periodic" => {
                let unit = retention.find(|c: char| !c.is_ascii_digit()).unwrap_or(retention.len());
                let (number, unit) = retention.split_at(unit);
                let number: u64 = number.parse().map_err(|_| bad())?;
                let seconds = match unit {
                    "s" => 1,
                    "m" => 60,
                    "h" | "" => 3600,
                    _ => return Err(bad()),
                };
                let seconds = number.checked_mul(seconds).ok_or_else(bad)?;
                Ok((!off(seconds)).then_some(Self::Periodic(Duration::from_secs(seconds))))
            }
            _ => Err(format!("--auto-compaction-mode {mode:?}: expected periodic or revision")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_etcds_compaction_flags() {
        let hour = AutoCompaction::Periodic(Duration::from_secs(3600));
        assert_eq!(AutoCompaction::parse("", "1"), Ok(Some(hour)));
        assert_eq!(AutoCompaction::parse("periodic", "60m"), Ok(Some(hour)));
        assert_eq!(AutoCompaction::parse("periodic", "0"), Ok(None));
        assert_eq!(AutoCompaction::parse("revision", "1000"), Ok(Some(AutoCompaction::Revisions(1000))));
        for (mode, retention) in [("periodic", "1d"), ("periodic", ""), ("revision", "-1"), ("daily", "1")] {
            assert!(AutoCompaction::parse(mode, retention).is_err(), "{mode} {retention}");
        }
    }
}
