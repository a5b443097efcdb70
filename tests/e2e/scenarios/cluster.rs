use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Said, eventually, run};

/// Ports of their own, so that a cluster of yours on the usual ones is left alone.
pub(crate) const API_PORT: u16 = 16443;
pub(crate) const GATEWAY_PORT: u16 = 19345;
pub(crate) const CHAIN_PORT: u16 = 19000;
pub(crate) const WORKER_PORT: u16 = 19346;
pub(crate) const KUBELET_PORT: u16 = 20250;
pub(crate) const WALRUS_PORT: u16 = 19415;
const KUBELET_HEALTH_PORT: u16 = 20248;

/// The worker that `up` stakes for.
pub(crate) const WORKER: &str = "worker-1";

const MINUTE: Duration = Duration::from_secs(60);

/// One cluster made by `k3s-daas up --detach`, under a state directory of its own.
pub(crate) struct Cluster {
    dir: Option<tempfile::TempDir>,
    state: PathBuf,
    config: PathBuf,
    bin: PathBuf,
    /// What the first `up` took, from the command to its end.
    pub(crate) first_up: Duration,
}

impl Cluster {
    pub(crate) fn up() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("these tests run a kubelet: run them as root (sudo make test)".into());
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let bin = root.canonicalize().map_err(|error| error.to_string())?.join("bin");
        for program in ["k3s-daas", "kubernetes"] {
            if !bin.join(program).exists() {
                return Err(format!("bin/{program} is missing: run `make build` first"));
            }
        }
        let dir = tempfile::Builder::new()
            .prefix("k3s-daas-e2e-")
            .tempdir_in("/var/tmp")
            .map_err(|error| format!("making a state directory: {error}"))?;
        let state = dir.path().join("state");
        let config = dir.path().join("config.toml");
        std::fs::write(&config, configuration()).map_err(|error| error.to_string())?;
        let mut cluster = Self { dir: Some(dir), state, config, bin, first_up: Duration::ZERO };
        let started = Instant::now();
        cluster.start()?;
        cluster.first_up = started.elapsed();
        Ok(cluster)
    }

    /// `up --detach` on this state directory: the first time and after every crash.
    pub(crate) fn start(&self) -> Result<String, String> {
        self.cli_for(&["up", "--detach"], 5 * MINUTE)?.ok()
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.bin.join("k3s-daas")
    }

    pub(crate) fn cli(&self, args: &[&str]) -> Result<Said, String> {
        self.cli_for(args, MINUTE)
    }

    pub(crate) fn cli_for(&self, args: &[&str], limit: Duration) -> Result<Said, String> {
        run(self.command().args(args), "", limit)
    }

    pub(crate) fn json(&self, args: &[&str]) -> Result<Value, String> {
        let text = self.cli(&[args, &["-o", "json"]].concat())?.ok()?;
        serde_json::from_str(&text).map_err(|error| format!("{args:?} did not print JSON ({error}): {text}"))
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.bin());
        command.arg("--state-dir").arg(&self.state).arg("--config").arg(&self.config);
        command
    }

    /// kubectl with the exec credential of a token of this state directory.
    pub(crate) fn kubectl(&self, token: &str, args: &[&str]) -> Result<Said, String> {
        self.kubectl_with(token, args, "")
    }

    pub(crate) fn kubectl_with(&self, token: &str, args: &[&str], input: &str) -> Result<Said, String> {
        let file = self.kubeconfig(token)?;
        run(
            Command::new(self.bin.join("kubernetes")).arg("kubectl").arg("--kubeconfig").arg(file).args(args),
            input,
            MINUTE,
        )
    }

    pub(crate) fn kubeconfig(&self, token: &str) -> Result<PathBuf, String> {
        let file = self.state.with_file_name(format!("kubeconfig-{token}"));
        if !file.exists() {
            let text = self.cli(&["kubeconfig", "--token", token])?.ok()?;
            std::fs::write(&file, text).map_err(|error| error.to_string())?;
        }
        Ok(file)
    }

    /// Waits until kubectl sees the worker Ready.
    pub(crate) fn worker_ready(&self, limit: Duration) -> Result<(), String> {
        let path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
        eventually(limit, || {
            let said = self.kubectl("admin", &["get", "node", WORKER, "-o", path])?;
            if said.stdout == "True" { Ok(()) } else { Err(said.to_string()) }
        })
    }

    /// The gateway's metrics; it is public.
    pub(crate) fn metric(&self, name: &str, label: &str) -> Result<f64, String> {
        let text =
            self.http()?.get(self.gateway("/metrics")).send().and_then(reqwest::blocking::Response::text);
        let text = text.map_err(|error| error.to_string())?;
        let line = text.lines().find(|line| line.starts_with(name) && line.contains(label));
        Ok(line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse().ok()).unwrap_or(0.0))
    }

    pub(crate) fn gateway(&self, path: &str) -> String {
        format!("https://127.0.0.1:{GATEWAY_PORT}{path}")
    }

    pub(crate) fn api(&self, path: &str) -> String {
        format!("https://127.0.0.1:{API_PORT}{path}")
    }

    /// An HTTPS client that trusts this cluster's CA and nothing else.
    pub(crate) fn http(&self) -> Result<reqwest::blocking::Client, String> {
        self.http_as(None)
    }

    /// The same with a client certificate and its key, PEM.
    pub(crate) fn http_as(&self, identity: Option<&str>) -> Result<reqwest::blocking::Client, String> {
        let ca = self.ca_pem()?;
        let ca = reqwest::Certificate::from_pem(ca.as_bytes()).map_err(|error| error.to_string())?;
        let mut builder =
            reqwest::blocking::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(10));
        if let Some(pem) = identity {
            let identity = reqwest::Identity::from_pem(pem.as_bytes()).map_err(|error| error.to_string())?;
            builder = builder.identity(identity);
        }
        builder.build().map_err(|error| error.to_string())
    }

    /// The cluster's CA as a kubeconfig carries it.
    pub(crate) fn ca_pem(&self) -> Result<String, String> {
        use base64::Engine as _;
        let text = std::fs::read_to_string(self.kubeconfig("admin")?).map_err(|error| error.to_string())?;
        let data = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("certificate-authority-data:"))
            .ok_or("the kubeconfig carries no certificate-authority-data")?;
        let pem = base64::engine::general_purpose::STANDARD.decode(data.trim());
        String::from_utf8(pem.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }

    /// Everything that the cluster's processes wrote to their log.
    pub(crate) fn log(&self) -> String {
        std::fs::read(self.state.join("up.log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub(crate) fn log_tail(&self, lines: usize) -> String {
        let log = self.log();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::env::var_os("E2E_KEEP").is_some() {
            let kept = self.dir.take().map(tempfile::TempDir::keep);
            eprintln!("kept: {}", kept.unwrap_or_default().display());
        } else if let Err(error) = self.cli(&["down", "--purge"]).and_then(Said::ok) {
            eprintln!("down --purge: {error}");
        }
    }
}

fn configuration() -> String {
    format!(
        r#"
[devnet]
listen = "127.0.0.1:{CHAIN_PORT}"

[master]
listen = "127.0.0.1:{GATEWAY_PORT}"
apiserver_listen = "127.0.0.1:{API_PORT}"

[master.snapshots]
interval_ms = 0
[master.snapshots.place.walrus]
publishers = ["http://127.0.0.1:{WALRUS_PORT}"]
aggregators = ["http://127.0.0.1:{WALRUS_PORT}"]
epochs = 5
shards = 10

[worker]
listen = "127.0.0.1:{WORKER_PORT}"

[node]
kubelet_port = {KUBELET_PORT}
healthz_port = {KUBELET_HEALTH_PORT}
proxy_healthz_port = 20256
proxy_metrics_port = 20249
"#
    )
}
