//! Mistakes that etcd made once, by the number of its issue: not repeated here.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[path = "common/sim_disk.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod sim_disk;

use sim_disk::{Fault, SimDisk};
use store::proto::{
    CompactionRequest, DeleteRangeRequest, EventType, PutRequest, RangeRequest, WatchCreateRequest,
    WatchProgressRequest, WatchRequest, WatchRequestUnion, WatchResponse,
};
use store::{Config, Store, WatchStream};
use tee::SealingKey;

fn put(key: String) -> PutRequest {
    PutRequest { key: key.into(), value: "v".into(), ..PutRequest::default() }
}

fn create(key: &str, range_end: &str, start_revision: i64) -> WatchRequest {
    let (key, range_end) = (key.to_owned().into(), range_end.to_owned().into());
    let create = WatchCreateRequest { key, range_end, start_revision, ..WatchCreateRequest::default() };
    WatchRequest { request_union: Some(WatchRequestUnion::Create(create)) }
}

async fn next(watch: &WatchStream) -> WatchResponse {
    tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("a response")
}

/// etcd #14370: a single member answered a write before it was durable, and lost it in a crash. Here power goes in the
/// very sync that would have made a write durable: it must not have been acknowledged, and everything before it stays.
#[tokio::test]
async fn a_write_is_durable_before_it_is_acknowledged_14370() {
    for cut in 1..30 {
        let disk = SimDisk::new(cut, Box::new(|_| None));
        let mut config = Config::new("/data", SealingKey::from_bytes([7; 32]));
        config.disk = Arc::new(disk.clone());
        config.segment_bytes = 10_000;
        let store = Store::open(config.clone()).unwrap();
        let syncs = AtomicU64::new(0);
        disk.set_plan(Box::new(move |step| {
            let here = step.kind == "sync" && syncs.fetch_add(1, Ordering::Relaxed) + 1 == cut;
            here.then_some(Fault::PowerCut)
        }));
        let mut acknowledged = 0;
        for number in 0..40 {
            match store.put(put(format!("{number:02}"))).await {
                Ok(_) => acknowledged += 1,
                Err(_) => break,
            }
        }
        store.close();
        assert_eq!(disk.struck().len(), 1, "power was to go in sync {cut}");
        disk.restart(true);
        disk.set_plan(Box::new(|_| None));
        let store = Store::open(config).unwrap();
        let all = RangeRequest { key: "0".into(), range_end: "9".into(), ..RangeRequest::default() };
        let found = store.range(&all).unwrap().count;
        // The write on its way may have made it.
        assert!(
            (acknowledged..=acknowledged + 1).contains(&found),
            "{acknowledged} acknowledged, {found} found"
        );
    }
}

/// Each costs a sync of the disk.
const WRITES: i64 = 500;

/// etcd #15220: a progress response told a revision before the events up to it were delivered.
#[tokio::test(flavor = "multi_thread")]
async fn progress_is_never_ahead_of_events_15220() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(Config::new(home.path(), SealingKey::from_bytes([7; 32]))).unwrap();
    let watch = Arc::new(store.watch());
    watch.request(&create("k", "l", 0));
    assert!(next(&watch).await.created);
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for number in 0..WRITES {
                store.put(put(format!("k{}", number % 7))).await.unwrap();
            }
            store.revision()
        }
    });
    let asking = tokio::spawn({
        let watch = watch.clone();
        async move {
            loop {
                let progress = WatchRequestUnion::Progress(WatchProgressRequest {});
                watch.request(&WatchRequest { request_union: Some(progress) });
                tokio::time::sleep(Duration::from_micros(300)).await;
            }
        }
    });
    let (mut delivered, mut told) = (1, 0);
    // Every revision is a change of one watched key, so none may be skipped.
    while delivered < WRITES + 1 {
        let response = next(&watch).await;
        let header = response.header.unwrap().revision;
        if response.events.is_empty() {
            told += 1;
            assert_eq!(header, delivered, "progress says {header}, events were delivered up to {delivered}");
        }
        for event in response.events {
            delivered += 1;
            assert_eq!(event.kv.unwrap().mod_revision, delivered);
        }
    }
    asking.abort();
    assert_eq!(writer.await.unwrap(), WRITES + 1);
    assert!(told > 20, "only {told} times of progress: the test tests nothing");
}

/// etcd #20221: a watch from a revision that is not there yet was told of progress. etcd's client goes on from what it was told when the
/// connection breaks, and so was given events from before the revision it had asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_the_future_is_told_of_no_progress_until_then_20221() {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    config.progress_interval = Duration::from_millis(10);
    let store = Store::open(config).unwrap();
    let watch = store.watch();
    let mut future = create("k", "l", 5);
    if let Some(WatchRequestUnion::Create(create)) = &mut future.request_union {
        create.progress_notify = true;
    }
    watch.request(&future);
    assert!(next(&watch).await.created);
    let ask = WatchRequest { request_union: Some(WatchRequestUnion::Progress(WatchProgressRequest {})) };
    for number in 2..5 {
        watch.request(&ask);
        let told = tokio::time::timeout(Duration::from_millis(100), watch.next()).await;
        assert!(told.is_err(), "before its revision it is told of nothing: {told:?}");
        if number < 4 {
            store.put(put("k".to_owned())).await.unwrap();
        }
    }
    // Now the next revision is the one that is waited for.
    store.put(put("k".to_owned())).await.unwrap();
    let progress = next(&watch).await;
    assert_eq!((progress.header.unwrap().revision, progress.events.len()), (4, 0));
    store.put(put("k".to_owned())).await.unwrap();
    let event = loop {
        let response = next(&watch).await;
        if let Some(event) = response.events.into_iter().next() {
            break event;
        }
    };
    assert_eq!(event.kv.unwrap().mod_revision, 5);
}

/// etcd #19179: a watch that starts at the compact revision missed the deletion at that revision.
#[tokio::test]
async fn a_deletion_at_the_compact_revision_is_delivered_19179() {
    let home = tempfile::tempdir().unwrap();
    let config = Config::new(home.path(), SealingKey::from_bytes([7; 32]));
    let store = Store::open(config.clone()).unwrap();
    store.put(put("k".into())).await.unwrap();
    let delete = DeleteRangeRequest { key: "k".into(), ..DeleteRangeRequest::default() };
    let deleted = store.delete_range(delete).await.unwrap().header.unwrap().revision;
    store.put(put("other".into())).await.unwrap();
    // Physical: returns when the history is really gone.
    store.compact(CompactionRequest { revision: deleted, physical: true }).await.unwrap();
    let check = async |store: &Store, when: &str| {
        let watch = store.watch();
        watch.request(&create("k", "", deleted));
        assert!(next(&watch).await.created);
        let response = next(&watch).await;
        assert_eq!(response.events.len(), 1, "{when}");
        let event = &response.events[0];
        assert_eq!(event.r#type, EventType::Delete as i32, "{when}");
        assert_eq!(event.kv.as_ref().unwrap().mod_revision, deleted, "{when}");
    };
    check(&store, "after the compaction").await;
    store.defragment().await.unwrap();
    check(&store, "after a snapshot").await;
    store.close();
    let store = Store::open(config).unwrap();
    check(&store, "after a restart").await;
}
