use std::process::Stdio;
use std::time::Duration;

use tokio::process::{ChildStdin, Command};
use tokio::time::{Instant, timeout};

use super::config::NodeConfig;
use super::error::NodeError;
use super::programs::find;
use crate::supervise::Leftover;

const COMMAND_LIMIT: Duration = Duration::from_secs(60);
const SHIM: &str = "containerd-shim";

/// Waits until containerd answers.
pub(crate) async fn wait(config: &NodeConfig, limit: Duration) -> Result<(), NodeError> {
    let started = Instant::now();
    loop {
        match ctr(config, &["version"]).await {
            Ok(_) => return Ok(()),
            Err(error) if started.elapsed() >= limit => {
                return Err(NodeError::NotReady {
                    what: "containerd",
                    seconds: limit.as_secs(),
                    last: error.to_string(),
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Pod sandboxes that containerd knows.
pub(crate) async fn pods(config: &NodeConfig) -> Result<u32, NodeError> {
    let list =
        ctr(config, &["containers", "list", "-q", "labels.\"io.cri-containerd.kind\"==sandbox"]).await?;
    Ok(u32::try_from(list.lines().count()).unwrap_or(u32::MAX))
}

/// Asks the kubelet's own health endpoint, on loopback.
pub(crate) async fn kubelet_health(config: &NodeConfig) -> Result<(), NodeError> {
    let unwell = |reason: String| NodeError::Kubelet(reason);
    let tls = crate::tls::client(&config.server_ca, None).map_err(|error| unwell(error.to_string()))?;
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .timeout(Duration::from_secs(2))
        .no_proxy()
        .build()
        .map_err(|error| unwell(error.to_string()))?;
    let url = format!("http://127.0.0.1:{}/healthz", config.healthz_port);
    let reply = client.get(url).send().await.map_err(|error| unwell(error.to_string()))?;
    match reply.status() {
        status if status.is_success() => Ok(()),
        status => Err(unwell(status.to_string())),
    }
}

/// Whether a process is a pod's: a shim of containerd, or a descendant of one.
pub(crate) fn belongs_to_a_pod(process: &Leftover, all: &[Leftover]) -> bool {
    let mut current = Some(process);
    for _ in 0..64 {
        match current {
            Some(process) if process.command.contains(SHIM) => return true,
            Some(process) => current = all.iter().find(|other| other.pid == process.parent),
            None => return false,
        }
    }
    false
}

/// Runs containerd's own client on the kubelet's namespace.
pub(crate) async fn ctr(config: &NodeConfig, args: &[&str]) -> Result<String, NodeError> {
    let binary = find("ctr").ok_or(NodeError::Missing { name: "ctr", package: "containerd" })?;
    let mut command = Command::new(binary);
    command.arg("--address").arg(config.containerd_socket()).args(["--namespace", "k8s.io"]).args(args);
    run(command).await
}

/// Runs a command to its end; what it printed.
pub(crate) async fn run(mut command: Command) -> Result<String, NodeError> {
    command.stdin(Stdio::null());
    finish(command, |_| async { Ok(()) }).await
}

/// Runs a command to its end, `feed` writing its input when that is piped; what it printed.
pub(crate) async fn finish<F>(
    mut command: Command,
    feed: impl FnOnce(ChildStdin) -> F,
) -> Result<String, NodeError>
where
    F: Future<Output = std::io::Result<()>>,
{
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let line = format!("{:?}", command.as_std());
    let failed = |reason: String| NodeError::Command { command: line.clone(), reason };
    let output = timeout(COMMAND_LIMIT, async {
        let mut child = command.spawn()?;
        if let Some(input) = child.stdin.take() {
            feed(input).await?;
        }
        child.wait_with_output().await
    })
    .await
    .map_err(|_| failed(format!("no end within {COMMAND_LIMIT:?}")))?
    .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{}: {}", output.status, words.trim().chars().take(500).collect::<String>())))
}
