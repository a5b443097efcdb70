//! Snapshots that were saved elsewhere become stores again, and nothing else does.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use store::proto::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest, WatchCreateRequest,
    WatchRequest, WatchRequestUnion,
};
use store::{Config, EtcdError, Resume, Store, StoreError, restore, snapshot_status};
use tee::SealingKey;

fn config(dir: &Path, root: u8) -> Config {
    Config::new(dir, SealingKey::from_bytes([root; 32]))
}

fn put(key: &str, value: &str, lease: i64) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), lease, ..PutRequest::default() }
}

/// A store with history, a compaction, a deletion and a lease; and what a client saves of it.
async fn saved(home: &Path) -> (Store, PathBuf) {
    let store = Store::open(config(&home.join("first"), 1).with_anchor_file(home.join("anchor"))).unwrap();
    store.lease_grant(LeaseGrantRequest { id: 77, ttl: 600 }).await.unwrap();
    for number in 0..200 {
        store.put(put(&format!("k{}", number % 20), &format!("{number}"), 0)).await.unwrap();
    }
    store.put(put("leased", "x", 77)).await.unwrap();
    store
        .delete_range(DeleteRangeRequest { key: "k3".into(), ..DeleteRangeRequest::default() })
        .await
        .unwrap();
    store.compact(CompactionRequest { revision: 100, physical: true }).await.unwrap();
    let (mut stream, bytes, _) = store.snapshot().await.unwrap();
    let mut saved = Vec::new();
    stream.read_to_end(&mut saved).unwrap();
    assert_eq!(saved.len() as u64, bytes);
    let path = home.join("saved.db");
    fs::write(&path, saved).unwrap();
    (store, path)
}

#[tokio::test]
async fn everything_comes_back_under_a_new_identity() {
    let home = tempfile::tempdir().unwrap();
    let (first, path) = saved(home.path()).await;
    let target = config(&home.path().join("second"), 1);
    let told = restore(&target, &path, Resume::AsSaved).unwrap();
    assert_eq!(told, snapshot_status(&target, &path).unwrap());
    assert_eq!((told.revision, told.compact_revision, told.leases), (first.revision(), 100, 1));

    let second = Store::open(target.with_anchor_file(home.path().join("another-anchor"))).unwrap();
    assert_eq!(second.hash_kv(0).unwrap(), first.hash_kv(0).unwrap());
    assert_eq!(second.leases(), [77]);
    let old = RangeRequest { key: "k3".into(), revision: 150, ..RangeRequest::default() };
    assert_eq!(second.range(&old).unwrap().kvs, first.range(&old).unwrap().kvs);
    assert_ne!(second.status().store_id, first.status().store_id, "the two must not be taken for each other");
    let revision = second.put(put("new", "y", 0)).await.unwrap().header.unwrap().revision;
    assert_eq!(revision, told.revision + 1);
    second.close();

    // The first one's anchor does not vouch for the second.
    let foreign = config(&home.path().join("second"), 1).with_anchor_file(home.path().join("anchor"));
    assert!(matches!(Store::open(foreign), Err(StoreError::Foreign(_))));
}

#[tokio::test]
async fn a_bumped_store_goes_on_later_and_sends_everybody_to_list_anew() {
    let home = tempfile::tempdir().unwrap();
    let (first, path) = saved(home.path()).await;
    let target = config(&home.path().join("second"), 1);
    for by in [0, -5, i64::MAX] {
        let refusal = restore(&target, &path, Resume::Bumped(by)).unwrap_err().to_string();
        assert!(refusal.contains("cannot be moved on"), "{refusal}");
    }
    let bumped = first.revision() + 1_000_000;
    let told = restore(&target, &path, Resume::Bumped(1_000_000)).unwrap();
    assert_eq!((told.revision, told.compact_revision), (bumped, bumped));

    let second = Store::open(target.clone()).unwrap();
    let all = |revision| RangeRequest {
        key: vec![0].into(),
        range_end: vec![0].into(),
        revision,
        ..RangeRequest::default()
    };
    let now = second.range(&all(0)).unwrap();
    assert_eq!(now.kvs, first.range(&all(0)).unwrap().kvs, "the same keys, changed when they were");
    assert_eq!(now.header.unwrap().revision, bumped);
    assert_eq!(second.range(&all(first.revision())).unwrap_err(), EtcdError::Compacted);
    assert_eq!(
        second.lease_time_to_live(store::proto::LeaseTimeToLiveRequest { id: 77, keys: true }).keys,
        ["leased"]
    );

    let watches = second.watch();
    let create = WatchCreateRequest {
        key: "k1".into(),
        start_revision: first.revision() + 3,
        ..WatchCreateRequest::default()
    };
    watches.request(&WatchRequest { request_union: Some(WatchRequestUnion::Create(create)) });
    assert!(watches.next().await.created);
    let cancelled = watches.next().await;
    assert!(cancelled.canceled && cancelled.compact_revision == bumped, "{cancelled:?}");

    let again = CompactionRequest { revision: bumped, physical: true };
    assert_eq!(second.compact(again).await.unwrap_err(), EtcdError::Compacted);
    assert_eq!(second.put(put("k1", "new", 0)).await.unwrap().header.unwrap().revision, bumped + 1);
    second.close();
    assert_eq!(Store::open(target).unwrap().revision(), bumped + 1);
}

#[tokio::test]
async fn what_is_not_a_whole_snapshot_of_ours_is_refused_and_nothing_is_left() {
    let home = tempfile::tempdir().unwrap();
    let (_first, path) = saved(home.path()).await;
    let good = fs::read(&path).unwrap();
    let body = good.len() - 32;
    let resealed = |mut bytes: Vec<u8>| {
        let checksum = digest(&SHA256, &bytes[..body]);
        bytes[body..].copy_from_slice(checksum.as_ref());
        bytes
    };
    let changed = |offset: usize| {
        let mut bytes = good.clone();
        bytes[offset] ^= 1;
        bytes
    };
    let target = home.path().join("second");
    for (name, bytes, expected) in [
        ("nothing", Vec::new(), "length"),
        ("cut short", good[..body - 512].to_vec(), "length"),
        ("a page missing", good[512..].to_vec(), "checksum"),
        ("a changed byte", changed(body / 2), "checksum"),
        ("a forged checksum", resealed(changed(body / 2)), "was changed at byte"),
        ("a forged header", resealed(changed(40)), "was changed at byte"),
        ("another format", resealed(vec![7; good.len()]), "not of this store's format"),
    ] {
        fs::write(&path, bytes).unwrap();
        let refusal = restore(&config(&target, 1), &path, Resume::AsSaved).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{name}: {refusal}");
        let left: Vec<_> = fs::read_dir(&target)
            .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
            .unwrap_or_default();
        assert!(left.iter().all(|file| file == "LOCK"), "{name} left {left:?}");
    }
    fs::write(&path, &good).unwrap();
    assert!(matches!(restore(&config(&target, 2), &path, Resume::AsSaved), Err(StoreError::WrongKey(_))));
    restore(&config(&target, 1), &path, Resume::AsSaved).unwrap();
    assert!(matches!(restore(&config(&target, 1), &path, Resume::AsSaved), Err(StoreError::NotEmpty(_))));
}
