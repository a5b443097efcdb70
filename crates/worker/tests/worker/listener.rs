//! Bad input to the worker's own API gets a proper answer, and nothing secret comes out anywhere.
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use crate::support::{Bench, Fault, exchange};
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

#[tokio::test]
async fn bad_requests_get_an_error_body_or_a_bad_request() {
    let (bench, _running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    let body = |text: &str| serde_json::from_str::<api::ErrorBody>(text).unwrap();

    let (code, text) = bench.get("/nothing/here").await;
    assert_eq!((code, body(&text).reason.as_str()), (404, "not_found"));
    for method in ["POST", "DELETE", "PUT"] {
        let request = format!(
            "{method} /api/v1/status HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        );
        let (code, text) = exchange(bench.api, request.as_bytes()).await;
        assert_eq!((code, body(&text).reason.as_str()), (405, "method_not_allowed"));
    }
    assert_eq!(exchange(bench.api, b"not http at all\r\n\r\n").await.0, 400);
    let long = format!("GET /{} HTTP/1.1\r\nhost: w\r\n\r\n", "a".repeat(1 << 20));
    assert!(matches!(exchange(bench.api, long.as_bytes()).await.0, 414 | 431));
    let headers = format!("GET /healthz HTTP/1.1\r\nhost: w\r\n{}\r\n", "x-a: b\r\n".repeat(500));
    assert_eq!(exchange(bench.api, headers.as_bytes()).await.0, 431);
    assert_eq!(bench.get("/healthz").await.0, 200);
    bench.stop().await;
}

#[tokio::test]
async fn a_slow_client_is_sent_away_and_holds_nobody_up() {
    let (bench, _running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    let begun = Instant::now();
    let slow = tokio::spawn(exchange(bench.api, b"GET /healthz HTTP/1.1\r\nhost: w\r\nx-never: en"));
    assert_eq!(bench.get("/healthz").await.0, 200);
    let (code, _) = slow.await.unwrap();
    assert!(matches!(code, 0 | 408), "{code}");
    assert!((9..20).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    bench.stop().await;
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// At the most talkative level, through a join, refusals and a lost gateway.
#[tokio::test]
async fn no_proof_password_or_key_is_logged_or_shown() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    // For all threads: interest in a log line is cached for the whole process.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (mut bench, running) = Bench::start(|config, _, _, _| config.clone(), Fault::None).await;
    bench.phase("running").await;
    *bench.gateway.refuse.lock() = Some("token_expired");
    bench.wait("refused", |status| status.problem.is_some()).await;
    drop(running);
    bench.phase("reconnecting").await;
    let shown = bench.get("/api/v1/status").await.1 + &bench.get("/metrics").await.1;

    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    assert!(log.contains("fits the enclave on chain") && log.contains("token_expired"), "nothing was logged");
    let password = std::fs::read_to_string(bench.dir.path().join("state/node-password")).unwrap();
    let pem = std::fs::read_to_string(bench.dir.path().join("holder.pem")).unwrap();
    let key_line = pem.lines().nth(1).unwrap();
    let mut secrets = vec![password, key_line.to_owned()];
    for (_, header) in bench.gateway.authorizations.lock().iter() {
        secrets.push(header.split_once(' ').unwrap().1.to_owned());
    }
    secrets.extend(bench.gateway.proofs().iter().map(ToString::to_string));
    for bundle in bench.node.bundles.lock().iter() {
        secrets.push(bundle.client_kubelet.key_pem.lines().nth(1).unwrap().to_owned());
    }
    assert!(secrets.len() > 10);
    let is_proof = |word: &str| word.parse::<seal_token::Proof>().is_ok();
    let words =
        |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').any(is_proof);
    assert!(words(&bench.gateway.proofs()[0].to_string()), "proofs are not recognised");
    assert!(!words(&log) && !words(&shown), "a proof came out that was never sent");
    for secret in &secrets {
        assert!(!log.contains(secret) && !shown.contains(secret), "a secret came out: {secret}");
    }
    bench.stop().await;
}
