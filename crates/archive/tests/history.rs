//! A key's past over memory and snapshots: all that happened, but for what is truly gone, and that is said.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archive::Past;
use archive::cold::{
    ColdHistory, ColdKeys, ColdStore as _, Directory, Entry, Fetched, Held, Link, Spool, Taking, chain_of,
};
use proptest::prelude::*;
use store::proto::{CompactionRequest, DeleteRangeRequest, HistoryRequest, PutRequest};
use store::{Config, KeyHistory, Store, history_of_files};
use tee::SealingKey;

const CLUSTER: [u8; 32] = [7; 32];

fn keys() -> ColdKeys {
    ColdKeys::new(SealingKey::from_bytes([9; 32]))
}

/// Its revision, and the value unless the key was deleted.
type Change = (i64, Option<Vec<u8>>);

/// A store with its snapshots, and what really happened to each key.
struct World {
    home: tempfile::TempDir,
    store: Store,
    place: Directory,
    /// Snapshots that are listed.
    entries: Vec<Entry>,
    happened: BTreeMap<u8, Vec<Change>>,
    /// First and last revision of every snapshot that can be read, and its name.
    good: Vec<(i64, i64, String)>,
    /// Up to where the newest snapshot goes.
    copied: i64,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(Self::config(home.path())).unwrap();
        let place = Directory::open(home.path().join("cold")).unwrap();
        store.hold_history(0);
        let (entries, happened, good) = Default::default();
        Self { home, store, place, entries, happened, good, copied: 0 }
    }

    fn config(home: &Path) -> Config {
        let held_history_bytes = 1 << 30;
        Config { held_history_bytes, ..Config::new(home.join("store"), SealingKey::from_bytes([3; 32])) }
    }

    async fn put(&mut self, key: u8, value: u8) {
        let value = vec![value; 20];
        let put = PutRequest { key: vec![key].into(), value: value.clone().into(), ..PutRequest::default() };
        let revision = self.store.put(put).await.unwrap().header.unwrap().revision;
        self.happened.entry(key).or_default().push((revision, Some(value)));
    }

    async fn delete(&mut self, key: u8) {
        let delete = DeleteRangeRequest { key: vec![key].into(), ..DeleteRangeRequest::default() };
        let reply = self.store.delete_range(delete).await.unwrap();
        if reply.deleted > 0 {
            self.happened.entry(key).or_default().push((reply.header.unwrap().revision, None));
        }
    }

    async fn compact(&self, share: u8) {
        let revision = self.store.revision() * i64::from(share) / 255;
        let _again = self.store.compact(CompactionRequest { revision, physical: true }).await.is_err();
    }

    /// As the archiver does it: what is stored need not be held any more.
    async fn snapshot(&mut self, base: bool) {
        let before = self.entries.last().filter(|_| !base).cloned();
        let since = before.as_ref().map(|entry| entry.link.revision);
        // The newest was taken off the list: everything, then.
        let (extract, before) = match self.store.extract(since) {
            Ok(extract) => (extract, before),
            Err(_) => (self.store.extract(None).unwrap(), None),
        };
        let taking = Taking {
            keys: &keys(),
            cluster: CLUSTER,
            store_id: self.store.status().store_id,
            attachments: Vec::new(),
            before: before.as_ref(),
            now_ms: self.entries.len() as u64,
            piece_bytes: 1 << 20,
        };
        let mut spool = Spool::take(&self.home.path().join("spool"), extract, &taking, &self.place).unwrap();
        let entry = spool.send(&self.place, |_| ()).await.unwrap();
        spool.done().unwrap();
        let revision = entry.link.revision;
        let from = since.filter(|_| before.is_some()).unwrap_or(self.copied).min(self.copied) + 1;
        self.good.push((from, revision, entry.link.last.name.clone()));
        self.entries.push(entry);
        self.copied = revision;
        self.store.hold_history(revision);
    }

    fn garble(&mut self, which: usize) {
        if self.entries.is_empty() {
            return;
        }
        let name = self.entries[which % self.entries.len()].link.last.name.clone();
        let path = self.home.path().join("cold").join(format!("{name}.piece"));
        std::fs::write(path, b"garbage").unwrap();
        self.good.retain(|(_, _, good)| *good != name);
    }

    fn forget(&mut self, which: usize) {
        if self.entries.is_empty() {
            return;
        }
        let name = self.entries.remove(which % self.entries.len()).link.last.name;
        self.good.retain(|(_, _, good)| *good != name);
    }

    fn links(&self) -> Vec<Link> {
        self.entries.iter().map(|entry| entry.link.clone()).collect()
    }

    fn hot(&self, key: u8, from: i64, until: Option<i64>) -> KeyHistory {
        let until = until.unwrap_or_default();
        let answer =
            self.store.key_history(&HistoryRequest { key: vec![key].into(), from, until, limit: 0 }).unwrap();
        assert!(!answer.more);
        KeyHistory {
            revision: answer.revision,
            compact_revision: answer.compact_revision,
            complete_from: answer.kept_from,
            versions: answer.versions.into_iter().map(Into::into).collect(),
            ..KeyHistory::default()
        }
    }

    async fn cold(&self, links: &[Link], key: u8, from: i64, until: Option<i64>) -> Held {
        let fetched = tempfile::tempdir_in(self.home.path()).unwrap();
        let (until, keys, key) = (until.unwrap_or(i64::MAX), keys(), [key]);
        let history = ColdHistory {
            store: &self.place,
            cluster: &CLUSTER,
            keys: &keys,
            dir: fetched.path(),
            key: &key,
            from,
            until,
        };
        history.read(links, |_| ()).await
    }

    /// The past of each key within these bounds is what happened, but for what is in a gap; and no gap is where something is known.
    async fn check(&self, from: i64, until: Option<i64>, limit: Option<usize>, with_hot: bool) {
        for (key, happened) in &self.happened {
            let held = self.cold(&self.links(), *key, from, until).await;
            let hot = if with_hot { Ok(self.hot(*key, from, until)) } else { Err("not asked".to_owned()) };
            let past = Past::of(&hot, held, from, until, limit).unwrap();
            let said = format!("key {key} from {from} until {until:?} of {happened:?}: {past:?}");
            let found: Vec<Change> = past
                .versions
                .iter()
                .map(|found| {
                    let record = &found.record;
                    (record.mod_revision, (!record.is_tombstone()).then(|| record.value.to_vec()))
                })
                .collect();
            let gap =
                |at: i64| past.missing.iter().any(|gap| gap.from <= at && gap.to.is_none_or(|to| at <= to));
            let wanted = |at: i64| from <= at && until.is_none_or(|until| at <= until);
            let mut expected: Vec<_> = happened
                .iter()
                .filter(|(at, _)| wanted(*at))
                .filter(|v| !gap(v.0) || found.contains(v))
                .cloned()
                .collect();
            let all = expected.len();
            expected.drain(..all.saturating_sub(limit.unwrap_or(usize::MAX)));
            assert_eq!(found, expected, "{said}");
            assert_eq!(past.truncated, expected.len() < all, "{said}");
            for at in (from.max(1)..=self.store.revision()).filter(|at| wanted(*at)) {
                let in_snapshot = self.good.iter().any(|(from, to, _)| *from <= at && at <= *to);
                let in_store = with_hot && at > self.copied;
                assert!(!gap(at) || !(in_snapshot || in_store), "{at} is known: {said}");
            }
            assert!(past.missing.windows(2).all(|two| two[0].to.unwrap() < two[1].from), "{said}");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, u8),
    Delete(u8),
    Compact(u8),
    Snapshot(bool),
    Garble(usize),
    Forget(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, any::<u8>()).prop_map(|(key, value)| Step::Put(key, value)),
        2 => (0..3_u8).prop_map(Step::Delete),
        3 => any::<u8>().prop_map(Step::Compact),
        3 => any::<bool>().prop_map(Step::Snapshot),
        1 => any::<usize>().prop_map(Step::Garble),
        1 => any::<usize>().prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn the_past_is_what_happened_but_for_what_is_gone_and_said_to_be(
        steps in proptest::collection::vec(step(), 1..50),
        from in 0..40_i64, until in proptest::option::of(1..60_i64), limit in proptest::option::of(1..5_usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            for step in steps {
                match step {
                    Step::Put(key, value) => world.put(key, value).await,
                    Step::Delete(key) => world.delete(key).await,
                    Step::Compact(share) => world.compact(share).await,
                    Step::Snapshot(base) => world.snapshot(base).await,
                    Step::Garble(which) => world.garble(which),
                    Step::Forget(which) => world.forget(which),
                }
            }
            world.check(1, None, None, true).await;
            world.check(1, None, None, false).await;
            world.check(from, until, limit, true).await;
            world.store.close();
        });
    }
}

#[tokio::test]
async fn nothing_is_lost_over_compactions_and_the_files_say_as_much_as_the_store() {
    let mut world = World::new();
    for round in 0..6 {
        for value in 0..5 {
            world.put(1, value).await;
        }
        world.delete(1).await;
        world.compact(255).await;
        if round < 5 {
            world.snapshot(round == 3).await;
        }
    }
    let held = world.cold(&world.links(), 1, 1, None).await;
    let hot = world.hot(1, 1, None);
    assert!(hot.versions.len() < 12, "what a snapshot has left memory: {}", hot.versions.len());
    let past = Past::of(&Ok(hot.clone()), held, 1, None, None).unwrap();
    assert_eq!((past.versions.len(), past.missing.len()), (36, 0));
    let revisions: Vec<i64> = past.versions.iter().map(|found| found.record.mod_revision).collect();
    assert_eq!(revisions, (2..=37).collect::<Vec<i64>>());

    // Only pieces that can hold some of it are fetched.
    let newest = world.links().pop().unwrap();
    let held = world.cold(&world.links(), 1, newest.since + 1, None).await;
    assert_eq!(held.read.iter().map(|kept| &kept.name).collect::<Vec<_>>(), [&newest.last.name]);
    // Without a catalogue the newest snapshot leads to its chain.
    let chain = chain_of(&world.place, &newest.last.name, &CLUSTER, &keys(), &world.path("chain")).await;
    assert_eq!(chain.unwrap(), world.links()[3..]);

    world.store.close();
    let files = history_of_files(&World::config(world.home.path()), vec![1].into(), (1, 0), None).unwrap();
    assert_eq!((files.revision, &files.versions[..6]), (hot.revision, &hot.versions[..6]));
    assert!(files.complete_from <= hot.complete_from);
    let limited =
        history_of_files(&World::config(world.home.path()), vec![1].into(), (1, 0), Some(2)).unwrap();
    assert_eq!((limited.versions.len(), limited.truncated), (2, true));
    let open = Store::open(World::config(world.home.path())).unwrap();
    assert!(history_of_files(&World::config(world.home.path()), vec![1].into(), (1, 0), None).is_err());
    open.close();
}

#[tokio::test]
async fn a_snapshot_that_says_something_else_than_the_store_is_not_believed_silently() {
    let mut world = World::new();
    world.put(1, 1).await;
    world.snapshot(true).await;
    let held = world.cold(&world.links(), 1, 1, None).await;
    let mut hot = world.hot(1, 1, None);
    let mut other = held.versions[0].0.clone();
    other.value = "other".into();
    hot.versions = vec![other];
    let refused = Past::of(&Ok(hot), held, 1, None, None).unwrap_err();
    assert!(
        refused.to_string().starts_with("revision 2 is not the same in the store and in snapshot"),
        "{refused}"
    );
    world.store.close();
}

#[tokio::test]
async fn snapshots_prove_what_the_store_proves_at_every_revision() {
    let mut world = World::new();
    for number in 0..60_u8 {
        world.put(number % 7, number).await;
        if number % 9 == 4 {
            world.delete(number % 7).await;
        }
        if number % 20 == 19 {
            world.snapshot(number == 19).await;
        }
    }
    let newest = world.entries.last().unwrap().link.last.name.clone();
    let dir = world.path("fetched");
    let fetched = Fetched::chain(&world.place, &newest, &CLUSTER, &keys(), &dir, |_| ()).await.unwrap();
    for revision in 1..=world.store.revision() {
        for key in [0, 3, 9] {
            let expected = world.store.prove(&vec![key].into(), revision).unwrap();
            let (proof, record) = fetched.prove(&[key], revision).unwrap();
            assert_eq!((proof.clone(), record.map(|record| record.value)), expected, "{key} at {revision}");
            proof.check(&[key], &world.store.state_root_at(revision).unwrap()).unwrap();
        }
    }
    assert!(fetched.prove(&[0], world.store.revision() + 1).is_err());
    assert!(world.place.get(&newest, 1 << 20).await.is_ok());
    world.store.close();
}
