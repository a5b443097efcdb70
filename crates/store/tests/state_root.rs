//! The state root of a store that is written to, compacted, closed and opened again.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;
use store::mvcc::AnchorNote;
use store::proto::{CompactionRequest, DeleteRangeRequest, PutRequest};
use store::{Config, Store};

fn open(dir: &std::path::Path) -> Store {
    Store::open(Config::new(dir, tee::SealingKey::from_bytes([7; 32]))).unwrap()
}

fn put(key: &str, value: String) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.into(), ..PutRequest::default() }
}

fn all() -> DeleteRangeRequest {
    DeleteRangeRequest { key: "key".into(), range_end: "kez".into(), ..DeleteRangeRequest::default() }
}

#[tokio::test]
async fn the_root_follows_is_made_from_history_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut roots = vec![store.state_root()];
    for round in 0..6 {
        for key in 0..300 {
            store.put(put(&format!("key/{key}"), format!("{round}"))).await.unwrap();
        }
        if round == 3 {
            // One revision with more changes than the tree takes at once would be 1,000; several reads all the same.
            store.delete_range(all()).await.unwrap();
        }
        roots.push(store.state_root());
    }
    for known in &roots {
        assert_eq!(store.state_root_at(known.point.revision).unwrap(), known.root);
    }
    let mut distinct: Vec<_> = roots.iter().map(|known| known.root).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), roots.len(), "every state has a root of its own");

    let last = *roots.last().unwrap();
    store.close();
    let store = open(dir.path());
    assert_eq!(store.state_root(), last);
    let compact = CompactionRequest { revision: last.point.revision, physical: true };
    store.compact(compact).await.unwrap();
    assert_eq!(store.state_root().root, last.root, "what can be read now has not changed");
    assert!(store.state_root_at(last.point.revision - 1).is_err());
}

#[tokio::test]
async fn a_revision_with_thousands_of_changes_is_taken_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let empty = store.state_root();
    let puts: Vec<_> = (0..2_500).map(|key| store.put(put(&format!("key/{key}"), "x".to_owned()))).collect();
    for outcome in futures::future::join_all(puts).await {
        outcome.unwrap();
    }
    let full = store.state_root();
    assert_eq!(full.keys, 2_500);
    store.delete_range(all()).await.unwrap();
    let gone = store.state_root();
    assert_eq!((gone.keys, gone.point.revision), (0, full.point.revision + 1));
    assert_ne!(gone.root, empty.root, "a revision is part of the root");
}

#[tokio::test(flavor = "multi_thread")]
async fn roots_are_right_while_others_write_and_history_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                for round in 0..100_000_u64 {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("key/{writer}/{}", round % 97);
                    store.put(put(&key, format!("{round}"))).await.unwrap();
                    if round % 50 == 49 {
                        let revision = store.revision() - 20;
                        // Another writer may have compacted further.
                        let _compacted = store.compact(CompactionRequest { revision, physical: false }).await;
                    }
                }
            })
        })
        .collect();
    let mut checked = 0;
    for _ in 0..60 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let (known, again) = tokio::task::block_in_place(|| {
            let known = store.state_root();
            (known, store.state_root_at(known.point.revision))
        });
        // Compacted meanwhile is possible; wrong is not.
        if let Ok(again) = again {
            assert_eq!(again, known.root, "at revision {}", known.point.revision);
            checked += 1;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(checked > 0, "no root was compared");
    let known = store.state_root();
    assert_eq!(store.state_root_at(known.point.revision).unwrap(), known.root);
}

#[tokio::test]
async fn notes_of_anchors_are_in_log_and_snapshot_and_go_once_confirmed() {
    let dir = tempfile::tempdir().unwrap();
    let note = |revision, confirmed| AnchorNote {
        cluster: vec![1; 32],
        revision,
        state_root: vec![2; 32],
        log_hash: vec![3; 32],
        confirmed,
        resumes_at: 0,
        confirmed_version: 0,
    };
    let store = open(dir.path());
    let before = store.anchor_point();
    store.note_anchor(note(5, 0)).await.unwrap();
    store.note_anchor(note(6, 0)).await.unwrap();
    let after = store.anchor_point();
    assert_eq!(before.revision, after.revision, "a note is no change of a key");
    assert_ne!(before.chain, after.chain, "a note is in the log");
    store.close();
    let store = open(dir.path());
    assert_eq!(store.anchor_notes(), [note(5, 0), note(6, 0)]);
    store.note_anchor(note(7, 6)).await.unwrap();
    store.defragment().await.unwrap();
    store.close();
    let store = open(dir.path());
    assert_eq!(store.anchor_notes(), [note(6, 0), note(7, 6)]);
}

#[tokio::test]
async fn proofs_come_over_the_socket_and_anchors_need_somebody_who_posts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("log"));
    store.put(put("a", "1".to_owned())).await.unwrap();
    store.put(put("b", "2".to_owned())).await.unwrap();
    let root = store.state_root();
    let socket = dir.path().join("store.sock");
    let server =
        store::Server::bind(store.clone(), vec![store::Listener::Unix(socket.clone())]).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = tokio::spawn(server.run(stop.clone().cancelled_owned()));
    let url = format!("unix://{}", socket.display());

    let (proof, value) = store::prove(&url, None, "a".into(), 0).await.unwrap();
    assert_eq!(value.as_deref(), Some(b"1".as_ref()));
    proof.check(b"a", &root.root).unwrap();
    let (absent, nothing) = store::prove(&url, None, "c".into(), root.point.revision).await.unwrap();
    assert_eq!((absent.leaf(), nothing), (None, None));
    absent.check(b"c", &root.root).unwrap();
    let (earlier, _) = store::prove(&url, None, "b".into(), root.point.revision - 1).await.unwrap();
    assert!(earlier.leaf().is_none());
    assert!(
        store::prove(&url, None, "a".into(), 1_000)
            .await
            .unwrap_err()
            .to_string()
            .contains("future revision")
    );

    let nobody = store::anchor(&url, None).await.unwrap_err().to_string();
    assert!(nobody.contains("nobody anchors this store"), "{nobody}");
    let mut wanted = store.anchors_wanted();
    wanted.mark_unchanged();
    let asked = tokio::spawn(async move { store::anchor(&url, None).await });
    wanted.changed().await.unwrap();
    store.anchored(root.point.revision);
    assert_eq!(asked.await.unwrap().unwrap(), root.point.revision);
    stop.cancel();
    serving.await.unwrap().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn equal_histories_have_equal_roots(
        steps in proptest::collection::vec((0_u8..20, proptest::option::of(0_u8..5)), 1..60),
        asked in 0_usize..60,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            let mut roots = Vec::new();
            for (which, dir) in dirs.iter().enumerate() {
                let store = open(dir.path());
                for (at, (key, value)) in steps.iter().enumerate() {
                    let key = format!("key/{key}");
                    match value {
                        Some(value) => drop(store.put(put(&key, value.to_string())).await.unwrap()),
                        None => {
                            let delete = DeleteRangeRequest { key: key.into(), ..DeleteRangeRequest::default() };
                            store.delete_range(delete).await.unwrap();
                        }
                    }
                    if which == 0 && at >= asked {
                        store.state_root();
                    }
                }
                roots.push(store.state_root().root);
            }
            assert_eq!(roots[0], roots[1]);
        });
    }
}
