//! Certificates that are renewed while the server runs.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "common parts are for other tests too")]

#[path = "common/client.rs"]
mod client;
#[path = "common/tls.rs"]
mod tls;

use std::time::{Duration, Instant};

use client::{Client, Served, config};
use store::proto::{PutRequest, PutResponse};
use store::{AdminError, ClientFiles, Listener};
use tls::Authority;

async fn put(client: &Client) -> bool {
    let put = PutRequest { key: "k".into(), value: "v".into(), ..PutRequest::default() };
    client.call::<_, PutResponse>("KV/Put", put).await.is_ok()
}

/// Whether a client with a certificate of `authority` gets in, and trusts the server.
async fn admitted(authority: &Authority, url: &str) -> bool {
    match authority.channel(url, Some(authority)).await {
        Ok(channel) => put(&Client::over(channel)).await,
        Err(_) => false,
    }
}

#[tokio::test]
async fn renewed_files_are_used_for_new_connections_and_broken_ones_are_not() {
    let home = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(), Authority::new());
    let files = old.server_files(home.path());
    let listener = Listener::Tcp { addr: ([127, 0, 0, 1], 0).into(), tls: Some(files.clone()) };
    let config = config(home.path());
    let served = Served::start_with(home, config, vec![listener]).await;
    let url = served.urls[1].clone();
    let open = Client::over(old.channel(&url, Some(&old)).await.unwrap());
    assert!(put(&open).await && !admitted(&new, &url).await);

    // Half of a renewal: what worked goes on working.
    std::fs::write(&files.key, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert!(admitted(&old, &url).await);

    new.server_files(served.home.path());
    let began = Instant::now();
    while !admitted(&new, &url).await {
        assert!(began.elapsed() < Duration::from_secs(10), "the renewed certificate is never used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!admitted(&old, &url).await, "the old authority is not trusted any more");
    assert!(put(&open).await, "a connection that was open stays");
    served.stop().await;
}

#[tokio::test]
async fn a_store_is_asked_over_tls_with_a_certificate_and_not_without() {
    let home = tempfile::tempdir().unwrap();
    let (ours, foreign) = (Authority::new(), Authority::new());
    let files = ours.server_files(home.path());
    let listener = Listener::Tcp { addr: ([127, 0, 0, 1], 0).into(), tls: Some(files) };
    let config = config(home.path());
    let served = Served::start_with(home, config, vec![listener]).await;
    let url = &served.urls[1];

    let client = ours.client_files(served.home.path());
    assert_eq!(store::rotate_key(url, Some(&client)).await.unwrap(), 1);

    // Nobody anchors or copies this one, which only who gets in is told.
    let anchored = store::anchor(url, Some(&client)).await.unwrap_err();
    assert!(matches!(&anchored, AdminError::Refused(told) if told.contains("anchor")), "{anchored:?}");
    let proven = store::prove(url, Some(&client), "k".into(), 1_000).await.unwrap_err();
    assert!(matches!(&proven, AdminError::Refused(told) if told.contains("revision")), "{proven:?}");
    assert!(matches!(store::anchor(url, None).await.unwrap_err(), AdminError::NoCertificates(_)));
    let proven = store::prove(url, None, "k".into(), 0).await.unwrap_err();
    assert!(matches!(proven, AdminError::NoCertificates(_)), "{proven:?}");

    let none = store::rotate_key(url, None).await.unwrap_err();
    assert!(matches!(none, AdminError::NoCertificates(_)), "{none:?}");
    let missing = ClientFiles { key: "/missing".into(), ..client.clone() };
    let missing = store::rotate_key(url, Some(&missing)).await.unwrap_err();
    assert!(matches!(missing, AdminError::File { .. }), "{missing:?}");
    // Trusts the server, but is not known to it.
    let other = tempfile::tempdir().unwrap();
    let stranger = ClientFiles { cacert: client.cacert.clone(), ..foreign.client_files(other.path()) };
    let stranger = store::rotate_key(url, Some(&stranger)).await.unwrap_err();
    assert!(matches!(stranger, AdminError::Unreachable { .. } | AdminError::Refused(_)), "{stranger:?}");
    assert_eq!(store::rotate_key(url, Some(&client)).await.unwrap(), 2);
    served.stop().await;
}
