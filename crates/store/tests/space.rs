//! A disk that fills up: the store says so while deletions, compactions and snapshots still find room.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::disk::{Disk, DiskFile, DiskLock, SystemDisk};
use store::proto::{AlarmAction, AlarmRequest, AlarmType, CompactionRequest, DeleteRangeRequest, PutRequest};
use store::{Config, EtcdError, Store};
use tee::SealingKey;

/// The system's disk that says how much room there is: as much as the test wants.
#[derive(Debug)]
struct NearlyFull {
    free: AtomicU64,
}

impl Disk for NearlyFull {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        SystemDisk.create_dir(path)
    }
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        SystemDisk.lock(path)
    }
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        SystemDisk.list(directory)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        SystemDisk.create(path)
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        SystemDisk.open(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemDisk.remove(path)
    }
    fn sync_dir(&self, directory: &Path) -> io::Result<()> {
        SystemDisk.sync_dir(directory)
    }
    fn free_bytes(&self, _path: &Path) -> io::Result<u64> {
        Ok(self.free.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn a_nearly_full_disk_raises_nospace_before_anything_fails() {
    let home = tempfile::tempdir().unwrap();
    let disk = Arc::new(NearlyFull { free: AtomicU64::new(1 << 40) });
    let mut config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    config.disk = disk.clone();
    config.segment_bytes = 1 << 20;
    let store = Store::open(config).unwrap();
    let put = || store.put(PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() });
    put().await.unwrap();

    disk.free.store(1 << 20, Ordering::Relaxed);
    let began = Instant::now();
    while put().await != Err(EtcdError::NoSpace) {
        assert!(began.elapsed() < Duration::from_secs(10), "the alarm is never raised");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store
        .delete_range(DeleteRangeRequest { key: "k".into(), ..DeleteRangeRequest::default() })
        .await
        .unwrap();
    store.compact(CompactionRequest { revision: store.revision(), physical: true }).await.unwrap();
    store.defragment().await.unwrap();

    disk.free.store(1 << 40, Ordering::Relaxed);
    let raised = store.alarms()[0];
    assert_eq!(raised.alarm, AlarmType::Nospace as i32);
    let (action, member_id, alarm) = (AlarmAction::Deactivate as i32, raised.member_id, raised.alarm);
    store.alarm(AlarmRequest { action, member_id, alarm }).await.unwrap();
    put().await.unwrap();
    assert!(store.alarms().is_empty());
}
