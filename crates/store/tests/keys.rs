//! Keys of files: generations, and roots that take over from others.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use store::proto::{PutRequest, RangeRequest};
use store::{Config, Store, StoreError};
use tee::SealingKey;

fn config(dir: &Path, root: u8) -> Config {
    let mut config = Config::new(dir, SealingKey::from_bytes([root; 32]));
    config.segment_bytes = 20_000;
    config
}

fn put(key: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: vec![b'v'; 500].into(), ..PutRequest::default() }
}

/// The generation in the clear part of each file: four bytes behind magic, format, kind and flags.
fn epochs(dir: &Path) -> Vec<u32> {
    let mut epochs: Vec<u32> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log" || extension == "snap"))
        .map(|path| u32::from_le_bytes(fs::read(path).unwrap()[12..16].try_into().unwrap()))
        .collect();
    epochs.sort_unstable();
    epochs.dedup();
    epochs
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_while_writes_go_on_and_survive_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(home.path(), 1)).unwrap();
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..500 {
                store.put(put(&format!("k{}", number % 50))).await.unwrap();
            }
        }
    });
    while store.revision() < 50 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(epochs(home.path()), [0]);
    assert_eq!(store.rotate_key().await.unwrap(), 1);
    assert_eq!(epochs(home.path()), [1], "no file of the generation before is left");
    writer.await.unwrap();
    assert_eq!(store.status().key_epoch, 1);
    let hash = store.hash_kv(0).unwrap();
    store.close();

    let again = Store::open(config(home.path(), 1)).unwrap();
    assert_eq!((again.status().key_epoch, again.hash_kv(0).unwrap()), (1, hash));
    assert_eq!(again.rotate_key().await.unwrap(), 2);
    assert_eq!(epochs(home.path()), [2]);
}

#[tokio::test]
async fn a_new_root_takes_over_and_the_old_one_can_go() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(home.path(), 1)).unwrap();
    for number in 0..100 {
        store.put(put(&format!("k{number}"))).await.unwrap();
    }
    let hash = store.hash_kv(0).unwrap();
    store.close();
    assert!(matches!(Store::open(config(home.path(), 2)), Err(StoreError::WrongKey(_))));

    let mut both = config(home.path(), 2);
    both.older_keys = vec![SealingKey::from_bytes([9; 32]), SealingKey::from_bytes([1; 32])];
    let store = Store::open(both).unwrap();
    let began = Instant::now();
    while epochs(home.path()) != [1] {
        assert!(began.elapsed() < Duration::from_secs(10), "files of the old root stay");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    store.close();

    let store = Store::open(config(home.path(), 2)).unwrap();
    assert_eq!(store.hash_kv(0).unwrap(), hash);
    assert_eq!(store.range(&RangeRequest { key: "k7".into(), ..RangeRequest::default() }).unwrap().count, 1);
    store.close();
    assert!(matches!(Store::open(config(home.path(), 1)), Err(StoreError::WrongKey(_))));
}
