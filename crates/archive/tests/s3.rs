//! S3-compatible object storage, with a server of the S3 API by others that checks signatures.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use archive::cold::{
    BasePolicy, Catalog, ColdError, ColdKeys, ColdStore as _, Fetched, KeepPolicy, Next, S3Place, S3Store,
    Spool, Taking,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use store::proto::PutRequest;
use store::{Config, Store};
use tee::SealingKey;
use tokio::net::TcpListener;

const CLUSTER: [u8; 32] = [7; 32];

/// A server with one bucket, and what a client's configuration says of it.
struct World {
    home: tempfile::TempDir,
    config: S3Place,
}

impl World {
    async fn new() -> Self {
        // Another test may have been first; that is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("s3/backups")).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(home.path().join("s3")).unwrap());
        service.set_auth(SimpleAuth::from_single("operator", "the secret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let service = service.clone();
                tokio::spawn(async move {
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await
                });
            }
        });
        let config = S3Place {
            bucket: "backups".to_owned(),
            prefix: "clusters/one/".to_owned(),
            region: "us-east-1".to_owned(),
            endpoint: Some(endpoint),
            credentials_file: Some(home.path().join("credentials")),
        };
        let world = Self { home, config };
        world.credentials(
            "[other]\naws_access_key_id = nobody\n[default]\naws_access_key_id = operator\naws_secret_access_key = the secret\n",
        );
        world
    }

    fn credentials(&self, text: &str) {
        std::fs::write(self.path("credentials"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The server's own file of a piece.
    fn object(&self, name: &str) -> PathBuf {
        self.path(&format!("s3/backups/clusters/one/{name}.piece"))
    }
}

#[tokio::test]
async fn chains_are_stored_fetched_and_pruned() {
    let world = World::new().await;
    let place = S3Store::open(&world.config).unwrap();
    let keys = ColdKeys::new(SealingKey::from_bytes([9; 32]));
    let store = Store::open(Config::new(world.path("store"), SealingKey::from_bytes([3; 32]))).unwrap();
    let mut catalog = Catalog::open(world.path("catalog.json")).unwrap();
    let policy = BasePolicy { max_chain: 2, max_changes_percent: 1_000 };
    for number in 0..4_u64 {
        let value = number.to_string().repeat(1_000);
        let put =
            PutRequest { key: format!("k{number}").into(), value: value.into(), ..PutRequest::default() };
        store.put(put).await.unwrap();
        let before = catalog.newest().filter(|newest| policy.next(Some(newest)) != Next::Base);
        let taking = Taking {
            keys: &keys,
            cluster: CLUSTER,
            store_id: store.status().store_id,
            attachments: Vec::new(),
            before,
            now_ms: number * 1_000,
            piece_bytes: 64 << 10,
        };
        let extract = store.extract(before.map(|entry| entry.link.revision)).unwrap();
        let mut spool = Spool::take(&world.path("spool"), extract, &taking, &place).unwrap();
        let entry = spool.send(&place, |_| ()).await.unwrap();
        spool.done().unwrap();
        assert!(world.object(&entry.link.last.name).exists());
        catalog.add(entry).unwrap();
    }

    let newest = catalog.newest().unwrap().clone();
    let name = newest.link.last.name.as_str();
    let fetched =
        Fetched::chain(&place, name, &CLUSTER, &keys, &world.path("fetched"), |_| ()).await.unwrap();
    assert_eq!(fetched.verify().unwrap().revision, store.revision());

    let gone = catalog.entries()[0].link.last.name.clone();
    let keep = KeepPolicy { last: 1, daily: 0, weekly: 0, max_age_days: 0 };
    assert_eq!(catalog.prune(&keep, &place, 8_000).await.unwrap().len(), 2);
    assert!(!world.object(&gone).exists());
    assert!(matches!(place.get(&gone, 1 << 20).await, Err(ColdError::Missing { .. })));
    place.remove(&gone).await.unwrap();

    std::fs::write(world.object(name), b"another").unwrap();
    let refused = Fetched::chain(&place, name, &CLUSTER, &keys, &world.path("again"), |_| ()).await;
    assert!(matches!(refused, Err(ColdError::NotAPiece(_))), "{refused:?}");
    assert!(matches!(place.get(name, 3).await, Err(ColdError::Exchanged(_))), "longer than it may be");
    assert!(matches!(place.get("../../etc/passwd", 10).await, Err(ColdError::Name { .. })));
}

#[tokio::test]
async fn who_may_not_is_told_where_and_why_and_no_secret_is_shown() {
    let world = World::new().await;
    let name = "ab".repeat(32);
    world.credentials("[default]\naws_access_key_id = operator\naws_secret_access_key = not the secret\n");
    let refused = S3Store::open(&world.config).unwrap().get(&name, 10).await.unwrap_err();
    let text = format!("{refused} {refused:?}");
    assert!(text.contains("SignatureDoesNotMatch") && text.contains("/backups/clusters/one"), "{text}");
    assert!(!text.contains("not the secret"), "{text}");

    world.credentials("[default]\naws_access_key_id = operator\n");
    let refused = S3Store::open(&world.config).unwrap_err().to_string();
    assert!(
        refused.contains("has no aws_access_key_id and aws_secret_access_key under [default]"),
        "{refused}"
    );

    world.credentials("[default]\naws_access_key_id = operator\naws_secret_access_key = the secret\n");
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let elsewhere = S3Place { endpoint: Some(format!("http://{nowhere}")), ..world.config.clone() };
    let place = S3Store::open(&elsewhere).unwrap();
    let refused = place.put(&name, b"piece".as_slice().into()).await.unwrap_err().to_string();
    assert!(refused.contains(&nowhere.to_string()), "{refused}");
}
