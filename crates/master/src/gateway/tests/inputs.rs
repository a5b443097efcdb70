use std::sync::Mutex;

use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tracing::field::{Field, Visit};
use tracing::span;

use super::*;

fn quick() -> GatewayLimits {
    GatewayLimits {
        max_connections: 4,
        max_body_bytes: 10_000,
        max_csr_bytes: 2_000,
        handshake_timeout_ms: 300,
        header_timeout_ms: 300,
        body_timeout_ms: 300,
        write_timeout_ms: 1_000,
        ..GatewayLimits::default()
    }
}

async fn raw(house: &House) -> TlsStream<TcpStream> {
    let config = Arc::new(engine::tls::client(house.pki.ca_pem(), None).unwrap());
    let stream = TcpStream::connect(house.address).await.unwrap();
    TlsConnector::from(config).connect("localhost".try_into().unwrap(), stream).await.unwrap()
}

/// Everything until the gateway closes, within two seconds.
async fn rest(mut stream: impl AsyncReadExt + Unpin) -> String {
    let mut bytes = Vec::new();
    // A peer that closes without TLS' goodbye is still closed.
    let _ = timeout(Duration::from_secs(2), stream.read_to_end(&mut bytes)).await.expect("was not closed");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn unknown_paths_methods_and_types_are_named() {
    let house = House::new().await;
    let client = house.client(None);
    for path in ["/", "/v1-k3s/", "/v1-k3s/secrets", "/api/v2/nodes", "/cacerts/x", "/..%2f..%2fetc/passwd"] {
        expect(client.get(house.url(path)), 404, "unknown_path").await;
    }
    for path in ["/cacerts", "/api/v1/nodes", "/healthz"] {
        expect(client.delete(house.url(path)), 405, "method_not_allowed").await;
    }
    expect(client.put(house.url("/v1-k3s/client-kubelet.crt")), 405, "method_not_allowed").await;

    let beat = || client.post(house.url("/api/v1/nodes/heartbeat")).bearer_auth(house.proof(NODE));
    expect(beat().body("{}"), 415, "unsupported_media_type").await;
    for bad in ["application/x-protobuf", "text/plain", "application/jsonx", ";", "\u{1f600}"] {
        let request = beat().header("content-type", bad.as_bytes()).body("{}");
        expect(request, 415, "unsupported_media_type").await;
    }
    let json = |body: Vec<u8>| beat().header("content-type", "application/json; charset=utf-8").body(body);
    let protobuf = vec![0x0a, 0x02, 0x6e, 0x31, 0x10, 0xff, 0xff];
    let nested = [vec![b'['; 9_000], vec![b']'; 9_000]].concat();
    for bad in [&b""[..], b"{", b"null", b"[]", b"{}", b"{\"nodeName\":1}", b"\xff\xfe", &protobuf, &nested] {
        expect(json(bad.to_vec()), 400, "malformed_json").await;
    }
    let unknown_field =
        json!({ "nodeName": "n1", "timestampMs": START, "ready": true, "metrics": {}, "x": 1 });
    expect(beat().json(&unknown_field), 400, "malformed_json").await;
    assert!(house.metric("k3s_daas_bad_requests_total{reason=\"malformed_json\"}") >= 10);
}

#[tokio::test]
async fn certificate_requests_that_are_none_are_named() {
    let house = House::new().await;
    let client = house.client(None);
    let sign = |body: Vec<u8>| {
        client
            .post(house.url("/v1-k3s/client-kubelet.crt"))
            .basic_auth("seal", Some(house.proof(NODE)))
            .header("k3s-Node-Name", "n1")
            .body(body)
    };
    let good = csr();
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let cut = good[..good.len() - 1].to_vec();
    let longer = [&good[..], &[0]].concat();
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    for bad in [Vec::new(), b"nonsense".to_vec(), vec![0x30; 1000], changed, cut, longer, pem] {
        expect(sign(bad), 400, "bad_certificate_request").await;
    }
    expect(sign(good.clone()).header("content-type", "application/json"), 415, "unsupported_media_type")
        .await;
    let many = "10.0.0.1,".repeat(9);
    for bad in ["", "10.0.0.256", "10.0.0.1;", "worker", &many] {
        expect(sign(good.clone()).header("k3s-Node-IP", bad), 400, "bad_header").await;
    }
    let unnamed = client
        .post(house.url("/v1-k3s/client-kubelet.crt"))
        .basic_auth("seal", Some(house.proof(NODE)))
        .body(good.clone());
    expect(unnamed, 400, "bad_header").await;

    let key = rcgen::KeyPair::generate().unwrap();
    let pem = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    assert_eq!(sign(pem.into_bytes()).send().await.unwrap().status(), 200, "PEM is taken as well as DER");
}

#[tokio::test]
async fn bodies_that_are_too_large_get_413() {
    let house = House::with(quick()).await;
    let client = house.client(None);
    for size in [10_001, 39_000] {
        let request = client
            .post(house.url("/api/v1/nodes/heartbeat"))
            .bearer_auth(house.proof(NODE))
            .header("content-type", "application/json")
            .body(vec![b' '; size]);
        expect(request, 413, "body_too_large").await;
    }
    // Without a length that could warn.
    let chunks = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000])));
    let request = client
        .post(house.url("/api/v1/nodes/heartbeat"))
        .bearer_auth(house.proof(NODE))
        .header("content-type", "application/json")
        .body(reqwest::Body::wrap_stream(chunks));
    expect(request, 413, "body_too_large").await;
    let request = client
        .post(house.url("/v1-k3s/client-kubelet.crt"))
        .basic_auth("seal", Some(house.proof(NODE)))
        .header("k3s-Node-Name", "n1")
        .body(vec![0x30; 2_001]);
    expect(request, 413, "body_too_large").await;

    // A stranger's body is not read at all.
    let mut stream = raw(&house).await;
    let head = "POST /api/v1/nodes/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Content-Length: 99999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("missing_credential"), "{answer}");
}

#[tokio::test]
async fn slow_clients_are_cut_off() {
    let house = House::with(quick()).await;
    // No handshake.
    let silent = TcpStream::connect(house.address).await.unwrap();
    assert_eq!(rest(silent).await, "");
    // Half a head.
    let mut half = raw(&house).await;
    half.write_all(b"GET /healthz HTTP/1.1\r\nHos").await.unwrap();
    assert!(!rest(half).await.contains("200 OK"));
    // Half a body.
    let mut half = raw(&house).await;
    let head = format!(
        "POST /api/v1/nodes/heartbeat HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"nodeName\"",
        house.proof(NODE)
    );
    half.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(half).await;
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("body_timeout"), "{answer}");
    // A head without end.
    let mut endless = raw(&house).await;
    let _ = endless.write_all(format!("GET / HTTP/1.1\r\nX: {}\r\n", "a".repeat(40_000)).as_bytes()).await;
    assert!(!rest(endless).await.contains("200 OK"));
    // Not TLS, not HTTP.
    let mut plain = TcpStream::connect(house.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(!rest(plain).await.contains("HTTP"));
    let mut noise = raw(&house).await;
    noise.write_all(&[0xff; 300]).await.unwrap();
    assert!(!rest(noise).await.contains("200 OK"));

    let ok = house.client(None).get(house.url("/healthz")).send().await.unwrap();
    assert_eq!(ok.status(), 200, "the gateway goes on");
    assert!(house.metric("k3s_daas_gateway_connections_refused_total{reason=\"handshake_timeout\"}") >= 1);
}

#[tokio::test]
async fn connections_are_capped_and_come_free_again() {
    let house = House::with(GatewayLimits { header_timeout_ms: 1_000, ..quick() }).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(raw(&house).await);
    }
    let fifth = TcpStream::connect(house.address).await.unwrap();
    assert_eq!(rest(fifth).await, "");
    assert_eq!(house.metric("k3s_daas_gateway_connections_refused_total{reason=\"too_many\"}"), 1);
    drop(held);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(house.client(None).get(house.url("/healthz")).send().await.unwrap().status(), 200);
    assert!(house.metric("k3s_daas_gateway_connections") <= 1);
}

#[tokio::test]
async fn probes_and_metrics_speak_kubernetes_and_openmetrics() {
    let house = House::new().await;
    let client = house.client(None);
    let get = async |path: &str| {
        let response = client.get(house.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    assert_eq!(get("/healthz").await, (200, "ok".to_owned()));
    assert!(get("/healthz?verbose").await.1.ends_with("healthz check passed\n"));
    let (code, text) = get("/readyz").await;
    assert_eq!(code, 503);
    for line in ["[+]chain-sync ok", "[-]chain failed", "[-]enclave failed", "[-]apiserver failed"] {
        assert!(text.contains(line), "{text}");
    }
    house.shared.board.update(|board| {
        board.chain.reachable = true;
        board.apiserver_ready = true;
        board.reconciled = true;
    });
    assert_eq!(get("/readyz").await.0, 503);
    assert_eq!(get("/readyz?exclude=enclave").await, (200, "ok".to_owned()));
    house.shared.board.update(|board| board.enclave = Some(Id([1; 32])));
    assert_eq!(get("/readyz").await, (200, "ok".to_owned()));

    let (code, metrics) = get("/metrics").await;
    assert_eq!(code, 200);
    for reason in Refusal::REASONS {
        assert!(metrics.contains(&format!("token_refusals_total{{reason=\"{reason}\"}}")), "{reason}");
    }
    assert!(metrics.contains("k3s_daas_http_request_duration_seconds_bucket"));
    assert!(metrics.contains("route=\"/healthz\",method=\"GET\",code=\"200\""), "{metrics}");
}

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push_str(&format!("{field}={value:?} "));
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("master")
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
        self.0.lock().unwrap().push('\n');
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_refusal_is_one_line_with_the_tokens_id_and_never_the_proof() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let house = House::new().await;
    let (client, apiserver) = (house.client(None), house.client_as(WEBHOOK_CLIENT, &[]));
    let proof = house.proof(NODE);
    house.tell(Fact::Token(Token { revoked: true, ..token(NODE) }));
    expect(client.get(house.url("/v1-k3s/config")).basic_auth("seal", Some(&proof)), 401, "token_revoked")
        .await;
    expect(client.get(house.url("/api/v1/nodes")).bearer_auth(format!("x{proof}")), 401, "malformed").await;
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": { "token": proof } });
    apiserver.post(house.url("/webhook/token-review")).json(&review).send().await.unwrap();
    let broken = format!("{{\"nodeName\":\"{proof}\",");
    let beat = client.post(house.url("/api/v1/nodes/heartbeat")).bearer_auth(house.proof(USER));
    expect(beat.header("content-type", "application/json").body(broken), 403, "not_a_node_token").await;

    let text = log.0.lock().unwrap().clone();
    assert!(!text.contains(&proof), "{text}");
    let lines: Vec<_> = text.lines().filter(|line| line.contains("token_revoked")).collect();
    assert_eq!(lines.len(), 2, "one for each refusal: {text}");
    assert!(lines.iter().all(|line| line.contains(&NODE.to_string())), "{text}");
}

/// Between requests the gateway puts a connection's buffers away; nobody can tell.
#[tokio::test]
async fn a_connection_that_rested_answers_as_before_even_byte_by_byte() {
    let house = House::with(GatewayLimits { header_timeout_ms: 1_500, ..quick() }).await;
    let mut stream = raw(&house).await;
    let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    for pause_ms in [0, 700, 10, 700] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        // The first byte wakes it; the others come later, and two requests at once.
        let (first, others) = request.split_at(1);
        stream.write_all(first).await.unwrap();
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        stream.write_all(others).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answers = String::new();
        while answers.matches("\r\n\r\nok").count() < 2 {
            let mut bytes = [0; 1024];
            let read = timeout(Duration::from_secs(2), stream.read(&mut bytes)).await.unwrap().unwrap();
            assert!(read > 0, "closed after {answers:?}");
            answers.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
        assert!(!answers.to_lowercase().contains("connection: close"), "{answers}");
    }
    assert_eq!(house.metric("k3s_daas_gateway_connections"), 1);
    // Silence still ends it, rested or not.
    assert_eq!(rest(stream).await, "");
    let idle = || house.metric("k3s_daas_gateway_connections_refused_total{reason=\"idle_or_slow\"}");
    assert_eq!(idle(), 1);
}
