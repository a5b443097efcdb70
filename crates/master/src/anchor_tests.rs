//! Anchors on a development chain: who may serve, what is posted, and what an attacker with copies of the disk gets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use archive::{AnchorConfig, ProofDocument, Refused};
use chain::{Client, Keypair};
use store::mvcc::AnchorNote;
use store::proto::PutRequest;
use store::{Store, StoreError};
use tee::{EnclaveKey, SealingKey};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::anchor_check::{Checked, OnChain};
use crate::anchor_keeper::AnchorKeeper;
use crate::anchor_poster::Poster;
use crate::board::Board;
use crate::error::MasterError;
use crate::follow::Standing;
use crate::outbox::kills::{SEALING, Scene};
use crate::undeclared::Undeclared;

/// A master's store with what anchors it, on a directory that can be copied while nobody uses it.
pub(crate) struct Life {
    pub(crate) store: Store,
    pub(crate) board: Arc<Board>,
    now_ms: Arc<AtomicU64>,
    stop: CancellationToken,
    keeper: JoinHandle<()>,
}

pub(crate) struct Town {
    pub(crate) scene: Scene,
    dir: tempfile::TempDir,
    pub(crate) config: AnchorConfig,
}

impl Town {
    pub(crate) async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let scene = Scene::start(dir.path()).await;
        let config = AnchorConfig { patience_ms: 0, ..AnchorConfig::default() };
        Self { scene, dir, config }
    }

    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn on_chain(&self, client: Client) -> OnChain {
        OnChain { client, package: self.scene.calls.package(), cluster: self.scene.cluster.id }
    }

    async fn anchor(&self) -> chain::Anchor {
        self.on_chain(self.scene.client.clone()).read().await.unwrap()
    }

    /// Revisions that the chain says were served unanchored.
    pub(crate) async fn declared(&self) -> Vec<u64> {
        let info = self.scene.client.service_info().await.unwrap();
        let from = chain::Cursor { chain_id: info.chain_id, next: 0 };
        let mut follower = self.scene.client.follow(self.scene.calls.package(), from);
        let mut found = Vec::new();
        loop {
            let checkpoint = follower.next().await.unwrap();
            for at in &checkpoint.events {
                if let chain::Event::OpenedUnanchored(opened) = &at.event {
                    found.push(opened.revision);
                }
            }
            if checkpoint.sequence >= info.checkpoint_height {
                return found;
            }
        }
    }

    pub(crate) async fn start(&self, state: &str) -> Result<Life, MasterError> {
        self.start_with(state, self.scene.client.clone(), &self.config).await
    }

    pub(crate) async fn start_with(
        &self,
        state: &str,
        client: Client,
        config: &AnchorConfig,
    ) -> Result<Life, MasterError> {
        let state = self.state(state);
        std::fs::create_dir_all(&state).unwrap();
        let key = SealingKey::from_bytes(SEALING);
        let settings = store::Config::new(state.join("store"), key.clone());
        let store = Store::open(settings.with_anchor_file(state.join("store.anchor")))?;
        let on_chain = self.on_chain(client);
        let undeclared = Undeclared::open(&state.join("undeclared"), &key)?;
        let board = Arc::new(Board::new("http://chain".into()));
        let now_ms = Arc::new(AtomicU64::new(10_000_000_000_000));
        let clock = {
            let now_ms = now_ms.clone();
            Arc::new(move || now_ms.load(Ordering::SeqCst))
        };
        let standing = Standing { cluster: self.scene.cluster.clone(), enclave: self.scene.enclave };
        let poster = Poster {
            wallet: Keypair::clone(&self.scene.operator),
            key: Arc::new(EnclaveKey::open_or_create(&self.dir.path().join("enclave.key"), &key).unwrap()),
            standing: watch::channel(Some(standing)).1,
        };
        let keeper = AnchorKeeper::open(
            board.clone(),
            on_chain,
            store.clone(),
            config.clone(),
            clock,
            undeclared,
            Some(&poster),
        );
        let keeper = keeper.await.inspect_err(|_| store.close())?;
        let stop = CancellationToken::new();
        let keeper = tokio::spawn(keeper.run(Some(poster), stop.clone()));
        Ok(Life { store, board, now_ms, stop, keeper })
    }

    pub(crate) async fn refusal(&self, state: &str) -> Refused {
        match self.start(state).await {
            Err(MasterError::Refused(refused)) => refused,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{state} serves"),
        }
    }

    pub(crate) fn copy(&self, from: &str, to: &str) {
        let to = self.state(to);
        if to.exists() {
            std::fs::remove_dir_all(&to).unwrap();
        }
        copy_all(&self.state(from), &to);
    }

    /// An endpoint at which nobody listens.
    pub(crate) fn nobody() -> Client {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Client::new(&format!("http://{free}")).unwrap()
    }
}

impl Life {
    pub(crate) async fn put(&self, key: &str, value: &str) {
        let request = PutRequest {
            key: key.to_owned().into(),
            value: value.to_owned().into(),
            ..PutRequest::default()
        };
        self.store.put(request).await.unwrap();
    }

    pub(crate) async fn anchor(&self) -> i64 {
        // The keeper subscribes when it runs.
        for _ in 0..200 {
            match self.store.request_anchor().await {
                Ok(revision) => return revision,
                Err(store::EtcdError::Unsupported(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("nobody posts");
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.keeper.await.unwrap();
        let store = self.store;
        tokio::task::spawn_blocking(move || store.close()).await.unwrap();
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_all(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

pub(crate) async fn until(what: &str, mut good: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if good().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_disk_is_refused_whatever_is_done_with_it() {
    let town = Town::new().await;
    let life = town.start("a").await.unwrap();
    life.put("registry/secret", "before").await;
    life.anchor().await;
    life.end().await;
    town.copy("a", "old");

    // The same directory goes on; more is written and anchored.
    let life = town.start("a").await.unwrap();
    life.put("registry/secret", "revoked").await;
    let anchored = life.anchor().await;
    assert_eq!(anchored, life.store.revision());
    let on_chain = town.anchor().await;
    assert_eq!(i64::try_from(on_chain.revision).unwrap(), anchored);
    assert_eq!(on_chain.state_root, life.store.state_root().root);
    life.end().await;

    // The old copy, with its own anchor file, as it was.
    town.copy("old", "back");
    let refused = town.refusal("back").await;
    assert_eq!(refused, Refused::Older { have: anchored - 1, known: anchored });
    assert!(refused.to_string().contains(&format!("the chain knows revision {anchored}")), "{refused}");
    assert!(refused.to_string().contains("Put back the newest copy"), "{refused}");

    // It runs on without a chain until its revision is high enough: another history.
    let ahead = AnchorConfig { accept_unanchored: true, ..town.config.clone() };
    let life = town.start_with("back", Town::nobody(), &ahead).await.unwrap();
    assert!(life.board.read().anchor.unanchored.is_some(), "status does not say that nobody has compared");
    for _ in 0..5 {
        life.put("registry/secret", "forged").await;
    }
    life.end().await;
    let refused = town.refusal("back").await;
    assert_eq!(refused, Refused::Forked { have: anchored + 4, known: anchored });

    // Everything deleted is the oldest copy of all.
    assert_eq!(town.refusal("nothing").await, Refused::Older { have: 1, known: anchored });
    // And the newest copy still serves.
    town.start("a").await.unwrap().end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_swapped_and_foreign_copies_are_refused() {
    let town = Town::new().await;
    let life = town.start("a").await.unwrap();
    life.put("k", "1").await;
    life.end().await;
    // A store of the same machine that never was this cluster's: long enough, and in other anchors' log.
    let foreign = town.start("b").await.unwrap();
    for _ in 0..50 {
        foreign.put("k", "foreign").await;
    }
    foreign.end().await;
    let life = town.start("a").await.unwrap();
    for round in 0..20 {
        life.put("k", &round.to_string()).await;
    }
    let anchored = life.anchor().await;
    life.end().await;
    assert!(matches!(town.refusal("b").await, Refused::Forked { known, .. } if known == anchored));

    // One that was anchored for another cluster says so.
    let other =
        Store::open(store::Config::new(town.state("c/store"), SealingKey::from_bytes(SEALING))).unwrap();
    let note = AnchorNote {
        cluster: vec![9; 32],
        revision: anchored,
        state_root: vec![1; 32],
        log_hash: vec![2; 32],
        confirmed: 0,
        resumes_at: 0,
        confirmed_version: 0,
    };
    other.note_anchor(note).await.unwrap();
    other.close();
    assert!(matches!(town.refusal("c").await, Refused::OtherCluster { .. }));

    // Cut at whole records, so that nothing in the file itself is wrong: found by the chain alone.
    town.copy("a", "cut");
    std::fs::remove_file(town.state("cut/store.anchor")).unwrap();
    let log = newest_log(&town.state("cut/store"));
    std::fs::remove_file(&log).unwrap();
    match town.start("cut").await {
        Err(MasterError::Refused(Refused::Older { known, .. })) => assert_eq!(known, anchored),
        // The file says that there was an anchor beside it.
        Err(MasterError::Store(StoreError::AnchorMissing)) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a truncated copy serves"),
    }

    // One file from another copy.
    town.copy("a", "mixed");
    std::fs::copy(newest_log(&town.state("b/store")), newest_log(&town.state("mixed/store"))).unwrap();
    match town.start("mixed").await {
        Err(MasterError::Store(_)) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("a mixed copy serves"),
    }
}

fn newest_log(store: &Path) -> PathBuf {
    let files = std::fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let mut logs: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "log")).collect();
    logs.sort();
    logs.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_chain_nothing_is_served_unless_somebody_says_so() {
    let town = Town::new().await;
    let life = town.start("a").await.unwrap();
    life.put("k", "1").await;
    let anchored = life.anchor().await;
    life.end().await;
    town.copy("a", "old");
    let life = town.start("a").await.unwrap();
    life.put("k", "2").await;
    life.anchor().await;
    life.end().await;

    let Err(refused) = town.start_with("a", Town::nobody(), &town.config).await else { panic!("serves") };
    assert!(matches!(refused, MasterError::Unanchored { .. }), "{refused}");
    assert!(refused.to_string().contains("--accept-unanchored"), "{refused}");

    // Said so, and the chain comes back: the good state goes on, and the status is quiet again.
    let accept = AnchorConfig { accept_unanchored: true, ..town.config.clone() };
    let wire = Wire::closed().await;
    let client = Client::new(&wire.url()).unwrap();
    let life = town.start_with("a", client, &accept).await.unwrap();
    assert!(life.board.read().anchor.unanchored.is_some());
    life.put("k", "3").await;
    wire.open(town.scene.devnet.local_addr()).await;
    until("compared after all", async || life.board.read().anchor.unanchored.is_none()).await;
    assert_eq!(life.anchor().await, life.store.revision());
    until("declared on chain", async || life.board.read().anchor.declared_unanchored.is_some()).await;
    let declared = life.board.read().anchor.declared_unanchored.unwrap();
    assert_eq!(town.declared().await, [declared]);
    life.end().await;

    // The old copy ends as soon as the chain can be asked.
    let wire = Wire::closed().await;
    let client = Client::new(&wire.url()).unwrap();
    let life = town.start_with("old", client, &accept).await.unwrap();
    assert_eq!(life.store.revision(), anchored);
    wire.open(town.scene.devnet.local_addr()).await;
    let why = tokio::time::timeout(Duration::from_secs(30), life.store.failed()).await.unwrap();
    assert!(why.contains("older copy"), "{why}");
    assert!(life.store.put(PutRequest { key: "k".into(), ..PutRequest::default() }).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_for_an_anchor_has_one_or_is_told_at_once_why_not() {
    let mut town = Town::new().await;
    let life = town.start("a").await.unwrap();
    assert_eq!(life.anchor().await, 1, "an empty store is anchored for whoever asks");
    assert_eq!(town.anchor().await.revision, 1);
    life.end().await;

    town.config.max_mist_per_day = 1;
    let life = town.start("a").await.unwrap();
    life.put("k", "1").await;
    until("money is missing", async || life.board.read().anchor.unpaid).await;
    let asked = tokio::time::timeout(Duration::from_secs(10), life.store.request_anchor()).await;
    let refused = asked.expect("an answer at once").unwrap_err().to_string();
    assert!(refused.contains("max_mist_per_day"), "{refused}");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anchors_come_by_themselves_cost_what_is_said_and_prove_keys_to_strangers() {
    let town = Town::new().await;
    let life = town.start("a").await.unwrap();
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(town.anchor().await.revision, 0, "an empty store is not worth an anchor");
    life.put("registry/pods/x", "pod").await;
    until("a first anchor", async || town.anchor().await.revision > 0).await;
    let first = town.anchor().await;
    assert_eq!(first.revision, 2);

    // A proof of the anchored state, checked by what the chain says alone.
    let (proof, value) = life.store.prove(&"registry/pods/x".into(), 2).unwrap();
    let document = ProofDocument::new(town.scene.cluster.id, b"registry/pods/x", &proof, value.as_deref());
    let shown = document.verify(&first).unwrap();
    assert_eq!(shown.value.as_deref(), Some(b"pod".as_ref()));

    // Heartbeats wait; a change does not wait longer than the interval.
    life.put("/registry/leases/a", "1").await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(town.anchor().await.revision, 2);
    life.put("registry/pods/y", "pod").await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(town.anchor().await.revision, 2, "before the interval is over");
    life.now_ms.fetch_add(60_000, Ordering::SeqCst);
    until("the next anchor", async || town.anchor().await.revision == 4).await;
    let status = life.board.read().anchor;
    assert_eq!((status.revision, status.window_ms), (4, 60_000));
    until("the cost is told", async || life.board.read().anchor.spent_mist > 0).await;
    assert!(document.verify(&town.anchor().await).is_err(), "the proof is about an earlier anchor");

    // Heartbeats alone wait longer each time, and not if a snapshot waits with them for its name.
    life.put("/registry/leases/a", "2").await;
    life.now_ms.fetch_add(60_000, Ordering::SeqCst);
    until("an anchor of a heartbeat", async || town.anchor().await.revision == 5).await;
    life.put("/registry/leases/a", "3").await;
    life.now_ms.fetch_add(60_000, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(town.anchor().await.revision, 5, "the pause has doubled");
    life.board.update(|board| board.snapshot_blob = b"a-snapshot".to_vec());
    until("the snapshot's name", async || town.anchor().await.blob == b"a-snapshot").await;

    // Two masters on copies of one state: who anchors second learns that it is another history and ends.
    life.end().await;
    town.copy("a", "twin");
    let (life, twin) = (town.start("a").await.unwrap(), town.start("twin").await.unwrap());
    life.put("k", "mine").await;
    life.anchor().await;
    twin.put("k", "other").await;
    let _outcome = twin.store.request_anchor().await;
    let why = tokio::time::timeout(Duration::from_secs(30), twin.store.failed()).await.unwrap();
    assert!(why.contains("another history"), "{why}");
    life.put("k", "goes on").await;
    life.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_note_and_post_changes_nothing() {
    let town = Town::new().await;
    let life = town.start("a").await.unwrap();
    life.put("k", "1").await;
    life.anchor().await;
    // Noted and not posted; then noted again for the same revision, as a restarted master does.
    let root = life.store.state_root();
    for _ in 0..3 {
        let note = AnchorNote {
            cluster: town.scene.cluster.id.into_inner().to_vec(),
            revision: root.point.revision + 1,
            state_root: vec![7; 32],
            log_hash: vec![8; 32],
            confirmed: root.point.revision,
            resumes_at: 0,
            confirmed_version: 0,
        };
        life.store.note_anchor(note).await.unwrap();
    }
    life.put("k", "2").await;
    life.end().await;
    let life = town.start("a").await.unwrap();
    assert_eq!(life.anchor().await, life.store.revision());
    life.end().await;
    let Ok(Checked::Admitted(_)) = ({
        let store = Store::open(
            store::Config::new(town.state("a/store"), SealingKey::from_bytes(SEALING))
                .with_anchor_file(town.state("a/store.anchor")),
        )
        .unwrap();
        town.on_chain(town.scene.client.clone()).check(&store, &town.config).await
    }) else {
        panic!("not admitted")
    };
}

/// A way to the chain that is closed until it is opened.
struct Wire {
    address: std::net::SocketAddr,
}

impl Wire {
    /// Reserves an address; nobody listens there yet.
    async fn closed() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: listener.local_addr().unwrap() }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn open(&self, to: std::net::SocketAddr) {
        let listener = tokio::net::TcpListener::bind(self.address).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut far) = tokio::net::TcpStream::connect(to).await {
                        let _ended = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                    }
                });
            }
        });
    }
}
