use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use engine::k3s::{self, K3sAgent, K3sError};
use engine::supervise::{Child, ChildState, leftovers, stop_all};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::certificates::NodeBundle;
use crate::node_agent::{NodeAgent, NodeAgentError, NodeStatus, StopReason};
use crate::tunnel::Reach;

/// Where the kubelet inside of `k3s agent` says how it is.
const KUBELET_HEALTH: &str = "127.0.0.1:10248";
/// How long `k3s agent` may take to end.
const GRACE: Duration = Duration::from_secs(20);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
/// Counting pods looks at every process; that often is enough.
const PODS_INTERVAL: Duration = Duration::from_secs(5);
/// One of them per pod.
const SHIM: &str = "containerd-shim";

/// A node that `k3s agent` is: it joins the gateway itself, by K3s' protocol, with tokens that the worker keeps fresh.
pub struct K3sNode {
    binary: PathBuf,
    state_dir: PathBuf,
    address: IpAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    gateway: Option<String>,
    running: Option<(K3sAgent, Child)>,
    pods: Option<(Instant, u32)>,
}

impl K3sNode {
    /// A node that does not run yet, of the binary `named`, else of `k3s` in the usual directories; its state is below `state_dir`.
    ///
    /// # Errors
    /// When there is no such binary.
    pub fn new(named: Option<&Path>, state_dir: PathBuf, address: IpAddr) -> Result<Self, NodeAgentError> {
        let binary = k3s::binary(named).map_err(|error: K3sError| NodeAgentError(Box::new(error)))?;
        Ok(Self { binary, state_dir, address, state: Mutex::default() })
    }

    fn token_file(&self) -> PathBuf {
        self.state_dir.join("token")
    }

    async fn pods(&self, state: &mut State) -> u32 {
        if let Some((at, count)) = state.pods
            && at.elapsed() < PODS_INTERVAL
        {
            return count;
        }
        let dir = self.state_dir.clone();
        let found = tokio::task::spawn_blocking(move || leftovers(&dir)).await.unwrap_or_default();
        let shims = found.iter().filter(|process| process.command.contains(SHIM)).count();
        let count = u32::try_from(shims).unwrap_or(u32::MAX);
        state.pods = Some((Instant::now(), count));
        count
    }
}

#[async_trait]
impl NodeAgent for K3sNode {
    fn joins_itself(&self) -> bool {
        true
    }

    async fn invite(&self, gateway: &str, token: &str) -> Result<(), NodeAgentError> {
        self.state.lock().await.gateway = Some(gateway.to_owned());
        write_private(&self.state_dir, &self.token_file(), token)
            .map_err(|error| NodeAgentError(Box::new(error)))
    }

    async fn start(&self, bundle: NodeBundle) -> Result<(), NodeAgentError> {
        let mut state = self.state.lock().await;
        let gateway = state
            .gateway
            .clone()
            .ok_or_else(|| NodeAgentError("there is no token to join with yet".into()))?;
        let agent = K3sAgent {
            data_dir: self.state_dir.join("data"),
            gateway,
            token_file: self.token_file().to_string_lossy().into_owned(),
            node_name: bundle.node_name,
            node_ip: self.address,
        };
        match state.running.take() {
            // It renews its certificates itself.
            Some((known, child)) if known == agent => {
                state.running = Some((known, child));
                return Ok(());
            }
            Some((_, child)) => child.stop(GRACE).await,
            None => {}
        }
        let child = Child::start(agent.call().program("k3s-agent", &self.binary, &self.state_dir));
        state.running = Some((agent, child));
        Ok(())
    }

    async fn stop(&self, reason: StopReason) -> Result<(), NodeAgentError> {
        let mut state = self.state.lock().await;
        if let Some((_, child)) = state.running.take() {
            child.stop(GRACE).await;
        }
        if let StopReason::Gone(_) = reason {
            // K3s leaves pods running when it ends.
            let left = stop_all(leftovers(&self.state_dir), GRACE).await;
            if let Some(left) = left.first() {
                return Err(NodeAgentError(format!("process {} of k3s does not end", left.pid).into()));
            }
            match std::fs::remove_file(self.token_file()) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(NodeAgentError(Box::new(error)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn status(&self) -> NodeStatus {
        let not_ready = |reason: String| NodeStatus { ready: false, reason: Some(reason), pods: 0 };
        let Ok(mut state) = self.state.try_lock() else {
            return not_ready("k3s agent is being started or stopped".to_owned());
        };
        let Some((_, child)) = &state.running else {
            return not_ready("k3s agent is not started".to_owned());
        };
        let child = child.status();
        if child.state != ChildState::Running {
            let exit = child.last_exit.unwrap_or_else(|| "starting".to_owned());
            return not_ready(format!("k3s agent does not run ({exit}); its log lines say why"));
        }
        match timeout(HEALTH_TIMEOUT, kubelet_answer()).await {
            Ok(Ok(line)) if line.contains(" 200 ") => {}
            Ok(Ok(line)) => return not_ready(format!("the kubelet of k3s agent says {line:?}")),
            Ok(Err(error)) => return not_ready(format!("the kubelet of k3s agent: {error}")),
            Err(_) => return not_ready("the kubelet of k3s agent does not answer".to_owned()),
        }
        let pods = self.pods(&mut state).await;
        NodeStatus { ready: true, reason: None, pods }
    }

    /// Nothing by our tunnel: `k3s agent` opens its own.
    async fn reach(&self) -> Option<Reach> {
        None
    }
}

/// The status line of the kubelet's health endpoint.
async fn kubelet_answer() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(KUBELET_HEALTH).await?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
    let mut bytes = Vec::new();
    stream.take(1024).read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().to_owned())
}

/// Replaces a file that only its owner may read.
fn write_private(dir: &Path, path: &Path, content: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let new = path.with_extension("new");
    let mut file =
        std::fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content.as_bytes())?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::agent::Gone;
    use crate::engine_node::tests::bundle;

    /// Notes what it is called with, as `k3s` would be, and waits.
    const RECORDER: &str = "#!/bin/sh\n\
        { echo \"args $*\"; echo \"url $K3S_URL\"; echo \"token $(cat \"$K3S_TOKEN_FILE\")\"; echo \"ours $CARGO_MANIFEST_DIR\"; } >>\"$0.calls\"\n\
        exec sleep 600\n";

    fn recorder(dir: &Path) -> PathBuf {
        let path = dir.join("k3s");
        std::fs::write(&path, RECORDER).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn calls(binary: &Path, lines: usize) -> Vec<String> {
        for _ in 0..200 {
            let text = std::fs::read_to_string(binary.with_extension("calls")).unwrap_or_default();
            if text.lines().count() >= lines {
                return text.lines().map(str::to_owned).collect();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("k3s was not called so often");
    }

    #[tokio::test]
    async fn k3s_agent_is_called_with_our_gateway_our_token_and_the_pinned_name() {
        let dir = tempfile::tempdir().unwrap();
        let binary = recorder(dir.path());
        let state = dir.path().join("node");
        let node = K3sNode::new(Some(&binary), state.clone(), IpAddr::from([10, 0, 0, 9])).unwrap();
        assert_eq!(node.start(bundle()).await.unwrap_err().to_string(), "there is no token to join with yet");

        node.invite("https://master:9345", "K10aa::seal:first").await.unwrap();
        node.start(bundle()).await.unwrap();
        let said = calls(&binary, 4).await;
        let args = format!(
            "args agent --data-dir={} --node-name=n1 --node-ip=10.0.0.9",
            state.join("data").display()
        );
        assert_eq!(said, [&args, "url https://master:9345", "token K10aa::seal:first", "ours "]);
        let mode = std::fs::metadata(state.join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        // Renewed certificates and tokens leave it alone; another name does not.
        node.invite("https://master:9345", "K10aa::seal:second").await.unwrap();
        node.start(bundle()).await.unwrap();
        node.start(NodeBundle { node_name: "n2".into(), ..bundle() }).await.unwrap();
        let said = calls(&binary, 8).await;
        assert!(said[4].contains("--node-name=n2"), "{said:?}");
        assert_eq!(said[6], "token K10aa::seal:second");
        assert!(!node.status().await.ready, "sleep is no kubelet");

        node.stop(StopReason::Gone(Gone::Revoked)).await.unwrap();
        assert_eq!(leftovers(&state), [], "nothing runs");
        assert!(!state.join("token").exists());
    }

    #[test]
    fn a_missing_binary_is_one_clear_sentence() {
        let error = K3sNode::new(Some(Path::new("/no/such/k3s")), "s".into(), IpAddr::from([10, 0, 0, 9]));
        let text = error.err().unwrap().to_string();
        assert!(text.starts_with("there is no k3s binary at /no/such/k3s: "), "{text}");
    }
}
