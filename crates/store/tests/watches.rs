//! Watches as clients see them.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "common parts are for other tests too")]

#[path = "common/client.rs"]
mod client;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::{Client, Served};
use store::prefix_end;
use store::proto::*;
use tokio::time::timeout;
use tonic::{Code, Streaming};

const SOON: Duration = Duration::from_secs(10);

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() }
}

async fn written(client: &Client, key: &str, value: &str) -> i64 {
    let response: PutResponse = client.call("KV/Put", put(key, value)).await.unwrap();
    response.header.unwrap().revision
}

struct Watch {
    requests: tokio::sync::mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
}

impl Watch {
    async fn open(client: &Client) -> Self {
        let (requests, responses) = client.talk("Watch/Watch").await;
        Self { requests, responses }
    }

    async fn ask(&self, union: WatchRequestUnion) {
        self.requests.send(WatchRequest { request_union: Some(union) }).await.unwrap();
    }

    async fn create(&mut self, request: WatchCreateRequest) -> WatchResponse {
        self.ask(WatchRequestUnion::Create(request)).await;
        let created = self.next().await;
        assert!(created.created);
        created
    }

    async fn next(&mut self) -> WatchResponse {
        timeout(SOON, self.responses.message()).await.expect("a response in time").unwrap().unwrap()
    }
}

fn watch(key: &str, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.to_owned().into(),
        range_end: prefix_end(key.as_bytes()),
        start_revision,
        prev_kv: true,
        ..WatchCreateRequest::default()
    }
}

fn told(response: &WatchResponse) -> Vec<(i32, String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let event = |event: &Event| {
        let kv = event.kv.as_ref().unwrap();
        (event.r#type, text(&kv.value), event.prev_kv.as_ref().map(|kv| text(&kv.value)))
    };
    response.events.iter().map(event).collect()
}

#[tokio::test]
async fn watches_history_then_what_comes() {
    let served = Served::start().await;
    let client = served.client().await;
    let first = written(&client, "w/a", "1").await;
    written(&client, "w/a", "2").await;
    written(&client, "other", "x").await;
    let mut watches = Watch::open(&client).await;
    watches.create(watch("w/", first)).await;
    let history = watches.next().await;
    assert_eq!(told(&history), [(0, "1".into(), None), (0, "2".into(), Some("1".into()))]);
    let delete = DeleteRangeRequest { key: "w/a".into(), ..DeleteRangeRequest::default() };
    let _: DeleteRangeResponse = client.call("KV/DeleteRange", delete).await.unwrap();
    assert_eq!(told(&watches.next().await), [(1, String::new(), Some("2".into()))]);

    watches.ask(WatchRequestUnion::Progress(WatchProgressRequest {})).await;
    let progress = watches.next().await;
    assert_eq!((progress.watch_id, progress.header.unwrap().revision), (-1, served.store.revision()));

    let second = watches.create(watch("w/", 0)).await;
    watches.ask(WatchRequestUnion::Cancel(WatchCancelRequest { watch_id: second.watch_id })).await;
    let cancelled = watches.next().await;
    assert!(cancelled.canceled && cancelled.watch_id == second.watch_id && cancelled.compact_revision == 0);

    let compact = CompactionRequest { revision: served.store.revision(), physical: false };
    let _: CompactionResponse = client.call("KV/Compact", compact).await.unwrap();
    watches.create(watch("w/", first)).await;
    let gone = watches.next().await;
    assert!(gone.canceled && gone.compact_revision == compact.revision);
    served.stop().await;
}

#[tokio::test]
async fn a_reader_that_sleeps_gets_everything_in_order() {
    const WRITES: i64 = 12_000;
    let served = Served::start().await;
    let client = served.client().await;
    let mut watches = Watch::open(&client).await;
    watches.create(watch("s/", 0)).await;
    let first = served.store.revision() + 1;
    let most = Arc::new(AtomicUsize::new(0));
    // Far more than the stream may hold, while nobody reads.
    let writers = (0..8).map(|writer| {
        let (store, most) = (served.store.clone(), most.clone());
        tokio::spawn(async move {
            for _ in 0..WRITES / 8 {
                store.put(put(&format!("s/{writer}"), &"v".repeat(500))).await.unwrap();
                most.fetch_max(store.status().pending_events, Ordering::Relaxed);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    // What waits for it is bounded; the rest it reads from history.
    let most = most.load(Ordering::Relaxed);
    assert!((1_000..=4_096).contains(&most), "{most} events waited");
    assert_eq!(served.store.status().slow_watchers, 1);
    let mut next = first;
    while next < first + WRITES {
        for event in watches.next().await.events {
            assert_eq!(event.kv.unwrap().mod_revision, next);
            next += 1;
        }
    }
    served.stop().await;
}

#[tokio::test]
async fn the_end_of_the_server_ends_watches() {
    let served = Served::start().await;
    let client = served.client().await;
    let mut watches = Watch::open(&client).await;
    watches.create(watch("w/", 0)).await;
    let began = Instant::now();
    served.stop().await;
    let end = timeout(SOON, watches.responses.message()).await.unwrap();
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(4), "shutdown waited for a watch");
}
