//! Snapshots that were stored stay readable: pieces of each format that was ever written are kept here.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use archive::cold::{Attachment, Catalog, ColdError, ColdKeys, Directory, Entry, Fetched, Spool, Taking};
use store::proto::{DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest};
use store::{Config, Store};
use tee::SealingKey;

const CLUSTER: [u8; 32] = [7; 32];
/// What the chain of format 1 ends at.
const REVISION: i64 = 24;

fn format_1() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

fn keys() -> ColdKeys {
    ColdKeys::new(SealingKey::from_bytes([9; 32]))
}

async fn put(store: &Store, number: usize, text: &str, lease: i64) {
    let (key, value) = (format!("k{number:02}").into(), format!("{text} {number}").into());
    store.put(PutRequest { key, value, lease, ..PutRequest::default() }).await.unwrap();
}

fn value(store: &Store, key: &str) -> Option<String> {
    let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    let found = store.range(&request).unwrap().kvs;
    found.first().map(|kv| String::from_utf8(kv.value.to_vec()).unwrap())
}

fn newest() -> String {
    std::fs::read_to_string(format_1().join("newest")).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_chain_of_format_1_is_read() {
    let home = tempfile::tempdir().unwrap();
    let place = Directory::open(format_1()).unwrap();
    let dir = home.path().join("fetched");
    let fetched = Fetched::chain(&place, &newest(), &CLUSTER, &keys(), &dir, |_| ()).await.unwrap();
    let summary = fetched.verify().unwrap();
    assert_eq!((summary.revision, summary.snapshots, summary.leases), (REVISION, 2, 1));
    assert_eq!((summary.records, summary.created_ms), (23, 2_000));
    assert_eq!(fetched.attachments(), [Attachment { name: "cluster.pki".into(), content: "sealed".into() }]);

    let target = Config::new(home.path().join("restored"), SealingKey::from_bytes([3; 32]));
    assert_eq!(fetched.restore(&target, None).unwrap(), REVISION);
    let store = Store::open(target).unwrap();
    assert_eq!((store.revision(), store.leases()), (REVISION, vec![5]));
    assert_eq!(value(&store, "k00").as_deref(), Some("changed 0"));
    assert_eq!(value(&store, "k01"), None, "it was deleted");
    assert_eq!(value(&store, "k19").as_deref(), Some("first 19"));
}

/// Whatever a later program writes, this one says that it is too old, before it asks for a key.
#[tokio::test]
async fn a_newer_format_is_refused_with_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let name = newest();
    let mut piece = std::fs::read(format_1().join(format!("{name}.piece"))).unwrap();
    piece[8..12].copy_from_slice(&2_u32.to_le_bytes());
    piece[16..].fill(0xEE);
    let cold = home.path().join("cold");
    let place = Directory::open(cold.clone()).unwrap();
    std::fs::write(cold.join(format!("{name}.piece")), piece).unwrap();
    let refused =
        Fetched::chain(&place, &name, &CLUSTER, &keys(), &home.path().join("fetched"), |_| ()).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, ColdError::Newer { found: 2, known: 1, .. }), "{refused}");
    assert!(refused.to_string().ends_with("this version reads up to 1: use a newer k3s-daas"), "{refused}");
}

/// How the fixture was made; for the next format: `cargo test -p archive --test format -- --ignored`, once, before it changes.
#[tokio::test]
#[ignore = "writes the fixture"]
async fn write_the_fixture() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(Config::new(home.path().join("store"), SealingKey::from_bytes([3; 32]))).unwrap();
    let place = Directory::open(format_1()).unwrap();
    let mut catalog = Catalog::open(home.path().join("catalog.json")).unwrap();
    store.lease_grant(LeaseGrantRequest { id: 5, ttl: 600 }).await.unwrap();
    for number in 0..20 {
        put(&store, number, "first", if number == 3 { 5 } else { 0 }).await;
    }
    snapshot(&store, &place, &mut catalog, home.path(), 1_000).await;
    put(&store, 0, "changed", 0).await;
    put(&store, 2, "changed", 0).await;
    store
        .delete_range(DeleteRangeRequest { key: "k01".into(), ..DeleteRangeRequest::default() })
        .await
        .unwrap();
    let entry = snapshot(&store, &place, &mut catalog, home.path(), 2_000).await;
    assert_eq!(store.revision(), REVISION);
    std::fs::write(format_1().join("newest"), format!("{}\n", entry.link.last.name)).unwrap();
}

async fn snapshot(
    store: &Store,
    place: &Directory,
    catalog: &mut Catalog,
    home: &Path,
    now_ms: u64,
) -> Entry {
    let before = catalog.newest();
    let attachments = vec![Attachment { name: "cluster.pki".into(), content: "sealed".into() }];
    let store_id = store.status().store_id;
    let (keys, extract) = (keys(), store.extract(before.map(|entry| entry.link.revision)).unwrap());
    let taking = Taking {
        keys: &keys,
        cluster: CLUSTER,
        store_id,
        attachments,
        before,
        now_ms,
        piece_bytes: 32 << 20,
    };
    let mut spool = Spool::take(&home.join("spool"), extract, &taking, place).unwrap();
    let entry = spool.send(place, |_| ()).await.unwrap();
    catalog.add(entry.clone()).unwrap();
    spool.done().unwrap();
    entry
}
