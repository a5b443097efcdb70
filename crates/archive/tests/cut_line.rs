//! Snapshots on a (simulated) Walrus over a line that is cut after any byte, there and back: what was taken arrives whole, and what
//! was fetched is not fetched again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use archive::cold::{ColdKeys, ColdStore, Fetched, Spool, Taking, WalrusStore};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use store::proto::PutRequest;
use store::{Config, Store};
use tee::SealingKey;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use walrus::{Client, Lifetime, StoreOptions};

const CLUSTER: [u8; 32] = [7; 32];
const CUTS: u64 = 50;
const PIECE: usize = 32 << 10;
/// More bytes than a round has.
const WHOLE: i64 = i64::MAX / 2;

/// A line to `target` that is dead once it has carried so many bytes, both ways together.
struct Line {
    left: Arc<AtomicI64>,
    url: String,
}

impl Line {
    async fn to(target: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let left = Arc::new(AtomicI64::new(WHOLE));
        let carried = left.clone();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let far = TcpStream::connect(&target).await.unwrap();
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                let (there, back) = (carried.clone(), carried.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(near_in, far_out, there) => {}
                        () = carry(far_in, near_out, back) => {}
                    }
                });
            }
        });
        Self { left, url }
    }

    fn carries(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, left: Arc<AtomicI64>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let left = left.fetch_sub(read as i64, Ordering::SeqCst);
        let carried = read.min(usize::try_from(left).unwrap_or(0));
        if to.write_all(&buffer[..carried]).await.is_err() || carried < read {
            return;
        }
    }
}

/// One round for each attempt: pauses are tested elsewhere.
fn place(url: &str) -> WalrusStore {
    let urls = vec![url.to_owned()];
    let mut config = walrus::Config::new(urls.clone(), urls);
    config.encoding = walrus::Encoding::new(10).unwrap();
    config.rounds = 1;
    let options = StoreOptions { epochs: 5, lifetime: Lifetime::Permanent, send_object_to: None };
    WalrusStore::new(Client::new(config).unwrap(), options, Duration::from_secs(86_400))
}

fn take(store: &Store, dir: &Path, place: &dyn ColdStore) -> Spool {
    let taking = Taking {
        keys: &ColdKeys::new(SealingKey::from_bytes([9; 32])),
        cluster: CLUSTER,
        store_id: store.status().store_id,
        attachments: Vec::new(),
        before: None,
        now_ms: 1,
        piece_bytes: PIECE,
    };
    Spool::take(dir, store.extract(None).unwrap(), &taking, place).unwrap()
}

#[tokio::test]
async fn fifty_cuts_at_random_bytes_of_uploads_and_of_downloads() {
    // Another test may have been first; that is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let home = tempfile::tempdir().unwrap();
    let mut config = walrus::dev::Config::new("127.0.0.1:0".parse().unwrap(), home.path().join("walrus"));
    config.encoding = walrus::Encoding::new(10).unwrap();
    let dev = walrus::dev::Dev::start(config).await.unwrap();
    let line = Line::to(dev.url().trim_start_matches("http://").to_owned()).await;
    let store = Store::open(Config::new(home.path().join("store"), SealingKey::from_bytes([3; 32]))).unwrap();
    let keys = ColdKeys::new(SealingKey::from_bytes([9; 32]));
    let (mut cut_uploads, mut cut_downloads) = (0, 0);
    for seed in 0..CUTS {
        let mut random = StdRng::seed_from_u64(seed);
        let value: Vec<u8> = (0..150_000).map(|_| random.random()).collect();
        for (number, value) in value.chunks(10_000).enumerate() {
            let (key, value) = (format!("k{number}").into(), value.to_vec().into());
            store.put(PutRequest { key, value, ..PutRequest::default() }).await.unwrap();
        }
        let compaction = store::proto::CompactionRequest { revision: store.revision(), physical: true };
        store.compact(compaction).await.unwrap();

        // Each attempt is another process: nothing is in memory but what the spool says.
        let (spool, upload) = (home.path().join("spool"), place(&line.url));
        line.carries(random.random_range(0..170_000));
        let sent = take(&store, &spool, &upload).send(&upload, |_| ()).await;
        cut_uploads += usize::from(sent.is_err());
        line.carries(WHOLE);
        let upload = place(&line.url);
        let mut left = Spool::left(&spool, &upload).unwrap().unwrap();
        let entry = left.send(&upload, |_| ()).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        left.done().unwrap();

        let (name, dir) = (&entry.link.last.name, home.path().join(format!("fetched-{seed}")));
        line.carries(random.random_range(0..170_000));
        let cut = Fetched::chain(&place(&line.url), name, &CLUSTER, &keys, &dir, |_| ()).await;
        cut_downloads += usize::from(cut.is_err());
        line.carries(WHOLE);
        let fetched = Fetched::chain(&place(&line.url), name, &CLUSTER, &keys, &dir, |_| ()).await;
        let fetched = fetched.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let target =
            Config::new(home.path().join(format!("restored-{seed}")), SealingKey::from_bytes([3; 32]));
        fetched.restore(&target, None).unwrap();
        let restored = Store::open(target.clone()).unwrap();
        assert_eq!(restored.hash_kv(0).unwrap(), store.hash_kv(0).unwrap(), "seed {seed}");
        restored.close();
        std::fs::remove_dir_all(dir).unwrap();
        std::fs::remove_dir_all(&target.data_dir).unwrap();
    }
    let most = usize::try_from(CUTS).unwrap();
    assert!(cut_uploads > most / 2 && cut_downloads > most / 2, "{cut_uploads} and {cut_downloads} were cut");
    dev.shutdown().await;
}
