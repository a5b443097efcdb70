//! What the store does by itself.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::time::{Duration, Instant};

use store::proto::{LeaseGrantRequest, LeaseTimeToLiveRequest, PutRequest, RangeRequest};
use store::{AutoCompaction, Config, Store};
use tee::SealingKey;

async fn write(store: &Store, times: usize) {
    let put = PutRequest { key: "k".into(), value: vec![b'v'; 1000].into(), ..PutRequest::default() };
    let writes = (0..times).map(|_| store.put(put.clone()));
    for written in futures::future::join_all(writes).await {
        written.unwrap();
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn history_is_bounded_by_revisions() {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    config.auto_compaction = Some(AutoCompaction::Revisions(100));
    let store = Store::open(config).unwrap();
    write(&store, 3000).await;
    until("compaction", || store.status().compact_revision >= 2000).await;
    until("removal", || store.status().used_bytes < 1_500_000).await;
    let kept = RangeRequest { key: "k".into(), revision: store.revision() - 100, ..RangeRequest::default() };
    assert_eq!(store.range(&kept).unwrap().count, 1, "the last hundred stay readable");
}

#[tokio::test]
async fn history_is_bounded_by_age() {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    config.auto_compaction = Some(AutoCompaction::Periodic(Duration::from_secs(1)));
    let began = Instant::now();
    let store = Store::open(config).unwrap();
    write(&store, 3000).await;
    until("compaction", || store.status().compact_revision > 0).await;
    assert!(began.elapsed() >= Duration::from_secs(1), "compacted what was younger than a second");
}

#[tokio::test]
async fn the_log_is_bounded_by_snapshots_while_writes_go_on() {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    config.auto_compaction = Some(AutoCompaction::Revisions(10));
    config.segment_bytes = 100_000;
    config.snapshot_log_bytes = 300_000;
    let store = Store::open(config.clone()).unwrap();
    for _ in 0..20 {
        write(&store, 1000).await;
    }
    // Twenty million bytes were written.
    until("a snapshot", || store.status().disk_bytes < 8_000_000).await;
    let hash = store.hash_kv(0).unwrap();
    store.close();
    let again = Store::open(config).unwrap();
    assert_eq!(again.hash_kv(0).unwrap(), hash);
}

#[tokio::test]
async fn a_lease_gets_its_whole_time_again_after_a_restart_and_ends_then() {
    const TTL: Duration = Duration::from_secs(2);
    let home = tempfile::tempdir().unwrap();
    let config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    let store = Store::open(config.clone()).unwrap();
    let granted = store.lease_grant(LeaseGrantRequest { id: 7, ttl: 2 }).await.unwrap();
    assert_eq!(granted.ttl, 2);
    let held = PutRequest { key: "held".into(), lease: 7, ..PutRequest::default() };
    store.put(held).await.unwrap();
    tokio::time::sleep(TTL * 3 / 4).await;
    store.close();

    let reopened = Instant::now();
    let store = Store::open(config).unwrap();
    let ask = LeaseTimeToLiveRequest { id: 7, keys: true };
    assert_eq!(store.lease_time_to_live(ask).keys, ["held"]);
    let get = RangeRequest { key: "held".into(), ..RangeRequest::default() };
    let there = || store.range(&get).unwrap().count == 1;
    until("the lease ends", || !there()).await;
    assert!(reopened.elapsed() >= TTL, "it ended {:?} after the restart", reopened.elapsed());
    assert_eq!(store.lease_time_to_live(ask).ttl, -1);
    assert!(store.leases().is_empty());
}
