//! What clients may send at once, when it is not what etcd allows without flags; and listeners for metrics alone.
#![allow(clippy::unwrap_used, reason = "a test")]
#![allow(dead_code, reason = "common parts are for other tests too")]

#[path = "common/client.rs"]
mod client;

use std::time::Duration;

use client::{Client, Served, config};
use store::proto::{PutRequest, PutResponse, RangeRequest, Request, TxnRequest, TxnResponse};
use store::{Listener, RequestLimits, Server, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::{Code, Status};

fn put(key: &str, bytes: usize) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: vec![7; bytes].into(), ..PutRequest::default() }
}

async fn served(limits: RequestLimits) -> Served {
    let home = tempfile::tempdir().unwrap();
    let config = store::Config { limits, ..config(home.path()) };
    Served::start_with(home, config, Vec::new()).await
}

async fn refusal(client: &Client, put: PutRequest) -> Status {
    client.call::<_, PutResponse>("KV/Put", put).await.unwrap_err()
}

#[tokio::test]
async fn requests_may_be_larger_or_smaller_than_etcds_default() {
    let small = served(RequestLimits::new(1_000, 128, 100).unwrap()).await;
    let client = small.client().await;
    client.call::<_, PutResponse>("KV/Put", put("a", 900)).await.unwrap();
    let refused = refusal(&client, put("a", 1_000)).await;
    assert_eq!(
        (refused.code(), refused.message()),
        (Code::InvalidArgument, "etcdserver: request is too large")
    );
    // Beyond the half mebibyte that a message may have around its request.
    let refused = refusal(&client, put("a", 1_000 + (512 << 10))).await;
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().ends_with("vs. 525288)"), "{refused:?}");
    small.stop().await;

    let large = served(RequestLimits::new(8 << 20, 128, 100).unwrap()).await;
    let client = large.client().await;
    client.call::<_, PutResponse>("KV/Put", put("a", 6 << 20)).await.unwrap();
    let home = large.stop().await;
    // What was taken can be read back, whatever the limit is by then.
    let again = Store::open(config(home.path())).unwrap();
    let found = again.range(&RangeRequest { key: "a".into(), ..RangeRequest::default() }).unwrap();
    assert_eq!(found.kvs[0].value.len(), 6 << 20);
}

#[tokio::test]
async fn transactions_may_have_more_or_fewer_operations() {
    let served = served(RequestLimits::new(1 << 20, 200, 100).unwrap()).await;
    let client = served.client().await;
    let txn = |count: usize| TxnRequest {
        success: (0..count).map(|number| Request::Put(put(&number.to_string(), 1)).into()).collect(),
        ..TxnRequest::default()
    };
    client.call::<_, TxnResponse>("KV/Txn", txn(200)).await.unwrap();
    let refused = client.call::<_, TxnResponse>("KV/Txn", txn(201)).await.unwrap_err();
    let expected = (Code::InvalidArgument, "etcdserver: too many operations in txn request");
    assert_eq!((refused.code(), refused.message()), expected);
    served.stop().await;
}

#[tokio::test]
async fn a_client_opens_no_more_streams_than_it_may() {
    let served = served(RequestLimits::new(1 << 20, 128, 3).unwrap()).await;
    let address = served.urls[0].strip_prefix("http://").unwrap().to_owned();
    let socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let mut watches = Vec::new();
    let uri = "http://localhost/etcdserverpb.Watch/Watch";
    let ask = || http::Request::post(uri).header("content-type", "application/grpc").body(()).unwrap();
    // The server's settings arrive with its first answer.
    for _ in 0..3 {
        requests = requests.ready().await.unwrap();
        let (answer, body) = requests.send_request(ask(), false).unwrap();
        watches.push((answer.await.unwrap(), body));
    }
    assert_eq!(requests.current_max_send_streams(), 3);
    let (fourth, body) = requests.send_request(ask(), false).unwrap();
    let mut fourth = std::pin::pin!(fourth);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut fourth).await.is_err(), "it has to wait");
    watches.pop();
    assert_eq!(tokio::time::timeout(Duration::from_secs(10), fourth).await.unwrap().unwrap().status(), 200);
    drop((watches, body, requests));
    served.stop().await;
}

#[tokio::test]
async fn a_listener_for_metrics_serves_these_pages_and_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(config(home.path())).unwrap();
    let local = || vec![Listener::Tcp { addr: ([127, 0, 0, 1], 0).into(), tls: None }];
    let server = Server::bind(store.clone(), local()).await.unwrap().with_pages(local()).await.unwrap();
    let (urls, pages) = (server.urls(), server.page_urls());
    assert_eq!((urls.len(), pages.len()), (1, 1), "clients are not told of it");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async move {
        let _dropped = stopped.await;
    }));
    for (path, status) in [
        ("/metrics", "200"),
        ("/health", "200"),
        ("/livez", "200"),
        ("/readyz/linearizable_read", "200"),
        ("/version", "404"),
        ("/etcdserverpb.KV/Range", "404"),
    ] {
        let answer = page(&pages[0], path).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
    assert!(
        page(&urls[0], "/metrics").await.contains("etcd_server_has_leader 1"),
        "and where clients are, too"
    );

    // A method that is answered on a way of its own, and one that is not.
    let client = Client::connect(&pages[0]).await;
    let refused = refusal(&client, put("a", 1)).await;
    assert!(refused.message().contains("404 Not Found"), "{refused:?}");
    let status = client.call::<_, Empty>("Maintenance/Status", Empty {}).await;
    assert!(status.unwrap_err().message().contains("404 Not Found"));
    assert_eq!(store.revision(), 1);
    drop(stop);
    running.await.unwrap().unwrap();
}

#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

async fn page(url: &str, path: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
