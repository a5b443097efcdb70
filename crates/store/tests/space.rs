//! A disk that fills up: the store says so while deletions, compactions and snapshots still find room.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use store::disk::{Disk, DiskFile, DiskLock, SystemDisk};
use store::proto::{
    AlarmAction, AlarmRequest, AlarmType, CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest,
};
use store::{Config, EtcdError, Store};
use tee::SealingKey;

/// The system's disk that says how much room there is, and gives files as much as the test wants.
#[derive(Debug)]
struct NearlyFull {
    free: AtomicU64,
    /// No file gets more room than it has.
    full: Arc<AtomicBool>,
}

impl NearlyFull {
    fn new() -> Arc<Self> {
        Arc::new(Self { free: AtomicU64::new(1 << 40), full: Arc::new(AtomicBool::new(false)) })
    }
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
        Ok(Box::new(Cramped { inner: SystemDisk.create(path)?, full: self.full.clone() }))
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

/// A file that finds no more room than it has reserved.
#[derive(Debug)]
struct Cramped {
    inner: Box<dyn DiskFile>,
    full: Arc<AtomicBool>,
}

impl Cramped {
    fn check(&self, end: u64) -> io::Result<()> {
        let beyond = self.full.load(Ordering::Relaxed) && end > self.inner.len()?;
        if beyond { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl DiskFile for Cramped {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.inner.read_at(buffer, offset)
    }
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check(offset + bytes.len() as u64)?;
        self.inner.write_all_at(bytes, offset)
    }
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        self.check(bytes)?;
        self.inner.reserve(bytes)
    }
    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.inner.set_len(bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}

#[tokio::test]
async fn a_disk_that_is_full_at_the_end_of_a_segment_refuses_writes_and_stops_nothing() {
    let home = tempfile::tempdir().unwrap();
    let disk = NearlyFull::new();
    let mut config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    config.disk = disk.clone();
    config.segment_bytes = 100_000;
    let store = Store::open(config.clone()).unwrap();
    let put = |number: usize| {
        let (key, value) = (format!("k{number}").into(), vec![b'v'; 1_000].into());
        store.put(PutRequest { key, value, ..PutRequest::default() })
    };
    disk.full.store(true, Ordering::Relaxed);
    let mut acknowledged = 0;
    let refusal = loop {
        match put(acknowledged).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000, "the disk is never full");
    };
    assert_eq!(refusal, EtcdError::NoSpace);
    // What gives room back goes on, and the store lives.
    store
        .delete_range(DeleteRangeRequest { key: "k0".into(), ..DeleteRangeRequest::default() })
        .await
        .unwrap();
    store.compact(CompactionRequest { revision: store.revision(), physical: true }).await.unwrap();
    assert!(store.range(&RangeRequest { key: "k1".into(), ..RangeRequest::default() }).is_ok());

    disk.full.store(false, Ordering::Relaxed);
    store.defragment().await.unwrap();
    let (action, alarm) = (AlarmAction::Deactivate as i32, AlarmType::Nospace as i32);
    for raised in store.alarms() {
        store.alarm(AlarmRequest { action, member_id: raised.member_id, alarm }).await.unwrap();
    }
    let began = Instant::now();
    while put(acknowledged).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "writes are never taken again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let hash = store.hash_kv(0).unwrap();
    store.close();
    let again = Store::open(config).unwrap();
    assert_eq!(again.hash_kv(0).unwrap(), hash, "nothing acknowledged is lost, nothing refused is there");
    let everything = RangeRequest { key: "k".into(), range_end: "l".into(), ..RangeRequest::default() };
    assert_eq!(again.range(&everything).unwrap().count, i64::try_from(acknowledged).unwrap());
}

#[tokio::test]
async fn a_nearly_full_disk_raises_nospace_before_anything_fails() {
    let home = tempfile::tempdir().unwrap();
    let disk = NearlyFull::new();
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
