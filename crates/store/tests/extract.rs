//! A copy made of everything at one revision and of what changed after it is the same store again.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

use store::mvcc::Record;
use store::proto::{CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest};
use store::{Config, EtcdError, Extract, Store, StoreError, rebuild};
use tee::SealingKey;

fn config(dir: &Path) -> Config {
    Config::new(dir, SealingKey::from_bytes([3; 32]))
}

async fn put(store: &Store, key: &str, value: &str, lease: i64) -> i64 {
    let put = PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        lease,
        ..PutRequest::default()
    };
    store.put(put).await.unwrap().header.unwrap().revision
}

async fn delete(store: &Store, key: &str) {
    let delete = DeleteRangeRequest { key: key.to_owned().into(), ..DeleteRangeRequest::default() };
    store.delete_range(delete).await.unwrap();
}

fn all(mut extract: Extract) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some(portion) = extract.portion() {
        records.extend(portion.iter().map(|record| Record::clone(record)));
    }
    records
}

#[tokio::test]
async fn everything_and_then_changes_make_the_same_store() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(&home.path().join("first"))).unwrap();
    store.lease_grant(LeaseGrantRequest { id: 5, ttl: 600 }).await.unwrap();
    // More than a portion of keys and of changes.
    for number in 0..2_500 {
        put(&store, &format!("k{}", number % 1_200), &number.to_string(), 0).await;
    }
    let first = store.extract(None).unwrap();
    let since = first.image.revision;
    // What happens while it is read is not in it.
    for number in 0..1_500 {
        put(&store, &format!("k{}", number % 70), "later", 5).await;
    }
    delete(&store, "k3").await;
    delete(&store, "k4").await;
    put(&store, "k4", "again", 0).await;
    let second = store.extract(Some(since)).unwrap();
    let image = second.image.clone();
    assert_eq!(image.revision, store.revision());

    let mut records = all(first);
    assert!(records.iter().all(|record| record.mod_revision <= since));
    let changes = all(second);
    assert_eq!(changes.len(), 1_503);
    assert!(changes.is_sorted_by_key(|record| (record.mod_revision, record.sub)));
    records.extend(changes);
    records.sort_by(|a, b| (&a.key, a.mod_revision, a.sub).cmp(&(&b.key, b.mod_revision, b.sub)));

    let target = config(&home.path().join("second"));
    rebuild(&target, &image, records.into_iter().map(Ok::<_, StoreError>)).unwrap();
    assert!(matches!(
        rebuild(&target, &image, std::iter::empty::<Result<Record, StoreError>>()),
        Err(StoreError::NotEmpty(_))
    ));
    let copy = Store::open(target).unwrap();
    assert_eq!(copy.hash_kv(0).unwrap(), store.hash_kv(0).unwrap());
    assert_eq!(copy.leases(), [5]);
    let old = RangeRequest { key: "k3".into(), revision: since, ..RangeRequest::default() };
    assert_eq!(copy.range(&old).unwrap().kvs, store.range(&old).unwrap().kvs, "history came along");
    assert_eq!(put(&copy, "new", "x", 0).await, image.revision + 1);
}

#[tokio::test]
async fn changes_that_are_gone_are_not_left_out_silently() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(home.path())).unwrap();
    for number in 0..20 {
        put(&store, "k", &number.to_string(), 0).await;
    }
    store.compact(CompactionRequest { revision: 10, physical: true }).await.unwrap();
    assert_eq!(store.extract(Some(8)).unwrap_err(), EtcdError::Compacted);
    assert_eq!(all(store.extract(Some(9)).unwrap()).len(), 12, "10 to 21");
    assert_eq!(all(store.extract(Some(store.revision())).unwrap()), []);
    assert_eq!(store.extract(Some(store.revision() + 1)).unwrap_err(), EtcdError::FutureRevision);

    // A compaction while a copy is being read takes nothing from it, and goes on afterwards.
    let copy = store.extract(Some(9)).unwrap();
    store.compact(CompactionRequest { revision: 20, physical: false }).await.unwrap();
    assert_eq!(all(copy).len(), 12);
    store.compact(CompactionRequest { revision: 21, physical: true }).await.unwrap();
    assert_eq!(store.status().compact_revision, 21);
}
