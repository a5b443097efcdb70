//! A store that was restored from an older snapshot goes on where the chain knows more.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;

use archive::{Local, Refused, ResumeError, admit, resume};
use chain::{Address, Anchor};
use store::mvcc::AnchorNote;
use store::proto::{PutRequest, RangeRequest};
use store::{Config, Store};
use support::{CLUSTER, anchor};

fn config(dir: &Path) -> Config {
    Config::new(dir, tee::SealingKey::from_bytes([7; 32]))
}

async fn put(store: &Store, key: &str, value: &str) {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    store.put(PutRequest { key, value, ..PutRequest::default() }).await.unwrap();
}

/// Notes the state as the keeper does, and gives the anchor that is then on chain.
async fn anchored(store: &Store) -> Anchor {
    let root = store.state_root();
    let note = AnchorNote {
        cluster: CLUSTER.into_inner().to_vec(),
        revision: root.point.revision,
        state_root: root.root.to_vec(),
        log_hash: root.point.chain.to_vec(),
        confirmed: 0,
        resumes_at: 0,
        confirmed_version: 0,
    };
    store.note_anchor(note).await.unwrap();
    Anchor { key_epoch: 3, ..anchor(&root) }
}

fn local(store: &Store, anchor: &Anchor) -> Local {
    let status = store.status();
    Local {
        revision: status.revision,
        root_then: store.state_root_at(i64::try_from(anchor.revision).unwrap()).ok(),
        key_epoch: status.key_epoch,
        notes: store.anchor_notes(),
    }
}

fn value(store: &Store, key: &str) -> Option<Vec<u8>> {
    let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    store.range(&request).unwrap().kvs.first().map(|kv| kv.value.to_vec())
}

/// A store at a snapshot, and the anchor of what was lost after it.
async fn disaster(dir: &Path) -> Anchor {
    let store = Store::open(config(&dir.join("lost"))).unwrap();
    put(&store, "a", "1").await;
    anchored(&store).await;
    put(&store, "b", "2").await;
    let mut extract = store.extract(None).unwrap();
    let mut records = Vec::new();
    while let Some(portion) = extract.portion() {
        records.extend(portion.iter().map(|record| Ok::<_, store::StoreError>((**record).clone())));
    }
    store::rebuild(&config(&dir.join("restored")), &extract.image, records).unwrap();
    drop(extract);
    put(&store, "c", "lost").await;
    let anchor = anchored(&store).await;
    store.close();
    anchor
}

#[tokio::test]
async fn a_restored_store_is_an_older_copy_until_it_is_resumed_and_is_the_cluster_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let anchor = disaster(dir.path()).await;
    let restored = config(&dir.path().join("restored"));
    let store = Store::open(restored.clone()).unwrap();
    assert!(matches!(admit(CLUSTER, &anchor, &local(&store, &anchor)), Err(Refused::Older { .. })));
    store.close();

    let resumed = resume(restored.clone(), CLUSTER, &anchor).await.unwrap();
    assert_eq!((resumed.restored, resumed.anchored, resumed.root_compared), (3, 4, Some(2)));
    assert_eq!(resume(restored.clone(), CLUSTER, &anchor).await.unwrap().resumes_at, resumed.resumes_at);

    let store = Store::open(restored.clone()).unwrap();
    admit(CLUSTER, &anchor, &local(&store, &anchor)).unwrap();
    assert_eq!(store.revision(), resumed.resumes_at);
    assert!(store.status().key_epoch >= 3, "the contract takes no older generation of keys");
    assert_eq!((value(&store, "a"), value(&store, "b")), (Some(b"1".to_vec()), Some(b"2".to_vec())));
    assert_eq!(value(&store, "c"), None, "what came after the snapshot is lost");
    let early = RangeRequest { key: "a".into(), revision: 3, ..RangeRequest::default() };
    assert!(store.range(&early).unwrap_err().to_string().contains("compacted"), "no cache of before fits");
    // It is anchored as the cluster's state, and what was lost is another history now.
    put(&store, "d", "3").await;
    let next = anchored(&store).await;
    assert!(next.revision > anchor.revision);
    store.close();
    let lost = Store::open(config(&dir.path().join("lost"))).unwrap();
    assert!(matches!(admit(CLUSTER, &next, &local(&lost, &next)), Err(Refused::Older { .. })));
    lost.close();
    let store = Store::open(restored).unwrap();
    admit(CLUSTER, &next, &local(&store, &next)).unwrap();
}

#[tokio::test]
async fn a_snapshot_of_another_history_or_cluster_does_not_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let anchor = disaster(dir.path()).await;
    let restored = config(&dir.path().join("restored"));
    let other = resume(restored.clone(), Address::new([8; 32]), &anchor).await;
    assert!(matches!(other, Err(ResumeError::OtherCluster { .. })));
    // The chain knows another state at a revision that the snapshot has.
    let forged = Anchor { revision: 2, state_root: vec![9; 32], ..anchor.clone() };
    let different = resume(restored.clone(), CLUSTER, &forged).await.unwrap_err();
    assert!(matches!(different, ResumeError::Different { revision: 2, .. }), "{different}");
    resume(restored, CLUSTER, &anchor).await.unwrap();
}
