//! History that is compacted before a copy elsewhere has it stays, within bounds, and readers see nothing of that.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use store::mvcc::{Command, Op, Record, State};
use store::proto::{CompactionRequest, DeleteRangeRequest, PutRequest, RangeRequest};
use store::{Config, EtcdError, Extract, Store};
use tee::SealingKey;

fn config(dir: &Path, held_history_bytes: u64) -> Config {
    Config { held_history_bytes, ..Config::new(dir, SealingKey::from_bytes([3; 32])) }
}

async fn put(store: &Store, value: usize) -> i64 {
    let (key, value) = ("k".into(), format!("{value:01000}").into());
    store.put(PutRequest { key, value, ..PutRequest::default() }).await.unwrap().header.unwrap().revision
}

async fn compact(store: &Store, revision: i64) {
    store.compact(CompactionRequest { revision, physical: true }).await.unwrap();
}

fn revisions(mut extract: Extract) -> Vec<i64> {
    let mut revisions = Vec::new();
    while let Some(portion) = extract.portion() {
        revisions.extend(portion.iter().map(|record| record.mod_revision));
    }
    revisions
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_no_copy_has_stays_over_compaction_and_restarts_and_goes_when_one_has_it() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(home.path(), 1 << 30)).unwrap();
    for number in 0..50 {
        put(&store, number).await;
    }
    let copied = store.extract(None).unwrap().image.revision;
    store.hold_history(copied);
    for number in 0..50 {
        put(&store, number).await;
    }
    let now = store.revision();
    compact(&store, now).await;
    let old = RangeRequest { key: "k".into(), revision: now - 1, ..RangeRequest::default() };
    assert_eq!(store.range(&old), Err(EtcdError::Compacted), "compacted is compacted");
    let changes: Vec<i64> = (copied + 1..=now).collect();
    assert_eq!(revisions(store.extract(Some(copied)).unwrap()), changes);
    assert!(matches!(store.extract(Some(copied - 1)), Err(EtcdError::Compacted)), "what a copy has went");

    // From the log, and from the store's own snapshot.
    for _ in 0..2 {
        store.close();
        let store = Store::open(config(home.path(), 1 << 30)).unwrap();
        assert_eq!(revisions(store.extract(Some(copied)).unwrap()), changes);
        assert_eq!(store.range(&old), Err(EtcdError::Compacted));
        store.defragment().await.unwrap();
        store.close();
    }
    let store = Store::open(config(home.path(), 1 << 30)).unwrap();
    assert!(store.status().used_bytes > 50_000, "{}", store.status().used_bytes);
    store.hold_history(now);
    until("history that a copy has goes", || store.status().used_bytes < 3_000).await;
    assert_eq!(revisions(store.extract(Some(now)).unwrap()), [0_i64; 0]);
    store.close();

    // Who takes no copies keeps nothing.
    let store = Store::open(config(home.path(), 1 << 30)).unwrap();
    store.hold_history(now);
    for number in 0..50 {
        put(&store, number).await;
    }
    compact(&store, store.revision()).await;
    assert!(store.status().used_bytes > 50_000, "{}", store.status().used_bytes);
    store.close();
    let store = Store::open(config(home.path(), 0)).unwrap();
    until("nothing is held", || store.status().used_bytes < 3_000).await;
    store.close();
}

#[tokio::test]
async fn history_that_no_copy_has_does_not_fill_the_memory() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(home.path(), 20_000)).unwrap();
    let copied = store.revision();
    store.hold_history(copied);
    for number in 0..15 {
        put(&store, number).await;
    }
    compact(&store, store.revision()).await;
    until("it is weighed", || store.held_history() > 14_000).await;
    assert_eq!(revisions(store.extract(Some(copied)).unwrap()).len(), 15);
    for number in 0..15 {
        put(&store, number).await;
    }
    compact(&store, store.revision()).await;
    until("too much goes", || store.status().used_bytes < 3_000).await;
    assert!(matches!(store.extract(Some(copied)), Err(EtcdError::Compacted)), "nobody is told half");
    assert_eq!(store.held_history(), 0);
    store.close();
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u16),
    Delete(u8),
    Compact(u8),
    Hold(u8),
    Scrub(u8),
    Weigh,
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_u8, 0..500_u16).prop_map(|(key, bytes)| Step::Put(key, bytes)),
        3 => (0..4_u8).prop_map(Step::Delete),
        2 => any::<u8>().prop_map(Step::Compact),
        2 => any::<u8>().prop_map(Step::Hold),
        3 => (1..5_u8).prop_map(Step::Scrub),
        1 => Just(Step::Weigh),
        1 => Just(Step::Restore),
    ]
}

fn key(number: u8) -> Bytes {
    vec![b'a' + number].into()
}

/// A state made again from its own image, held as it was told last.
fn restored(state: &mut State, hold: Option<i64>) -> State {
    let (image, mut cursor) = state.begin_image();
    let mut records: Vec<Record> = Vec::new();
    while let Some(part) = state.image_records(&mut cursor, 3) {
        records.extend(part.iter().map(|record| Record::clone(record)));
    }
    state.end_image();
    let mut restored = State::restore(&image, records).unwrap();
    hold.into_iter().for_each(|copied| restored.hold_after(copied));
    restored
}

proptest! {
    #[test]
    fn every_change_that_is_promised_is_there_and_what_is_held_is_weighed(
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let (mut state, mut all, mut hold) = (State::default(), Vec::<Record>::new(), None);
        for step in steps {
            let mut changes = Vec::new();
            let before = state.kept_from();
            match step {
                Step::Put(number, bytes) => {
                    let value = vec![number; bytes.into()].into();
                    let put = PutRequest { key: key(number), value, ..PutRequest::default() };
                    state.apply(Command::from(Op::Put(put)), &mut changes).unwrap();
                }
                Step::Delete(number) => {
                    let delete = DeleteRangeRequest { key: key(number), ..DeleteRangeRequest::default() };
                    state.apply(Command::from(Op::DeleteRange(delete)), &mut changes).unwrap();
                }
                Step::Compact(share) => {
                    let revision = state.revision() * i64::from(share) / 255;
                    let compact = CompactionRequest { revision, physical: false };
                    let _refused = state.apply(Command::from(Op::Compact(compact)), &mut changes).is_err();
                }
                Step::Hold(share) => {
                    // Copies only become younger.
                    let copied = (state.revision() * i64::from(share) / 255).max(hold.unwrap_or_default());
                    hold = Some(copied);
                    state.hold_after(copied);
                }
                Step::Scrub(max) => {
                    state.scrub(max.into());
                }
                Step::Weigh => while state.has_unweighed() {
                    state.weigh_held(2);
                },
                Step::Restore => state = restored(&mut state, hold),
            }
            all.extend(changes.iter().map(|change| Record::clone(&change.record)));
            let from = state.kept_from();
            let may_go = state.compact_revision().min(hold.map_or(i64::MAX, |copied| copied + 1));
            prop_assert!(from <= before.max(may_go).max(1), "{from} is kept, before {before}, may go {may_go}");
            let kept: Vec<&Record> = all.iter().filter(|record| record.mod_revision >= from).collect();
            let told: Vec<&Record> = state.changes_since(from).map(|record| &**record).collect();
            prop_assert_eq!(told, kept, "from {}", from);
        }
        // What is weighed is what goes when a copy has everything.
        while !state.scrub(3) {}
        while state.has_unweighed() {
            state.weigh_held(2);
        }
        let (held, full) = (state.held_bytes(), state.weight());
        state.hold_after(i64::MAX - 1);
        while !state.scrub(3) {}
        let (freed, compacted) = (full - state.weight(), state.compact_revision());
        // A deletion at the compact revision itself stays: a watch may start there.
        let last = all.iter().filter(|record| record.mod_revision == compacted && record.is_tombstone());
        let last: u64 = last.map(Record::weight).sum();
        if hold.is_some() {
            prop_assert!(held >= freed && held <= freed + last, "{held} held, {freed} went, {last}");
        }
    }
}

#[tokio::test]
async fn a_long_history_comes_in_pages_over_the_socket() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(&home.path().join("store"), 1 << 30)).unwrap();
    store.hold_history(0);
    for number in 0..5_u8 {
        let value = vec![number; 1_400_000].into();
        store.put(PutRequest { key: "k".into(), value, ..PutRequest::default() }).await.unwrap();
    }
    let now = store.revision();
    compact(&store, now).await;
    let socket = home.path().join("store.sock");
    let server =
        store::Server::bind(store.clone(), vec![store::Listener::Unix(socket.clone())]).await.unwrap();
    let serving = tokio::spawn(server.run(std::future::pending()));
    let url = format!("unix://{}", socket.display());
    let found = store::history(&url, None, "k".into(), (0, 0), None).await.unwrap();
    let revisions: Vec<i64> = found.versions.iter().map(|record| record.mod_revision).collect();
    assert_eq!(revisions, [6, 5, 4, 3, 2]);
    assert_eq!((found.revision, found.compact_revision, found.complete_from), (now, now, 1));
    let some = store::history(&url, None, "k".into(), (3, 5), Some(2)).await.unwrap();
    let revisions: Vec<i64> = some.versions.iter().map(|record| record.mod_revision).collect();
    assert_eq!((revisions, some.truncated), (vec![5, 4], true));
    let refused = store::history(&url, None, Bytes::new(), (0, 0), None).await.unwrap_err();
    assert!(refused.to_string().contains("key is not provided"), "{refused}");
    serving.abort();
    store.close();
}
