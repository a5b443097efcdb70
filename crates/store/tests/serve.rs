//! The server as clients see it, over TCP, unix sockets and TLS.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "common/client.rs"]
mod client;
#[path = "common/tls.rs"]
#[expect(dead_code, reason = "files of a client are for the test of tls")]
mod tls;

use std::time::{Duration, Instant};

use client::{Client, Served, config};
use store::proto::*;
use store::{Listener, prefix_end};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

const SOON: Duration = Duration::from_secs(10);

fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..PutRequest::default() }
}

fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() }
}

fn prefix(key: &str) -> RangeRequest {
    RangeRequest { range_end: prefix_end(key.as_bytes()), ..get(key) }
}

async fn written(client: &Client, key: &str, value: &str) -> i64 {
    let response: PutResponse = client.call("KV/Put", put(key, value)).await.unwrap();
    response.header.unwrap().revision
}

fn values(response: &RangeResponse) -> Vec<String> {
    response.kvs.iter().map(|kv| String::from_utf8(kv.value.to_vec()).unwrap()).collect()
}

fn refused<A: std::fmt::Debug>(answer: Result<A, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), status.message().to_owned())
}

#[tokio::test]
async fn reads_what_was_written_and_errors_are_etcds() {
    let served = Served::start().await;
    let client = served.client().await;
    let first = written(&client, "a", "1").await;
    assert_eq!(first, 2, "the first write of a fresh store, as in etcd");
    written(&client, "a", "2").await;
    written(&client, "ab", "3").await;
    let found: RangeResponse = client.call("KV/Range", prefix("a")).await.unwrap();
    assert_eq!((values(&found), found.count), (vec!["2".into(), "3".into()], 2));
    let header = found.header.unwrap();
    assert!(header.cluster_id != 0 && header.member_id != 0 && header.revision == 4);
    let old: RangeResponse =
        client.call("KV/Range", RangeRequest { revision: first, ..get("a") }).await.unwrap();
    assert_eq!(values(&old), ["1"]);

    let swap = |revision| TxnRequest {
        compare: vec![Compare {
            target: CompareTarget::Mod as i32,
            key: "a".into(),
            target_union: Some(TargetUnion::ModRevision(revision)),
            ..Compare::default()
        }],
        success: vec![Request::Put(put("a", "swapped")).into()],
        failure: vec![Request::Range(get("a")).into()],
    };
    let lost: TxnResponse = client.call("KV/Txn", swap(first)).await.unwrap();
    assert!(!lost.succeeded);
    assert!(matches!(&lost.responses[0].response, Some(Response::Range(range)) if values(range) == ["2"]));
    let won: TxnResponse = client.call("KV/Txn", swap(first + 1)).await.unwrap();
    assert!(won.succeeded);

    let compact = CompactionRequest { revision: 4, physical: true };
    let _: CompactionResponse = client.call("KV/Compact", compact).await.unwrap();
    for (answer, code, text) in [
        (
            client.call("KV/Range", RangeRequest { revision: 2, ..get("a") }).await,
            Code::OutOfRange,
            "etcdserver: mvcc: required revision has been compacted",
        ),
        (
            client.call("KV/Range", RangeRequest { revision: 99, ..get("a") }).await,
            Code::OutOfRange,
            "etcdserver: mvcc: required revision is a future revision",
        ),
        (client.call("KV/Range", get("")).await, Code::InvalidArgument, "etcdserver: key is not provided"),
        (
            client.call("KV/Range", RangeRequest { sort_order: 9, ..get("a") }).await,
            Code::InvalidArgument,
            "etcdserver: invalid sort option",
        ),
    ] {
        assert_eq!(refused::<RangeResponse>(answer), (code, text.to_owned()));
    }
    let twice = TxnRequest {
        success: vec![Request::Put(put("x", "")).into(), Request::Put(put("x", "")).into()],
        ..TxnRequest::default()
    };
    let answer = client.call::<_, TxnResponse>("KV/Txn", twice).await;
    assert_eq!(
        refused(answer),
        (Code::InvalidArgument, "etcdserver: duplicate key given in txn request".to_owned())
    );
    let big = put("big", &"x".repeat(1_600_000));
    let answer = client.call::<_, PutResponse>("KV/Put", big).await;
    assert_eq!(refused(answer), (Code::InvalidArgument, "etcdserver: request is too large".to_owned()));
    let answer = client.call::<_, PutResponse>("KV/Frobnicate", put("x", "")).await;
    assert_eq!(refused(answer).0, Code::Unimplemented);
    served.stop().await;
}

#[tokio::test]
async fn a_range_stream_is_the_range_in_parts() {
    let served = Served::start().await;
    let client = served.client().await;
    for key in 0..30 {
        written(&client, &format!("k{key:02}"), &"v".repeat(100_000)).await;
    }
    let whole: RangeResponse =
        client.call("KV/Range", RangeRequest { limit: 25, ..prefix("k") }).await.unwrap();
    let request = RangeRequest { limit: 25, ..prefix("k") };
    let mut parts: Streaming<RangeStreamResponse> = client.stream("KV/RangeStream", request).await.unwrap();
    let (mut merged, mut count) = (RangeResponse::default(), 0);
    while let Some(part) = parts.message().await.unwrap() {
        let part = part.range_response.unwrap();
        merged = RangeResponse { kvs: [merged.kvs, part.kvs.clone()].concat(), ..part };
        count += 1;
    }
    assert_eq!(merged, whole);
    assert!(count > 1 && whole.more && whole.count == 30);

    // What etcd 3.7 does not stream, in its words; tests/third-party/robustness asks etcd itself.
    for (request, text) in [
        (RangeRequest { sort_order: 2, ..prefix("k") }, "RangeStream does not support custom sort orders"),
        (
            RangeRequest { sort_order: 1, sort_target: 3, min_mod_revision: 4, ..prefix("k") },
            "RangeStream does not support custom sort orders",
        ),
        (
            RangeRequest { max_create_revision: -1, ..prefix("k") },
            "RangeStream does not support revision filters",
        ),
    ] {
        let answer = client.stream::<_, RangeStreamResponse>("KV/RangeStream", request).await;
        assert_eq!(refused(answer.map(|_| ())), (Code::Unimplemented, text.to_owned()));
    }
    let by_key = RangeRequest { sort_order: 1, ..prefix("k") };
    assert!(client.stream::<_, RangeStreamResponse>("KV/RangeStream", by_key).await.is_ok());
    served.stop().await;
}

#[tokio::test]
async fn a_lease_takes_its_keys_along_and_not_before_its_time() {
    let served = Served::start().await;
    let client = served.client().await;
    let grant = LeaseGrantRequest { ttl: 2, id: 0 };
    let lease: LeaseGrantResponse = client.call("Lease/LeaseGrant", grant).await.unwrap();
    let held = PutRequest { lease: lease.id, ..put("held", "x") };
    let _: PutResponse = client.call("KV/Put", held).await.unwrap();
    let ask = LeaseTimeToLiveRequest { id: lease.id, keys: true };
    let left: LeaseTimeToLiveResponse = client.call("Lease/LeaseTimeToLive", ask).await.unwrap();
    assert_eq!((left.granted_ttl, left.keys), (2, vec!["held".into()]));

    // A restart gives it its whole time again.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let home = served.stop().await;
    let config = config(home.path());
    let served = Served::start_with(home, config, Vec::new()).await;
    let client = served.client().await;
    let started = Instant::now();
    let mut alive: (_, Streaming<LeaseKeepAliveResponse>) = client.talk("Lease/LeaseKeepAlive").await;
    alive.0.send(LeaseKeepAliveRequest { id: lease.id }).await.unwrap();
    assert_eq!(alive.1.message().await.unwrap().unwrap().ttl, 2);
    loop {
        let found: RangeResponse = client.call("KV/Range", get("held")).await.unwrap();
        if found.count == 0 {
            break;
        }
        assert!(started.elapsed() < SOON, "the lease never expires");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(started.elapsed() >= Duration::from_secs(2), "expired after {:?}", started.elapsed());
    alive.0.send(LeaseKeepAliveRequest { id: lease.id }).await.unwrap();
    assert_eq!(alive.1.message().await.unwrap().unwrap().ttl, 0);
    let revoke = LeaseRevokeRequest { id: lease.id };
    let answer = client.call::<_, LeaseRevokeResponse>("Lease/LeaseRevoke", revoke).await;
    assert_eq!(refused(answer), (Code::NotFound, "etcdserver: requested lease not found".to_owned()));
    served.stop().await;
}

#[tokio::test]
async fn a_full_store_takes_deletions_and_compactions_until_the_alarm_is_disarmed() {
    let home = tempfile::tempdir().unwrap();
    let mut config = config(home.path());
    config.quota_bytes = 100_000;
    let served = Served::start_with(home, config, Vec::new()).await;
    let client = served.client().await;
    let full = (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded".to_owned());
    let mut answer = Ok(PutResponse::default());
    for _ in 0..200 {
        answer = client.call::<_, PutResponse>("KV/Put", put("k", &"v".repeat(1000))).await;
        if answer.is_err() {
            break;
        }
    }
    assert_eq!(refused(answer), full);
    let txn = TxnRequest { success: vec![Request::Put(put("k", "v")).into()], ..TxnRequest::default() };
    assert_eq!(refused(client.call::<_, TxnResponse>("KV/Txn", txn).await), full);
    let grant = LeaseGrantRequest { ttl: 10, id: 0 };
    assert_eq!(refused(client.call::<_, LeaseGrantResponse>("Lease/LeaseGrant", grant).await), full);
    let status: StatusResponse = client.call("Maintenance/Status", StatusRequest {}).await.unwrap();
    assert!(status.errors[0].contains("NOSPACE"), "{status:?}");

    let raised: AlarmResponse = client.call("Maintenance/Alarm", AlarmRequest::default()).await.unwrap();
    assert_eq!(raised.alarms.len(), 1);
    let delete = DeleteRangeRequest { key: "k".into(), ..DeleteRangeRequest::default() };
    let _: DeleteRangeResponse = client.call("KV/DeleteRange", delete).await.unwrap();
    let compact = CompactionRequest { revision: served.store.revision(), physical: true };
    let _: CompactionResponse = client.call("KV/Compact", compact).await.unwrap();
    let AlarmMember { member_id, alarm } = raised.alarms[0];
    let disarm = AlarmRequest { action: AlarmAction::Deactivate as i32, member_id, alarm };
    let _: AlarmResponse = client.call("Maintenance/Alarm", disarm).await.unwrap();
    written(&client, "k", "there is room again").await;
    served.stop().await;
}

#[tokio::test]
async fn status_members_hashes_and_snapshots() {
    let served = Served::start().await;
    let client = served.client().await;
    let empty: StatusResponse = client.call("Maintenance/Status", StatusRequest {}).await.unwrap();
    assert!(empty.db_size > 0, "etcdctl divides by it");
    for key in 0..100 {
        written(&client, &format!("k{key}"), &"v".repeat(5000)).await;
    }
    let status: StatusResponse = client.call("Maintenance/Status", StatusRequest {}).await.unwrap();
    assert_eq!((status.version.as_str(), status.leader), ("3.6.8", status.header.unwrap().member_id));
    let members: MemberListResponse =
        client.call("Cluster/MemberList", MemberListRequest::default()).await.unwrap();
    assert_eq!(members.members[0].client_urls, served.urls);
    let hash = async || {
        let answer: HashKvResponse =
            client.call("Maintenance/HashKV", HashKvRequest { revision: 50 }).await.unwrap();
        answer.hash
    };
    let before = hash().await;
    written(&client, "k1", "later").await;
    assert_eq!(hash().await, before, "a hash at a revision does not change with what comes");

    let mut blobs: Streaming<SnapshotResponse> =
        client.stream("Maintenance/Snapshot", SnapshotRequest {}).await.unwrap();
    let (mut bytes, mut remaining) = (Vec::new(), None);
    while let Some(blob) = blobs.message().await.unwrap() {
        bytes.extend_from_slice(&blob.blob);
        remaining = Some(blob.remaining_bytes);
    }
    assert_eq!(remaining, Some(0));
    assert_eq!(bytes.len() % 512, 32, "whole pages and a SHA-256, as etcd's tools expect");
    let (body, digest) = bytes.split_at(bytes.len() - 32);
    assert_eq!(ring::digest::digest(&ring::digest::SHA256, body).as_ref(), digest);
    assert!(body.len() > 500_000);
    let auth: AuthStatusResponse = client.call("Auth/AuthStatus", AnyRequest {}).await.unwrap();
    assert!(!auth.enabled);
    let answer = client.call::<_, HeaderResponse>("Auth/UserAdd", AnyRequest {}).await;
    assert_eq!(refused(answer), (Code::InvalidArgument, "etcdserver: user name is empty".to_owned()));
    let member = MemberAddRequest { peer_urls: vec!["http://127.0.0.1:1".to_owned()] };
    let answer = client.call::<_, HeaderResponse>("Cluster/MemberAdd", member).await;
    assert_eq!(refused(answer).0, Code::Unimplemented);
    served.stop().await;
}

#[tokio::test]
async fn speaks_over_a_unix_socket_that_a_dead_server_left_behind() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let socket = home.path().join("etcd.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let config = config(home.path());
    let served = Served::start_with(home, config, vec![Listener::Unix(socket.clone())]).await;
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let client = Client::unix(socket.clone()).await;
    written(&client, "a", "over a socket").await;
    let found: RangeResponse = served.client().await.call("KV/Range", get("a")).await.unwrap();
    assert_eq!(values(&found), ["over a socket"]);
    let _home = served.stop().await;
    assert!(!socket.exists(), "a server that ends takes its socket along");
}

#[tokio::test]
async fn tls_needs_a_client_certificate_of_our_authority() {
    let home = tempfile::tempdir().unwrap();
    let ours = tls::Authority::new();
    let files = ours.server_files(home.path());
    let config = config(home.path());
    let listener = Listener::Tcp { addr: ([127, 0, 0, 1], 0).into(), tls: Some(files) };
    let served = Served::start_with(home, config, vec![listener]).await;
    let url = &served.urls[1];
    assert!(url.starts_with("https://127.0.0.1:"));

    let client = Client::over(ours.channel(url, Some(&ours)).await.unwrap());
    written(&client, "a", "over TLS").await;
    for stranger in [None, Some(&tls::Authority::new())] {
        // TLS 1.3 tells the client of the refusal only when it uses the connection.
        let refusal = match ours.channel(url, stranger).await {
            Ok(channel) => {
                Client::over(channel).call::<_, PutResponse>("KV/Put", put("b", "")).await.is_err()
            }
            Err(_) => true,
        };
        assert!(
            refusal,
            "{}",
            if stranger.is_some() { "a stranger's certificate" } else { "no certificate" }
        );
    }
    assert_eq!(served.store.revision(), 2);
    served.stop().await;
}

#[tokio::test]
async fn pages_and_nonsense_on_the_same_port() {
    let served = Served::start().await;
    let address = served.urls[0].strip_prefix("http://").unwrap().to_owned();
    let talk = async |bytes: &[u8]| {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let _refused = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _reset = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("an end in time");
        String::from_utf8_lossy(&answer).into_owned()
    };
    let page = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (path, expected) in [
        ("/health", "{\"health\":\"true\",\"reason\":\"\"}"),
        ("/readyz", "ok"),
        ("/version", "\"etcdserver\":\"3.6.8\""),
        ("/metrics", "etcd_debugging_mvcc_current_revision 1\n"),
        ("/etcdserverpb.KV/Range", "415"),
        ("/nowhere", "404"),
    ] {
        let answer = talk(page(path).as_bytes()).await;
        assert!(answer.contains(expected), "{path}: {answer}");
    }
    for nonsense in [
        &b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\n\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        &[0xff; 70_000],
    ] {
        talk(nonsense).await;
    }
    written(&served.client().await, "a", "still here").await;
    served.stop().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_everything_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    let mut config = config(home.path());
    config.segment_bytes = 2_000;
    let store = store::Store::open(config).unwrap();
    let listener = Listener::Tcp { addr: ([127, 0, 0, 1], 0).into(), tls: None };
    let server = store::Server::bind(store.clone(), vec![listener]).await.unwrap();
    let client_url = server.urls()[0].clone();
    let running = tokio::spawn(server.run(std::future::pending()));
    let client = Client::connect(&client_url).await;
    let acknowledged = written(&client, "a", "1").await;
    // The next segment cannot be made.
    std::fs::remove_dir_all(home.path().join("data")).unwrap();
    let refusal = loop {
        match client.call::<_, PutResponse>("KV/Put", put("a", &"v".repeat(500))).await {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(refusal.code(), Code::Unavailable);
    assert!(refusal.message().starts_with("etcdserver: server stopped: cannot create"), "{refusal:?}");
    let reason = timeout(SOON, store.failed()).await.unwrap();
    assert!(reason.contains("No such file"), "{reason}");
    assert!(matches!(timeout(SOON, running).await.unwrap().unwrap(), Err(store::StoreError::Failed(_))));
    assert!(store.put(put("b", "")).await.is_err() && store.range(&get("a")).is_err());
    assert!(store.revision() > acknowledged);
}
