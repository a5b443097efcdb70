//! The client against the simulated service, and against services that lie, break off, babble or are busy.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use walrus::dev::{self, Dev};
use walrus::{Client, Config, Encoding, Lifetime, StoreOptions, WalrusError, Wrong};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn options() -> StoreOptions {
    StoreOptions { epochs: 5, lifetime: Lifetime::Permanent, send_object_to: None }
}

fn client(publishers: &[&str], aggregators: &[&str]) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let owned = |urls: &[&str]| urls.iter().map(ToString::to_string).collect();
    let mut config = Config::new(owned(publishers), owned(aggregators));
    config.encoding = Encoding::new(10).unwrap();
    config.timeout = Duration::from_secs(5);
    config.rounds = 2;
    Client::new(config).unwrap()
}

async fn dev(dir: &std::path::Path) -> Dev {
    let mut config = dev::Config::new(ANY, dir.to_owned());
    config.encoding = Encoding::new(10).unwrap();
    config.max_blob = 1 << 20;
    Dev::start(config).await.unwrap()
}

/// A service that answers everything in the same way.
async fn answering(status: StatusCode, body: impl Into<Bytes>) -> (String, Arc<AtomicUsize>) {
    let (body, asked) = (body.into(), Arc::new(AtomicUsize::new(0)));
    let counter = asked.clone();
    let app = Router::new().fallback(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        let body = body.clone();
        async move { (status, Body::from(body)).into_response() }
    });
    let listener = tokio::net::TcpListener::bind(ANY).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked)
}

fn wrongs(error: WalrusError) -> Vec<Wrong> {
    match error {
        WalrusError::Exhausted { complaints, .. } => complaints.into_iter().map(|c| c.wrong).collect(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_is_stored_is_read_and_stays() {
    let dir = tempfile::tempdir().unwrap();
    let service = dev(dir.path()).await;
    let client = client(&[&service.url()], &[&service.url()]);
    for blob in [Bytes::new(), Bytes::from_static(b"x"), Bytes::from(vec![7; 100_000])] {
        let stored = client.store(blob.clone(), &options()).await.unwrap();
        assert_eq!((stored.end_epoch, stored.object.is_some()), (6, true));
        assert_eq!(client.read(&stored.id, 100_000).await.unwrap(), blob);
        assert!(client.offers(&stored.id).await);

        let again = client.store(blob, &options()).await.unwrap();
        assert_eq!((again.id, again.end_epoch, again.object), (stored.id, 6, None));
    }
    let blob = Bytes::from_static(b"x");
    let longer = StoreOptions { epochs: 9, ..options() };
    assert_eq!(client.store(blob.clone(), &longer).await.unwrap().end_epoch, 10, "storing again extends");

    service.shutdown().await;
    let service = dev(dir.path()).await;
    let client = crate::client(&[&service.url()], &[&service.url()]);
    let stored = client.store(blob.clone(), &options()).await.unwrap();
    assert_eq!((stored.end_epoch, stored.object), (10, None), "it outlives a restart");
    assert_eq!(client.read(&stored.id, 1).await.unwrap(), blob);
    service.shutdown().await;
}

#[tokio::test]
async fn epochs_pass_and_blobs_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = dev::Config::new(ANY, dir.path().to_owned());
    config.encoding = Encoding::new(10).unwrap();
    config.epoch = Duration::from_millis(200);
    let service = Dev::start(config).await.unwrap();
    let client = client(&[&service.url()], &[&service.url()]);
    let stored = client.store(Bytes::from_static(b"gone soon"), &options()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert!(matches!(client.read(&stored.id, 100).await, Err(WalrusError::NotFound(id)) if id == stored.id));
    assert!(!client.offers(&stored.id).await);
    service.shutdown().await;
}

#[tokio::test]
async fn who_lies_is_named_and_the_next_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let honest = dev(dir.path()).await;
    let blob = Bytes::from_static(b"the truth");
    let other = Encoding::new(10).unwrap().blob_id(b"a lie").unwrap();
    let says = format!(
        r#"{{"alreadyCertified":{{"blobId":"{other}","endEpoch":99,"event":{{"txDigest":"x","eventSeq":"0"}}}}}}"#
    );
    let (lying_publisher, asked) = answering(StatusCode::OK, says).await;
    let (garbage, _) = answering(StatusCode::OK, vec![0; 9]).await;
    let (endless, _) = answering(StatusCode::OK, vec![0; 1 << 20]).await;
    let client = client(&[&lying_publisher, &garbage, &honest.url()], &[&garbage, &endless, &honest.url()]);

    let stored = client.store(blob.clone(), &options()).await.unwrap();
    assert_eq!(stored.publisher.trim_end_matches('/'), honest.url());
    assert_eq!(client.read(&stored.id, 100).await.unwrap(), blob);

    let alone = crate::client(&[&lying_publisher], &[&garbage, &endless]);
    let error = alone.store(blob, &options()).await.unwrap_err();
    assert!(error.to_string().contains("LIES") && error.to_string().contains(&lying_publisher), "{error}");
    assert!(matches!(wrongs(error)[..], [Wrong::AnotherBlob { .. }]));
    assert_eq!(asked.load(Ordering::Relaxed), 2, "who lied is not asked again by the same call");
    let wrong = wrongs(alone.read(&stored.id, 100).await.unwrap_err());
    assert!(matches!(wrong[..], [Wrong::AnotherBlob { .. }, Wrong::TooLong { most: 100 }]), "{wrong:?}");
    honest.shutdown().await;
}

#[tokio::test]
async fn other_terms_are_not_taken() {
    let blob = Bytes::from_static(b"terms");
    let id = Encoding::new(10).unwrap().blob_id(&blob).unwrap();
    let created = |size: u64, end: u32, deletable: bool| {
        format!(
            r#"{{"newlyCreated":{{"blobObject":{{"id":"0x1","registeredEpoch":10,"blobId":"{id}","size":{size},
            "encodingType":"RS2","certifiedEpoch":10,"storage":{{"id":"0x2","startEpoch":10,"endEpoch":{end},
            "storageSize":1}},"deletable":{deletable}}},"resourceOperation":{{}},"cost":7}}}}"#
        )
    };
    let (right, _) = answering(StatusCode::OK, created(5, 15, false)).await;
    let stored = client(&[&right], &[]).store(blob.clone(), &options()).await.unwrap();
    assert_eq!((stored.cost, stored.end_epoch, stored.object.as_deref()), (7, 15, Some("0x1")));

    for wrong in [created(6, 15, false), created(5, 13, false), created(5, 15, true)] {
        let (publisher, _) = answering(StatusCode::OK, wrong).await;
        let error = client(&[&publisher], &[]).store(blob.clone(), &options()).await.unwrap_err();
        assert!(matches!(wrongs(error)[..], [Wrong::Terms(_)]));
    }
    for wrong in
        [r#"{"markedInvalid":{"blobId":"ID","event":{}}}"#, r#"{"error":{"errorMsg":"no gas"}}"#, "[]", "{}"]
    {
        let (publisher, _) = answering(StatusCode::OK, wrong.replace("ID", &id.to_string())).await;
        let error = client(&[&publisher], &[]).store(blob.clone(), &options()).await.unwrap_err();
        assert!(matches!(wrongs(error)[..], [Wrong::Answer(_)]), "{wrong}");
    }
}

#[tokio::test]
async fn who_is_busy_is_asked_again_and_who_refuses_is_not() {
    let (busy, busy_asked) = answering(StatusCode::SERVICE_UNAVAILABLE, "later").await;
    let (strict, strict_asked) = answering(StatusCode::UNAUTHORIZED, "x".repeat(1 << 20)).await;
    let error = client(&[&busy, &strict, "http://127.0.0.1:1"], &[])
        .store(Bytes::new(), &options())
        .await
        .unwrap_err();
    assert_eq!((busy_asked.load(Ordering::Relaxed), strict_asked.load(Ordering::Relaxed)), (2, 1));
    assert!(error.to_string().len() < 2_000, "a refusal is not repeated at length");
    let statuses: Vec<_> = wrongs(error)
        .iter()
        .map(|wrong| match wrong {
            Wrong::Status { status, .. } => *status,
            Wrong::Transport(_) => 0,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(statuses, [503, 401, 0, 503, 0]);
}

#[tokio::test]
async fn the_simulated_service_refuses_as_the_real_one_does() {
    let dir = tempfile::tempdir().unwrap();
    let service = dev(dir.path()).await;
    let url = service.url();
    drop(client(&[], &[]));
    let http = reqwest::Client::new();
    let put =
        |query: &str, size: usize| http.put(format!("{url}/v1/blobs?{query}")).body(vec![1; size]).send();
    assert_eq!(put("epochs=0", 1).await.unwrap().status(), 400);
    assert_eq!(put("epochs=54", 1).await.unwrap().status(), 400);
    assert_eq!(put("epochs=a", 1).await.unwrap().status(), 400);
    assert_eq!(put("permanent=true&deletable=true", 1).await.unwrap().status(), 400);
    assert_eq!(put("epochs=1", (1 << 20) + 1).await.unwrap().status(), 413);
    let answer = put("", 10).await.unwrap();
    assert!(answer.headers().contains_key("x-k3s-daas-simulated"));
    let answer: serde_json::Value = answer.json().await.unwrap();
    let object = &answer["newlyCreated"]["blobObject"];
    assert_eq!(
        (&object["deletable"], &object["storage"]["endEpoch"]),
        (&true.into(), &2.into()),
        "Walrus's defaults"
    );

    let id = object["blobId"].as_str().unwrap();
    let get = |id: &str, range: &str| http.get(format!("{url}/v1/blobs/{id}")).header("range", range).send();
    let part = get(id, "bytes=2-4").await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().unwrap()),
        (206, "bytes 2-4/10")
    );
    assert_eq!(part.bytes().await.unwrap().len(), 3);
    assert_eq!(get(id, "bytes=10-").await.unwrap().status(), 416);
    assert_eq!(get("..%2f..%2fetc%2fpasswd", "bytes=0-").await.unwrap().status(), 400);
    let missing: serde_json::Value =
        get("-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_s", "").await.unwrap().json().await.unwrap();
    assert_eq!((&missing["error"]["code"], &missing["error"]["status"]), (&404.into(), &"NOT_FOUND".into()));
    service.shutdown().await;
}

#[test]
fn addresses_that_are_none_are_refused_and_tokens_not_shown() {
    drop(client(&[], &[]));
    for wrong in ["", "walrus.example", "ftp://walrus.example", "file:///tmp"] {
        assert!(
            matches!(Client::new(Config::new(vec![wrong.to_owned()], vec![])), Err(WalrusError::Config(_))),
            "{wrong}"
        );
    }
    let mut config = Config::new(vec![], vec![]);
    config.token = Some("hunter2".to_owned());
    assert!(!format!("{config:?}").contains("hunter2"));
}
