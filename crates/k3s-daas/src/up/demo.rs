use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::kubectl::kubectl;
use crate::commands::Context;
use crate::failure::{Failure, Result};

const NAME: &str = "hello";
const PORT: u16 = 8080;
const GREETING: &str = "hello from a pod on";

/// Runs a pod with a web server in it and asks it; what it answered.
pub(crate) async fn run(context: &Context, node: &str, limit: Duration) -> Result<String> {
    let started = Instant::now();
    let script = format!(
        "mkdir -p /tmp/www && echo {GREETING} $NODE >/tmp/www/index.html && exec httpd -f -p {PORT} -h /tmp/www"
    );
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": NAME, "namespace": "default", "labels": { "app": NAME } },
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "web",
                "image": "k3s-daas/busybox:1",
                "imagePullPolicy": "Never",
                "command": ["sh", "-c", script],
                "env": [{ "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } }],
                "ports": [{ "containerPort": PORT }],
                "readinessProbe": { "tcpSocket": { "port": PORT }, "periodSeconds": 1 },
            }],
        },
    })
    .to_string();
    loop {
        let last = match attempt(context, &pod).await {
            Ok(answer) => return Ok(answer),
            Err(failure) => failure,
        };
        if started.elapsed() >= limit {
            return Err(Failure::not_ready(format!("the pod {NAME} does not answer: {last}")));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn attempt(context: &Context, pod: &str) -> Result<String> {
    let look = ["get", "pod", NAME, "--ignore-not-found", "-o", "jsonpath={.status.podIP}"];
    let mut address = kubectl(context, &look, "").await?;
    if address.is_empty() {
        kubectl(context, &["apply", "-f", "-"], pod).await?;
        address = kubectl(context, &look, "").await?;
    }
    let answer = timeout(Duration::from_secs(2), ask(&address)).await.map_err(Failure::failed)?;
    let answer = answer.map_err(|error| Failure::failed(format!("pod address {address:?}: {error}")))?;
    match answer.lines().find(|line| line.starts_with(GREETING)) {
        Some(line) => Ok(line.to_owned()),
        None => Err(Failure::failed("it answers something else")),
    }
}

async fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(format!("{address}:{PORT}")).await?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
    let mut bytes = Vec::new();
    stream.take(64 * 1024).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
