use std::path::Path;

use archive::cold::{BasePolicy, Directory, Fetched};
use store::proto::{CompactionRequest, PutRequest};
use tee::SealingKey;

use super::*;

const CLUSTER: [u8; 32] = [4; 32];

fn keys() -> ColdKeys {
    ColdKeys::new(SealingKey::from_bytes([9; 32]))
}

async fn put(store: &Store, key: &str, value: &str) {
    let put =
        PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() };
    store.put(put).await.unwrap();
}

/// A store with an archiver that takes snapshots when asked, and every `interval_ms`.
fn start(home: &Path, interval_ms: u64) -> (Store, Arc<Board>, CancellationToken) {
    start_holding(home, interval_ms, 0)
}

/// The same, whose store keeps compacted history until a snapshot has it.
fn start_holding(
    home: &Path,
    interval_ms: u64,
    history_bytes: u64,
) -> (Store, Arc<Board>, CancellationToken) {
    let mut settings = store::Config::new(home.join("store"), SealingKey::from_bytes([3; 32]));
    settings.held_history_bytes = history_bytes;
    let store = Store::open(settings).unwrap();
    let board = Arc::new(Board::new(String::new()));
    // Bases are tiny here.
    let base = BasePolicy { max_changes_percent: 10_000, ..BasePolicy::default() };
    let sealed = home.join("cluster.pki");
    std::fs::write(&sealed, b"sealed keys").unwrap();
    let archiver = Archiver {
        board: board.clone(),
        store: store.clone(),
        keys: keys(),
        cluster: CLUSTER,
        clock: crate::shared::system_clock(),
        config: ColdConfig { interval_ms, base, history_bytes, ..ColdConfig::default() },
        place: Arc::new(Directory::open(home.join("cold")).unwrap()),
        dir: home.join("archive"),
        attached: vec![sealed],
    };
    std::fs::create_dir_all(home.join("archive")).unwrap();
    let catalog = archiver.catalog().unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(archiver.run(catalog, stop.clone()));
    (store, board, stop)
}

async fn holds(home: &Path, name: &str) -> i64 {
    let place = Directory::open(home.join("cold")).unwrap();
    let dir = home.join(format!("fetched-{name}"));
    let fetched = Fetched::chain(&place, name, &CLUSTER, &keys(), &dir, |_| ()).await.unwrap();
    assert_eq!(fetched.attachments()[0].name, "cluster.pki");
    assert_eq!(fetched.attachments()[0].content, b"sealed keys".as_slice());
    fetched.verify().unwrap().revision
}

#[tokio::test]
async fn whoever_asks_is_given_the_name_and_anchors_carry_it() {
    let home = tempfile::tempdir().unwrap();
    let (store, board, stop) = start(home.path(), 0);
    sleep(Duration::from_millis(50)).await;
    let mut names = Vec::new();
    for number in 0..3 {
        put(&store, &format!("k{number}"), "v").await;
        let name = store.request_copy().await.unwrap();
        assert_eq!(board.read().snapshot_blob, name.as_bytes());
        assert_eq!(holds(home.path(), &name).await, store.revision());
        names.push(name);
    }
    // History that the last snapshot does not have is gone: the next one is a base.
    for _ in 0..5 {
        put(&store, "k0", "again").await;
    }
    store.compact(CompactionRequest { revision: store.revision(), physical: true }).await.unwrap();
    let name = store.request_copy().await.unwrap();
    assert_eq!(holds(home.path(), &name).await, store.revision());
    let catalog = Catalog::open(home.path().join("archive/catalog.json")).unwrap();
    let chains: Vec<usize> = catalog.entries().iter().map(|entry| entry.chain.len()).collect();
    assert_eq!(chains, [0, 1, 2, 0]);

    // A restart knows what there is, and says so before it is asked.
    stop.cancel();
    store.close();
    sleep(Duration::from_millis(50)).await;
    drop(store);
    let (store, board, _stop) = start(home.path(), 0);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(board.read().snapshot_blob, name.as_bytes());
    store.close();
}

#[tokio::test]
async fn what_fails_is_told_and_tried_again_from_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let (store, board, _stop) = start(home.path(), 0);
    sleep(Duration::from_millis(50)).await;
    put(&store, "k", "v").await;
    // A file where the directory of pieces was.
    std::fs::remove_dir_all(home.path().join("cold")).unwrap();
    std::fs::write(home.path().join("cold"), b"").unwrap();
    let error = store.request_copy().await.unwrap_err();
    assert!(error.to_string().contains("cold"), "{error}");
    assert!(board.read().snapshot_blob.is_empty());
    let spooled = std::fs::read(home.path().join("archive/spool/000000.piece")).unwrap();

    put(&store, "k", "w").await;
    std::fs::remove_file(home.path().join("cold")).unwrap();
    std::fs::create_dir(home.path().join("cold")).unwrap();
    let name = store.request_copy().await.unwrap();
    assert_eq!(holds(home.path(), &name).await, store.revision());
    let catalog = Catalog::open(home.path().join("archive/catalog.json")).unwrap();
    let first = home.path().join(format!("cold/{}.piece", catalog.entries()[0].link.last.name));
    assert_eq!(std::fs::read(first).unwrap(), spooled, "what was taken first is sent first");
    store.close();
}

#[tokio::test]
async fn time_passes_and_snapshots_are_taken_while_something_changes() {
    let home = tempfile::tempdir().unwrap();
    let (store, _board, _stop) = start(home.path(), 100);
    put(&store, "k", "v").await;
    sleep(Duration::from_millis(700)).await;
    let count = || Catalog::open(home.path().join("archive/catalog.json")).unwrap().entries().len();
    let first = count();
    assert!((1..=2).contains(&first), "{first}");
    sleep(Duration::from_millis(500)).await;
    assert_eq!(count(), first, "nothing has changed");
    put(&store, "k", "w").await;
    sleep(Duration::from_millis(700)).await;
    assert_eq!(count(), first + 1);
    store.close();
}

#[tokio::test]
async fn compaction_takes_nothing_that_no_snapshot_has_and_much_of_it_brings_one_early() {
    let home = tempfile::tempdir().unwrap();
    let (store, _board, _stop) = start_holding(home.path(), 0, 60_000);
    let entries = || Catalog::open(home.path().join("archive/catalog.json")).unwrap().entries().to_vec();
    put(&store, "k", "0").await;
    while store.request_copy().await.is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    let first = store.revision();
    for number in 0..10 {
        put(&store, "k", &format!("{number:0100}")).await;
    }
    store.compact(CompactionRequest { revision: store.revision(), physical: true }).await.unwrap();
    store.request_copy().await.unwrap();
    let delta = entries()[1].clone();
    assert_eq!((delta.link.since, delta.chain.len()), (first, 1), "the chain goes on over the compaction");
    let mut records = 0;
    let place = Directory::open(home.path().join("cold")).unwrap();
    let dir = home.path().join("fetched");
    let fetched = Fetched::chain(&place, &delta.link.last.name, &CLUSTER, &keys(), &dir, |_| ()).await;
    records += fetched.unwrap().verify().unwrap().records;
    assert_eq!(records, 11, "every version is in one of the two");

    // Nobody asks and no time passes: history has filled half of what it may.
    for number in 0..45 {
        put(&store, "k", &format!("{number:01000}")).await;
    }
    store.compact(CompactionRequest { revision: store.revision(), physical: true }).await.unwrap();
    for _ in 0..3_000 {
        if entries().len() > 2 {
            break;
        }
        sleep(Duration::from_millis(20)).await;
    }
    let early = entries()[2].clone();
    assert_eq!((early.link.since, early.link.revision), (delta.link.revision, store.revision()));
    while store.status().used_bytes > 3_000 {
        sleep(Duration::from_millis(20)).await;
    }
    store.close();
}
