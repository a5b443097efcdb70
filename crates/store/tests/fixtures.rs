//! A store written by an older version opens in this one. `fixtures/format-1` was written by the version that
//! introduced format 1 and is never written again; a new format gets a fixture of its own beside it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use store::proto::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseTimeToLiveRequest, PutRequest,
    RangeRequest, Request, TxnRequest, WatchCreateRequest, WatchRequest, WatchRequestUnion,
};
use store::{Config, Store};
use tee::SealingKey;

/// The key that the fixture is sealed under; it keeps nothing secret.
const KEY: [u8; 32] = *b"fixture of the sealed store, v1.";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

fn config(home: &Path) -> Config {
    let mut config = Config::new(home.join("data"), SealingKey::from_bytes(KEY));
    config.segment_bytes = 1_000;
    config.with_anchor_file(home.join("anchor"))
}

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() }
}

/// Wrote the fixture: a snapshot, several segments behind it, two generations of keys, every kind of record.
#[tokio::test]
#[ignore = "writes a fixture; only for a new format, into a new directory"]
async fn write_fixture() {
    let home = fixture();
    assert!(!home.exists(), "{} is there: a fixture is never written again", home.display());
    fs::create_dir_all(&home).unwrap();
    let store = Store::open(config(&home)).unwrap();
    store.lease_grant(LeaseGrantRequest { ttl: 86_400, id: 77 }).await.unwrap();
    for number in 0..10 {
        store.put(put("counter", &number.to_string())).await.unwrap();
    }
    store.put(PutRequest { lease: 77, ..put("leased", "by 77") }).await.unwrap();
    store.compact(CompactionRequest { revision: 6, physical: true }).await.unwrap();
    store.defragment().await.unwrap();
    store.rotate_key().await.unwrap();
    store.put(put("big", &"x".repeat(3_000))).await.unwrap();
    let txn = TxnRequest {
        success: vec![Request::Put(put("a", "1")).into(), Request::Put(put("b", "2")).into()],
        ..TxnRequest::default()
    };
    store.txn(txn).await.unwrap();
    store
        .delete_range(DeleteRangeRequest { key: "a".into(), ..DeleteRangeRequest::default() })
        .await
        .unwrap();
    store.close();
    fs::remove_file(home.join("data/LOCK")).unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn read(store: &Store, key: &str, revision: i64) -> Option<(String, i64, i64)> {
    let range = RangeRequest { key: key.to_owned().into(), revision, ..RangeRequest::default() };
    let found = store.range(&range).unwrap().kvs.into_iter().next()?;
    Some((String::from_utf8(found.value.to_vec()).unwrap(), found.mod_revision, found.version))
}

#[tokio::test]
async fn a_store_of_format_1_opens() {
    let home = tempfile::tempdir().unwrap();
    copy(&fixture(), home.path());
    let store = Store::open(config(home.path())).unwrap();
    assert_eq!((store.revision(), store.status().compact_revision), (15, 6));
    assert_eq!(read(&store, "counter", 0), Some(("9".into(), 11, 10)));
    assert_eq!(read(&store, "counter", 7), Some(("5".into(), 7, 6)), "history after the compaction");
    assert_eq!(read(&store, "leased", 0), Some(("by 77".into(), 12, 1)));
    assert_eq!(read(&store, "big", 0), Some(("x".repeat(3_000), 13, 1)));
    assert_eq!(read(&store, "a", 14), Some(("1".into(), 14, 1)));
    assert_eq!(read(&store, "a", 0), None);
    assert_eq!(read(&store, "b", 0), Some(("2".into(), 14, 1)));
    let lease = store.lease_time_to_live(LeaseTimeToLiveRequest { id: 77, keys: true });
    assert_eq!((lease.granted_ttl, lease.keys), (86_400, vec!["leased".into()]));
    let watch = store.watch();
    let create = WatchCreateRequest { key: "a".into(), start_revision: 6, ..WatchCreateRequest::default() };
    watch.request(&WatchRequest { request_union: Some(WatchRequestUnion::Create(create)) });
    assert!(watch.next().await.created);
    let events: Vec<(i32, i64)> =
        watch.next().await.events.iter().map(|e| (e.r#type, e.kv.as_ref().unwrap().mod_revision)).collect();
    assert_eq!(events, [(0, 14), (1, 15)]);
    drop(watch);
    // It goes on, and what it writes now is read back with what it had.
    let next = store.put(put("new", "n")).await.unwrap().header.unwrap().revision;
    assert_eq!(next, 16);
    let hash = store.hash_kv(0).unwrap();
    store.close();
    assert_eq!(Store::open(config(home.path())).unwrap().hash_kv(0).unwrap(), hash);
}
