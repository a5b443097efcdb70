//! Snapshots in chains: taken, sent over interruptions, fetched, and made stores again; what was changed, exchanged, left
//! out or is another cluster's is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use archive::cold::{
    Attachment, BasePolicy, Catalog, ColdError, ColdKeys, ColdStore, Directory, Entry, Fetched, KeepPolicy,
    Next, Spool, Taking,
};
use async_trait::async_trait;
use bytes::Bytes;
use store::proto::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest,
};
use store::{Config, Store};
use tee::SealingKey;

const CLUSTER: [u8; 32] = [7; 32];
const PIECE: usize = 64 << 10;

fn keys() -> ColdKeys {
    ColdKeys::new(SealingKey::from_bytes([9; 32]))
}

fn config(dir: PathBuf) -> Config {
    Config::new(dir, SealingKey::from_bytes([3; 32]))
}

async fn put(store: &Store, key: &str, value: String, lease: i64) {
    let put = PutRequest { key: key.to_owned().into(), value: value.into(), lease, ..PutRequest::default() };
    store.put(put).await.unwrap();
}

/// Bytes that do not shrink much.
fn text(seed: u64, bytes: usize) -> String {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'!' + (state >> 58) as u8)
    };
    (0..bytes).map(|_| next()).collect()
}

/// A cluster's archive on one machine.
struct World {
    home: tempfile::TempDir,
    store: Store,
    catalog: Catalog,
}

impl World {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(config(home.path().join("store"))).unwrap();
        let catalog = Catalog::open(home.path().join("catalog.json")).unwrap();
        Self { home, store, catalog }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn take(&self, place: &dyn ColdStore, base: bool, now_ms: u64) -> Spool {
        let before = self.catalog.newest().filter(|_| !base);
        let extract = self.store.extract(before.map(|entry| entry.link.revision)).unwrap();
        let taking = Taking {
            keys: &keys(),
            cluster: CLUSTER,
            store_id: self.store.status().store_id,
            attachments: vec![Attachment {
                name: "cluster.pki".to_owned(),
                content: b"sealed".as_slice().into(),
            }],
            before,
            now_ms,
            piece_bytes: PIECE,
        };
        Spool::take(&self.path("spool"), extract, &taking, place).unwrap()
    }

    async fn snapshot(&mut self, place: &dyn ColdStore, base: bool, now_ms: u64) -> Entry {
        let mut spool = self.take(place, base, now_ms);
        let entry = spool.send(place, |_| ()).await.unwrap();
        self.catalog.add(entry.clone()).unwrap();
        spool.done().unwrap();
        entry
    }
}

async fn fetch(place: &dyn ColdStore, entry: &Entry, dir: &Path) -> Result<Fetched, ColdError> {
    Fetched::chain(place, &entry.link.last.name, &CLUSTER, &keys(), dir, |_| ()).await
}

/// A chain of three over deletions, leases and a compaction, and the store's hash at each revision that was snapshot.
async fn chain(place: &dyn ColdStore) -> (World, Vec<Entry>) {
    let mut world = World::new();
    let store = world.store.clone();
    store.lease_grant(LeaseGrantRequest { id: 5, ttl: 600 }).await.unwrap();
    store.lease_grant(LeaseGrantRequest { id: 6, ttl: 600 }).await.unwrap();
    for number in 0..400_u64 {
        put(&store, &format!("k{number:03}"), text(number, 1_000), if number % 9 == 0 { 5 } else { 0 }).await;
    }
    store.compact(CompactionRequest { revision: 100, physical: true }).await.unwrap();
    let mut entries = vec![world.snapshot(place, true, 1_000).await];
    for number in 0..300_u64 {
        put(&store, &format!("k{:03}", number * 2), text(number + 1_000, 500), 6).await;
    }
    let gone =
        DeleteRangeRequest { key: "k1".into(), range_end: "k2".into(), ..DeleteRangeRequest::default() };
    store.delete_range(gone).await.unwrap();
    entries.push(world.snapshot(place, false, 2_000).await);
    store.lease_revoke(LeaseRevokeRequest { id: 6 }).await.unwrap();
    store.compact(CompactionRequest { revision: 200, physical: true }).await.unwrap();
    put(&store, "k150", "again".to_owned(), 0).await;
    entries.push(world.snapshot(place, false, 3_000).await);
    (world, entries)
}

#[tokio::test]
async fn a_chain_makes_the_same_store_again_and_every_revision_of_it() {
    let home = tempfile::tempdir().unwrap();
    let place = Directory::open(home.path().join("cold")).unwrap();
    let (world, entries) = chain(&place).await;
    let newest = &entries[2];
    assert!(newest.chain.len() == 2 && entries[0].pieces.len() > 3, "{} pieces", entries[0].pieces.len());
    assert!(newest.link.bytes * 20 < entries[0].link.bytes, "a delta is small");

    let fetched = fetch(&place, newest, &home.path().join("fetched")).await.unwrap();
    let summary = fetched.verify().unwrap();
    assert_eq!((summary.revision, summary.snapshots, summary.leases), (world.store.revision(), 3, 1));
    assert_eq!(fetched.attachments()[0].content, b"sealed".as_slice());
    let target = config(home.path().join("restored"));
    assert_eq!(fetched.restore(&target, None).unwrap(), world.store.revision());
    let restored = Store::open(target).unwrap();
    assert_eq!(restored.hash_kv(0).unwrap(), world.store.hash_kv(0).unwrap());
    assert_eq!(restored.leases(), [5]);

    let (from, to) = (entries[0].link.revision, newest.link.revision);
    for wanted in [from, from + 1, from + 150, entries[1].link.revision, entries[1].link.revision + 1] {
        let target = config(home.path().join(format!("at-{wanted}")));
        assert_eq!(fetched.restore(&target, Some(wanted)).unwrap(), wanted);
        let restored = Store::open(target).unwrap();
        let status = restored.status();
        assert_eq!((status.revision, status.compact_revision), (wanted, 100));
        let all = RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..RangeRequest::default() };
        let then = RangeRequest { revision: wanted, ..all.clone() };
        assert_eq!(restored.range(&all).unwrap().kvs, world.store.range(&then).unwrap().kvs, "at {wanted}");
    }
    for wanted in [0, from - 1, to + 1] {
        let refused = fetched.restore(&config(home.path().join("never")), Some(wanted)).unwrap_err();
        assert!(matches!(refused, ColdError::Revision { .. }), "{refused}");
    }
}

/// A place that fails at some call, and does or does not do what it was asked before.
struct Failing {
    inner: Directory,
    calls: AtomicUsize,
    at: usize,
    after_doing: bool,
}

#[async_trait]
impl ColdStore for Failing {
    fn place(&self) -> String {
        self.inner.place()
    }

    fn name(&self, piece: &[u8]) -> Result<String, ColdError> {
        self.inner.name(piece)
    }

    async fn put(&self, name: &str, piece: Bytes) -> Result<(), ColdError> {
        let failing = self.calls.fetch_add(1, Ordering::Relaxed) == self.at;
        if !failing || self.after_doing {
            self.inner.put(name, piece).await?;
        }
        if failing { Err(ColdError::NotAPiece("cut".to_owned())) } else { Ok(()) }
    }

    async fn get(&self, name: &str, most: usize) -> Result<Bytes, ColdError> {
        self.inner.get(name, most).await
    }

    async fn remove(&self, name: &str) -> Result<(), ColdError> {
        self.inner.remove(name).await
    }
}

#[tokio::test]
async fn an_upload_that_is_cut_goes_on_where_it_was() {
    let mut world = World::new();
    for number in 0..300_u64 {
        put(&world.store, &format!("k{number}"), text(number, 1_000), 0).await;
    }
    let spool = world.path("spool");
    for cut in 0..50 {
        let inner = Directory::open(world.path("cold")).unwrap();
        let failing =
            Failing { inner, calls: AtomicUsize::new(0), at: cut / 2 % 5, after_doing: cut % 2 == 0 };
        put(&world.store, "cut", cut.to_string(), 0).await;
        let pieces = {
            let mut taken = world.take(&failing, cut % 7 == 0, cut as u64);
            let pieces = taken.entry().pieces.len() + 1;
            assert_eq!(taken.send(&failing, |_| ()).await.is_err(), failing.at < pieces);
            pieces
        };
        // The process died. What was taken is still there and goes on; not one piece that was acknowledged is sent again.
        let mut left = Spool::left(&spool, &failing).unwrap().unwrap();
        let before = failing.calls.load(Ordering::Relaxed);
        let entry = left.send(&failing, |_| ()).await.unwrap();
        let sent = failing.calls.load(Ordering::Relaxed) - before;
        assert_eq!(sent, pieces.saturating_sub(failing.at), "cut {cut} of {pieces}");
        world.catalog.add(entry.clone()).unwrap();
        left.done().unwrap();
        assert!(Spool::left(&spool, &failing).unwrap().is_none());
        let fetched = fetch(&failing.inner, &entry, &world.path(&format!("fetched-{cut}"))).await.unwrap();
        assert_eq!(fetched.verify().unwrap().revision, world.store.revision());
    }
    // One that was never finished is not gone on with.
    std::fs::create_dir_all(&spool).unwrap();
    std::fs::write(spool.join("000000.piece"), b"half").unwrap();
    let place = Directory::open(world.path("cold")).unwrap();
    assert!(Spool::left(&spool, &place).unwrap().is_none() && !spool.exists());
}

/// Pieces on their way are not synced.
#[tokio::test]
async fn a_spool_that_a_power_cut_tore_is_found_out_and_taken_anew() {
    let mut world = World::new();
    for number in 0..300_u64 {
        put(&world.store, &format!("k{number}"), text(number, 1_000), 0).await;
    }
    let (spool, place) = (world.path("spool"), Directory::open(world.path("cold")).unwrap());
    let tears: [fn(&Path); 3] = [
        |piece| std::fs::remove_file(piece).unwrap(),
        |piece| std::fs::write(piece, b"").unwrap(),
        |piece| {
            let mut bytes = std::fs::read(piece).unwrap();
            let half = bytes.len() / 2;
            bytes[half..].fill(0);
            std::fs::write(piece, bytes).unwrap();
        },
    ];
    for (at, tear) in tears.iter().enumerate() {
        put(&world.store, "torn", at.to_string(), 0).await;
        drop(world.take(&place, true, 1));
        tear(&spool.join("000001.piece"));
        let mut left = Spool::left(&spool, &place).unwrap().unwrap();
        assert!(matches!(left.send(&place, |_| ()).await, Err(ColdError::Torn(_))));
        assert!(Spool::left(&spool, &place).unwrap().is_none());
        let entry = world.snapshot(&place, true, 2).await;
        let fetched = fetch(&place, &entry, &world.path(&format!("fetched-{at}"))).await.unwrap();
        assert_eq!(fetched.verify().unwrap().revision, world.store.revision());
    }
}

#[tokio::test]
async fn what_was_changed_exchanged_or_lost_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let place = Directory::open(home.path().join("cold")).unwrap();
    let (world, entries) = chain(&place).await;
    let newest = &entries[2];
    let file = |name: &str| home.path().join("cold").join(format!("{name}.piece"));
    let tried = AtomicUsize::new(0);
    let attempt = |entry: Entry| {
        let dir = home.path().join(format!("try-{}", tried.fetch_add(1, Ordering::Relaxed)));
        let place = place.clone();
        async move { fetch(&place, &entry, &dir).await.and_then(|fetched| fetched.verify()) }
    };

    // Every part of the last piece, which nothing names by digest but the anchor.
    let last = std::fs::read(file(&newest.link.last.name)).unwrap();
    for at in (0..last.len()).step_by(last.len() / 60 + 1) {
        let mut changed = last.clone();
        changed[at] ^= 1;
        std::fs::write(file(&newest.link.last.name), changed).unwrap();
        let refused = attempt(newest.clone()).await.unwrap_err();
        let format = (8..12).contains(&at);
        assert!(
            matches!(refused, ColdError::Tampered { .. } | ColdError::NotAPiece(_) | ColdError::WrongKey(_))
                || format,
            "byte {at}: {refused}"
        );
    }
    for cut in [0, 10, 64, 100, last.len() - 1] {
        std::fs::write(file(&newest.link.last.name), &last[..cut]).unwrap();
        assert!(attempt(newest.clone()).await.is_err(), "{cut} bytes");
    }
    let mut longer = last.clone();
    longer.push(0);
    std::fs::write(file(&newest.link.last.name), longer).unwrap();
    assert!(matches!(attempt(newest.clone()).await, Err(ColdError::Tampered { .. })));
    let mut newer = last.clone();
    newer[8] = 2;
    std::fs::write(file(&newest.link.last.name), newer).unwrap();
    let refused = attempt(newest.clone()).await.unwrap_err();
    assert_eq!(
        refused.to_string().split(" has ").nth(1).unwrap(),
        "format 2, and this version reads up to 1: use a newer k3s-daas"
    );
    std::fs::write(file(&newest.link.last.name), &last).unwrap();

    // A piece of the base exchanged for another of the same snapshot, or gone.
    let [first, second, ..] = &entries[0].pieces[..] else { panic!("more than one piece") };
    let kept = std::fs::read(file(&first.name)).unwrap();
    std::fs::copy(file(&second.name), file(&first.name)).unwrap();
    assert!(matches!(attempt(newest.clone()).await, Err(ColdError::Exchanged(name)) if name == first.name));
    std::fs::remove_file(file(&first.name)).unwrap();
    assert!(
        matches!(attempt(newest.clone()).await, Err(ColdError::Missing { name, .. }) if name == first.name)
    );
    std::fs::write(file(&first.name), kept).unwrap();
    attempt(newest.clone()).await.unwrap();

    // A part in the place of a snapshot, another cluster, another key, a name that leads elsewhere.
    let part =
        Entry { link: archive::cold::Link { last: first.clone(), ..newest.link.clone() }, ..newest.clone() };
    assert!(matches!(attempt(part).await, Err(ColdError::Inconsistent { .. })));
    let other =
        Fetched::chain(&place, &newest.link.last.name, &[8; 32], &keys(), &home.path().join("o"), |_| ())
            .await;
    assert!(matches!(other, Err(ColdError::OtherCluster { .. })));
    let stranger = ColdKeys::new(SealingKey::from_bytes([1; 32]));
    let other =
        Fetched::chain(&place, &newest.link.last.name, &CLUSTER, &stranger, &home.path().join("s"), |_| ())
            .await;
    assert!(matches!(other, Err(ColdError::WrongKey(_))));
    let both = stranger.with_older([SealingKey::from_bytes([9; 32])]);
    Fetched::chain(&place, &newest.link.last.name, &CLUSTER, &both, &home.path().join("b"), |_| ())
        .await
        .unwrap();
    for name in ["../../etc/passwd", "", "x"] {
        assert!(matches!(place.get(name, 10).await, Err(ColdError::Name { .. })), "{name}");
    }
    drop(world);
}

#[tokio::test]
async fn old_chains_are_pruned_and_what_is_needed_stays() {
    let home = tempfile::tempdir().unwrap();
    let place = Directory::open(home.path().join("cold")).unwrap();
    let mut world = World::new();
    let policy = BasePolicy { max_chain: 3, max_changes_percent: 1_000 };
    for number in 0..8_u64 {
        put(&world.store, &format!("k{number}"), text(number, 100), 0).await;
        let base = policy.next(world.catalog.newest()) == Next::Base;
        assert_eq!(base, number % 3 == 0);
        world.snapshot(&place, base, number * 1_000).await;
    }
    let keep = KeepPolicy { last: 3, daily: 0, weekly: 0, max_age_days: 0 };
    let removed = world.catalog.prune(&keep, &place, 8_000).await.unwrap();
    assert_eq!(removed.len(), 3, "5 and its chain from 3 stay");
    let count = std::fs::read_dir(home.path().join("cold")).unwrap().count();
    assert_eq!(count, 5);
    assert_eq!(Catalog::open(world.path("catalog.json")).unwrap().entries().len(), 5);
    for entry in world.catalog.entries() {
        let dir = home.path().join(entry.link.revision.to_string());
        fetch(&place, entry, &dir).await.unwrap().verify().unwrap();
    }
    assert!(world.catalog.prune(&keep, &place, 8_000).await.unwrap().is_empty());
}
