use std::process::Stdio;

use tokio::io::AsyncBufReadExt;
use tokio::net::{TcpListener, UnixStream};
use tokio::process::Command;
use tokio_rustls::TlsConnector;
use tunnel::tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tunnel::tokio_tungstenite::{WebSocketStream, client_async, tungstenite};
use tunnel::{Limits as TunnelLimits, Link, Message, Role};

use super::*;
use crate::tunnels::{Egress, Routes};

type Socket = WebSocketStream<tokio_rustls::client::TlsStream<TcpStream>>;

impl House {
    /// The kubelet's certificate, with real dates.
    pub(super) fn kubelet(&self) -> Identity {
        let real = crate::shared::system_clock()();
        let bound = format!("k3s-daas:token:{NODE}.1");
        self.pki.issue(&Profile::client("system:node:n1", &["system:nodes", &bound], 3600), real).unwrap()
    }

    /// The websocket of `/v1-k3s/connect`, as `identity`.
    async fn websocket(&self, identity: &Identity) -> Result<Socket, tungstenite::Error> {
        let tls = engine::tls::client(self.pki.ca_pem(), Some(identity)).unwrap();
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = rustls_pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap();
        let request = format!("wss://{}/v1-k3s/connect", self.address).into_client_request().unwrap();
        client_async(request, stream).await.map(|(socket, _)| socket)
    }

    /// A worker's end that leads wherever it is asked to.
    async fn worker(&self) -> Link {
        let socket = self.websocket(&self.kubelet()).await.unwrap();
        let link = Link::new(Role::Worker, TunnelLimits::default());
        let driven = link.clone();
        tokio::spawn(async move {
            tunnel::run(socket, &driven, |mut incoming| {
                tokio::spawn(async move {
                    let mut there = TcpStream::connect(&incoming.address).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut incoming.stream, &mut there).await;
                });
            })
            .await
        });
        self.until("a tunnel", || self.shared.tunnels.has("n1")).await;
        link
    }

    async fn until(&self, what: &str, good: impl Fn() -> bool) {
        for _ in 0..500 {
            if good() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never {what}");
    }

    fn ended(&self, reason: &str) -> u64 {
        self.metric(&format!("k3s_daas_tunnels_ended_total{{reason=\"{reason}\"}}"))
    }
}

/// A server that gives back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    address
}

/// Bytes of one block, and blocks that [`hoarder`] takes.
const BLOCK: usize = 10_000;
const BLOCKS: usize = 450;

/// A server that takes its blocks slowly, and then gives them all back.
async fn hoarder() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut all = vec![0; BLOCK * BLOCKS];
                for block in all.chunks_mut(BLOCK) {
                    tokio::time::sleep(Duration::from_micros(500)).await;
                    stream.read_exact(block).await?;
                }
                stream.write_all(&all).await
            });
        }
    });
    address
}

async fn says(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    words: &[u8],
) -> Vec<u8> {
    stream.write_all(words).await.unwrap();
    let mut answer = vec![0; words.len()];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn only_a_nodes_certificate_opens_a_tunnel() {
    let house = House::new().await;
    let real = crate::shared::system_clock()();
    let refused = async |user: &str, groups: &[&str]| {
        let identity = house.pki.issue(&Profile::client(user, groups, 3600), real).unwrap();
        let Err(tungstenite::Error::Http(answer)) = house.websocket(&identity).await else { panic!() };
        let body: api::ErrorBody = serde_json::from_slice(answer.body().as_ref().unwrap()).unwrap();
        (answer.status().as_u16(), body.reason)
    };
    let bound = format!("k3s-daas:token:{NODE}.1");
    assert_eq!(refused("system:node:n1", &["system:nodes"]).await, (403, "not_a_node_certificate".into()));
    assert_eq!(refused("system:kube-proxy", &[&bound]).await, (403, "not_a_node_certificate".into()));
    assert_eq!(
        refused("system:node:n2", &["system:nodes", &bound]).await,
        (401, "certificate_revoked".into())
    );
    let client = house.client(None);
    let get = client.get(house.url("/v1-k3s/connect")).basic_auth("node", Some(house.proof(NODE)));
    expect(get, 401, "missing_credential").await;
    let plain = house.client(Some(&house.kubelet())).get(house.url("/v1-k3s/connect"));
    expect(plain, 400, "bad_header").await;
    assert!(!house.shared.tunnels.has("n1"));
}

#[tokio::test]
async fn the_apiserver_reaches_a_node_through_its_tunnel() {
    let house = House::new().await;
    let (kubelet, dir) = (echo().await, tempfile::tempdir().unwrap());
    let socket = dir.path().join("egress.sock");
    let listener = Egress::bind(&socket).unwrap();
    let routes = Arc::new(parking_lot::RwLock::new(Routes::new("10.43.0.0/16")));
    let nobody = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let egress = Egress { shared: house.shared.clone(), routes, kubernetes: nobody };
    let stop = CancellationToken::new();
    tokio::spawn(egress.serve(listener, stop.clone()));
    // As kube-apiserver's HTTPConnect over UDS writes it.
    let connect = async |target: &str| {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        let ask = format!("CONNECT {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(ask.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        (String::from_utf8(head).unwrap().lines().next().unwrap().to_owned(), stream)
    };
    let target = format!("n1:{}", kubelet.port());
    assert!(connect(&target).await.0.starts_with("HTTP/1.1 502 cannot connect to n1:"), "no tunnel yet");
    let worker = house.worker().await;
    let (head, stream) = connect(&target).await;
    assert_eq!(head, "HTTP/1.1 200 OK");
    assert_eq!(says(stream, &[7; 300_000]).await, [7; 300_000]);
    let (head, stream) = connect(&kubelet.to_string()).await;
    assert_eq!(head, "HTTP/1.1 200 OK", "what is no node's is dialled directly");
    assert_eq!(says(stream, b"hello").await, b"hello");
    assert!(connect("169.254.169.254:80").await.0.contains(" 403 "));
    assert!(connect("10.43.0.9:443").await.0.starts_with("HTTP/1.1 502 service 10.43.0.9:443"));
    for (result, count) in [("tunnel", 1), ("direct", 1), ("forbidden", 1), ("direct_failed", 2)] {
        assert_eq!(
            house.metric(&format!("k3s_daas_egress_dials_total{{result=\"{result}\"}}")),
            count,
            "{result}"
        );
    }

    // Cut while in use: an error for what runs, and the next one works.
    let (_, mut stream) = connect(&target).await;
    assert_eq!(says(&mut stream, b"before").await, b"before");
    worker.close();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"");
    house.until("without", || !house.shared.tunnels.has("n1")).await;
    house.worker().await;
    assert_eq!(says(connect(&target).await.1, b"after").await, b"after");
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions()) & 0o777,
        0o600
    );
}

#[tokio::test]
async fn a_hostile_worker_is_cut_off_and_counted() {
    use futures::{SinkExt, StreamExt};
    let house = House::new().await;
    let private = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut socket = house.websocket(&house.kubelet()).await.unwrap();
    let address = private.local_addr().unwrap().to_string();
    let connect = Message::Connect { stream: 1, network: "tcp".into(), address }.encode(1);
    socket.send(tungstenite::Message::Binary(connect.into())).await.unwrap();
    while let Some(Ok(message)) = socket.next().await {
        assert!(message.is_close(), "{message}");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(300), private.accept()).await;
    assert!(accepted.is_err(), "the worker reached through the master");
    house.until("counted", || house.ended("connect_from_worker") == 1).await;
    assert_eq!(house.metric("k3s_daas_bad_requests_total{reason=\"connect_from_worker\"}"), 1);

    let mut socket = house.websocket(&house.kubelet()).await.unwrap();
    socket.send(tungstenite::Message::Binary(vec![0xff; 3].into())).await.unwrap();
    house.until("counted", || house.ended("bad_message") == 1).await;
    let mut socket = house.websocket(&house.kubelet()).await.unwrap();
    socket.send(tungstenite::Message::Text("hello".into())).await.unwrap();
    house.until("counted", || house.ended("not_binary") == 1).await;
    // Pings are answered, so that a worker sees that the master lives.
    let mut socket = house.websocket(&house.kubelet()).await.unwrap();
    socket.send(tungstenite::Message::Ping(Vec::new().into())).await.unwrap();
    assert!(socket.next().await.unwrap().unwrap().is_pong());
}

#[tokio::test]
async fn a_newer_tunnel_fences_the_older_and_all_end_with_the_token() {
    let house = House::new().await;
    let older = house.worker().await;
    let newer = house.worker().await;
    house.until("fenced", || older.is_over()).await;
    assert!(!newer.is_over() && house.shared.tunnels.has("n1"));
    house.until("counted", || house.ended("replaced") == 1).await;
    house.shared.tick();
    assert_eq!(house.metric("k3s_daas_tunnels"), 1);
    house.tell(Fact::Token(Token { revoked: true, ..token(NODE) }));
    house.shared.tick();
    house.until("ended", || newer.is_over()).await;
    house.until("counted", || house.ended("membership_over") == 1).await;
    let Err(tungstenite::Error::Http(answer)) = house.websocket(&house.kubelet()).await else { panic!() };
    assert_eq!(answer.status(), 401);
}

/// `github.com/rancher/remotedialer`'s own Go client, as a K3s agent uses it.
#[tokio::test]
async fn remotedialers_client_is_understood() {
    let program =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/clients/remotedialer/remotedialer-client");
    assert!(std::path::Path::new(program).exists(), "{program} is missing: run `make remotedialer-client`");
    let house = House::new().await;
    let (kubelet, private) = (hoarder().await, echo().await);
    let dir = tempfile::tempdir().unwrap();
    let identity = house.kubelet();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let mut child = Command::new(program)
        .arg(format!("wss://{}/v1-k3s/connect", house.address))
        .args([
            file("ca.crt", house.pki.ca_pem().as_bytes()),
            file("client.crt", identity.certificate.as_bytes()),
        ])
        .arg(file("client.key", identity.key.as_bytes()))
        .arg(kubelet.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("connected"));
    house.until("a tunnel", || house.shared.tunnels.has("n1")).await;

    // Several streams at once, each with more than the buffers on the way hold: either side has to hold the other back.
    // One direction after the other: remotedialer keeps one flag for both, and stands still for ever when it is full in both.
    let blocks = [[1u8; BLOCK], [2; BLOCK], [3; BLOCK]];
    let many = (0..3).map(|at| {
        let mut stream = house.shared.tunnels.dial("n1", &kubelet.to_string()).unwrap();
        let block = blocks[at];
        async move {
            for _ in 0..BLOCKS {
                stream.write_all(&block).await.unwrap();
            }
            // The server reads slowly, and gives back what it has got when it has all.
            let mut found = [0; BLOCK];
            for _ in 0..BLOCKS {
                stream.read_exact(&mut found).await.unwrap();
                assert_eq!(found, block);
                // So do we.
                tokio::time::sleep(Duration::from_micros(500)).await;
            }
        }
    });
    let all = futures::future::join_all(many);
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("the tunnel stands still");
    house.shared.tick();
    assert!(house.metric("k3s_daas_tunnel_traffic_bytes_total{direction=\"received\"}") >= 12_000_000);
    house.until("no streams", || house.shared.tunnels.totals().streams == 0).await;

    // A dial that fails ends its stream with the client's words.
    let mut stream = house.shared.tunnels.dial("n1", "127.0.0.1:1").unwrap();
    let error = stream.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    // What its authorizer forbids ends its session; K3s' agent then connects again.
    let mut stream = house.shared.tunnels.dial("n1", &private.to_string()).unwrap();
    assert!(stream.read_u8().await.is_err());
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ended: connect not allowed"));
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("connected"));
    house.until("a tunnel", || house.shared.tunnels.has("n1")).await;
    let mut stream = house.shared.tunnels.dial("n1", &kubelet.to_string()).unwrap();
    stream.write_all(&vec![9; BLOCK * BLOCKS]).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 9);
    child.kill().await.unwrap();
}
