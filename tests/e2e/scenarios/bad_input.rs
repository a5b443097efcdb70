use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder};

use crate::Outcome;
use crate::cluster::{CHAIN_PORT, Cluster, GATEWAY_PORT, WORKER_PORT};
use crate::proofs::Holder;

const GARBAGE: &[u8] =
    b"\x16\x03\x01\xff\xff\x00\xff GET / garbage \xfe\xff\x00\x80 PRI * HTTP/9.9\r\n\r\n\0\0\0";

pub(crate) fn every_listener(cluster: &mut Cluster) -> Outcome {
    let holder = Holder::of(cluster, crate::cluster::WORKER)?;
    let proof = holder.proof(|_| ());
    gateway(cluster, &proof)?;
    worker_api()?;
    devnet()?;
    raw_bytes(cluster)?;
    slow_clients(cluster)?;
    cluster.worker_ready(Duration::from_secs(5))?;
    let log = cluster.log();
    if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
        return Err(format!("something panicked: {line}"));
    }
    if log.contains(&proof) {
        return Err("a proof is in the log".into());
    }
    Ok(())
}

fn gateway(cluster: &Cluster, proof: &str) -> Outcome {
    let http = cluster.http()?;
    let beat = cluster.gateway("/api/v1/nodes/heartbeat");
    let json = "application/json";
    let post = |content_type: &str, body: Vec<u8>| {
        http.post(&beat).bearer_auth(proof).header("content-type", content_type).body(body)
    };
    expect("malformed JSON", post(json, b"{\"nodeName\":".to_vec()), &[400])?;
    expect("unknown fields", post(json, b"{\"nodeName\":\"a\",\"x\":1}".to_vec()), &[400, 422])?;
    expect("not UTF-8", post(json, vec![0xff; 100]), &[400])?;
    expect("deep nesting", post(json, b"[".repeat(200_000)), &[400])?;
    expect("an oversized body", post(json, vec![b'a'; 1024 * 1024 + 4096]), &[413])?;
    expect("a wrong content type", post("text/plain", b"{}".to_vec()), &[415])?;
    expect("a wrong method", http.delete(&beat).bearer_auth(proof), &[405])?;
    expect("an unknown path", http.get(cluster.gateway("/api/v1/nothing")), &[404])?;
    expect("no credential", http.get(cluster.gateway("/api/v1/nodes")), &[401])?;
    expect("a bad nonce", http.get(cluster.gateway("/api/v1/attestation?nonce=zz")), &[400])?;
    expect("no CSR", join(&http, cluster, proof, b"nothing".to_vec()), &[400])?;
    expect("an oversized CSR", join(&http, cluster, proof, vec![0x30; 80 * 1024]), &[413])?;
    for webhook in ["/webhook/token-review", "/webhook/authorize"] {
        let request = http.post(cluster.gateway(webhook)).header("content-type", json).body("{}");
        expect("a webhook call by a stranger", request, &[401, 403])?;
    }
    Ok(())
}

fn join(http: &Client, cluster: &Cluster, proof: &str, body: Vec<u8>) -> RequestBuilder {
    http.post(cluster.gateway("/v1-k3s/client-kubelet.crt"))
        .basic_auth("seal", Some(proof))
        .header("k3s-Node-Name", crate::cluster::WORKER)
        .body(body)
}

fn expect(what: &str, request: RequestBuilder, statuses: &[u16]) -> Outcome {
    let reply = request.send().map_err(|error| format!("{what}: {error}"))?;
    let status = reply.status().as_u16();
    let body = reply.text().unwrap_or_default();
    if !statuses.contains(&status) {
        return Err(format!("{what}: {status} instead of {statuses:?}: {body}"));
    }
    let parsed: Option<serde_json::Value> = serde_json::from_str(&body).ok();
    match parsed.as_ref().and_then(|body| body["reason"].as_str()) {
        Some(reason) if !reason.is_empty() => Ok(()),
        _ => Err(format!("{what}: the answer has no reason: {body}")),
    }
}

fn worker_api() -> Outcome {
    let http = Client::new();
    let url = |path: &str| format!("http://127.0.0.1:{WORKER_PORT}{path}");
    expect("an unknown path of the worker", http.get(url("/nothing")), &[404])?;
    expect("a wrong method at the worker", http.post(url("/api/v1/status")).body("x"), &[405])?;
    // It refuses before it has read all of that, and may close while we still send: it has to be there afterwards.
    match http.post(url("/healthz")).body(vec![0; 4 << 20]).send() {
        Ok(reply) if ![405, 413].contains(&reply.status().as_u16()) => {
            return Err(format!("an oversized body at the worker: {}", reply.status()));
        }
        Err(error) if !error.is_request() => return Err(format!("an oversized body at the worker: {error}")),
        _ => {}
    }
    expect("the worker after an oversized body", http.get(url("/nothing")), &[404])
}

/// gRPC: a frame that is no protobuf, and a length that lies.
fn devnet() -> Outcome {
    let http = Client::builder().http2_prior_knowledge().build().map_err(|error| error.to_string())?;
    for (service, method) in [
        ("LedgerService", "GetObject"),
        ("TransactionExecutionService", "ExecuteTransaction"),
        ("StateService", "ListDynamicFields"),
    ] {
        for body in [b"\x00\x00\x00\x00\x04\xff\xff\xff\xff".to_vec(), b"\x00\x7f\xff\xff\xff".to_vec()] {
            let reply = http
                .post(format!("http://127.0.0.1:{CHAIN_PORT}/sui.rpc.v2.{service}/{method}"))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(body)
                .send()
                .map_err(|error| format!("{service}/{method}: {error}"))?;
            if reply.headers().get("grpc-status").is_none_or(|status| status == "0") {
                return Err(format!("{service}/{method} took a malformed message: {:?}", reply.headers()));
            }
        }
    }
    Ok(())
}

fn raw_bytes(cluster: &Cluster) -> Outcome {
    for port in [GATEWAY_PORT, CHAIN_PORT, WORKER_PORT] {
        let stream =
            TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("port {port}: {error}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|error| error.to_string())?;
        answered_or_closed(stream).map_err(|error| format!("garbage to port {port}: {error}"))?;
    }
    let socket = cluster.state().join("master/store.sock");
    let stream = UnixStream::connect(&socket).map_err(|error| format!("{}: {error}", socket.display()))?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).map_err(|error| error.to_string())?;
    answered_or_closed(stream).map_err(|error| format!("garbage to the store: {error}"))
}

fn answered_or_closed(mut stream: impl Read + Write) -> Outcome {
    // The other side may close before it has read everything.
    let _ = stream.write_all(&GARBAGE.repeat(50));
    let mut bytes = [0; 4096];
    for _ in 0..100 {
        match stream.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(format!("neither closed nor answered: {error}")),
        }
    }
    Err("answers without end".into())
}

/// Two hundred clients that connect and say nothing do not keep others out.
fn slow_clients(cluster: &Cluster) -> Outcome {
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(("127.0.0.1", GATEWAY_PORT)).map_err(|error| error.to_string())?);
    }
    let reply = cluster.http()?.get(cluster.gateway("/healthz")).send().map_err(|error| error.to_string())?;
    if !reply.status().is_success() {
        return Err(format!("with 200 idle clients /healthz answers {}", reply.status()));
    }
    let first = &idle[0];
    first.set_read_timeout(Some(Duration::from_secs(40))).map_err(|error| error.to_string())?;
    match (&mut &*first).read(&mut [0; 16]) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(format!("a client that says nothing is kept for more than 40 s: {error}")),
    }
}
