use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::command::{Said, eventually, run};
use crate::lan::{Lan, NATED, WORKER_1, WORKER_2};

const MINUTE: Duration = Duration::from_secs(60);

/// Node names, which are the names of the machines too, and their addresses. The last one is behind NAT.
const WORKERS: [(&str, &str); 3] = [("w1", WORKER_1), ("w2", WORKER_2), ("w3", NATED)];

/// The one behind NAT.
pub(crate) const HIDDEN: &str = "w3";

/// The section of the master's configuration about its snapshots.
const SNAPSHOTS: &str = "[master.snapshots]";

/// The one that shows evidence of its machine, which is simulated.
pub(crate) const ATTESTED: &str = "w2";

/// Without the last one where pods cannot reach it: only WireGuard gets through a router.
pub(crate) fn workers() -> &'static [(&'static str, &'static str)] {
    if cluster_settings().is_some_and(|text| text.contains("flannel_backend")) {
        &WORKERS[..2]
    } else {
        &WORKERS
    }
}

/// What `HOSTS_CLUSTER` puts into the section `[cluster]`.
fn cluster_settings() -> Option<String> {
    std::env::var("HOSTS_CLUSTER").ok()
}

/// One master and three workers, each a machine with a network and directories of its own.
pub(crate) struct Hosts {
    dir: tempfile::TempDir,
    bin: PathBuf,
    workers: Vec<(&'static str, Child)>,
    up: bool,
    pub(crate) lan: Lan,
}

impl Hosts {
    pub(crate) fn start() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let bin = root.canonicalize().map_err(|error| error.to_string())?.join("bin");
        for program in ["k3s-daas", "kubernetes"] {
            if !bin.join(program).exists() {
                return Err(format!("bin/{program} is missing: run `make build` first"));
            }
        }
        let dir = tempfile::Builder::new()
            .prefix("k3sd-hosts-")
            .tempdir_in("/var/tmp")
            .map_err(|error| format!("making a directory: {error}"))?;
        let mut hosts = Self { dir, bin, workers: Vec::new(), up: false, lan: Lan::new()? };
        hosts.master()?;
        for (name, _) in workers() {
            hosts.invite(name)?;
            hosts.work(name)?;
        }
        Ok(hosts)
    }

    fn master(&mut self) -> Result<(), String> {
        // The chain has to be reachable by the others; all else is the default.
        let cluster = cluster_settings().unwrap_or_default();
        let config = format!(
            "[devnet]\nlisten = \"{}:9000\"\n[cluster]\n{cluster}\n{SNAPSHOTS}\ninterval_ms = 0\n\
             place = {{ directory = {:?} }}\n[master.workers]\n",
            crate::lan::MASTER,
            self.state("cold")
        );
        std::fs::write(self.config("master"), config).map_err(|error| error.to_string())?;
        self.up = true;
        let started = Instant::now();
        self.up()?;
        println!("  the master is up after {:.1} s", started.elapsed().as_secs_f64());
        self.cli("master", &["wallet", "faucet", "staker"], MINUTE)?.ok().map(drop)
    }

    pub(crate) fn up(&self) -> Result<(), String> {
        self.cli("master", &["up", "--detach", "--no-worker"], 4 * MINUTE)?.ok().map(drop)
    }

    /// From its next start on the master listens elsewhere.
    pub(crate) fn move_master(&self, gateway: &str, apiserver: &str) -> Result<(), String> {
        let path = self.config("master");
        let config = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let moved = format!("[master]\nlisten = {gateway:?}\napiserver_listen = {apiserver:?}\n{SNAPSHOTS}");
        std::fs::write(&path, config.replace(SNAPSHOTS, &moved)).map_err(|error| error.to_string())
    }

    /// Lets workers prove this build on chain (`allow-worker`), or takes that back (`retire-worker`).
    pub(crate) fn worker_code(&self, command: &str) -> Result<(), String> {
        let measured = |name: &str, program: &str| {
            let said = run(Command::new("sha384sum").arg(self.bin.join(program)), "", MINUTE)?.ok()?;
            let digest = said.split_whitespace().next().ok_or("sha384sum said nothing")?;
            Ok::<_, String>(format!("{name}={digest}"))
        };
        let (code, kubernetes) = (measured("code", "k3s-daas")?, measured("kubernetes", "kubernetes")?);
        let measurement = ["--platform", "simulated", "--measurement", &code, "--measurement", &kubernetes];
        self.cli("master", &[&["enclave", command], &measurement[..]].concat(), MINUTE)?.ok().map(drop)
    }

    /// Starts the master anew, wanting every node attested, or none. That is measured, so `up` has to allow it on chain.
    pub(crate) fn require_attested(&mut self, required: bool) -> Result<(), String> {
        const WANTED: &str = "require_attested = true\n";
        let path = self.config("master");
        let config = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
        let config = if required { config + WANTED } else { config.replace(WANTED, "") };
        std::fs::write(&path, config).map_err(|error| error.to_string())?;
        self.cli("master", &["down"], 2 * MINUTE)?.ok()?;
        self.up()
    }

    /// The process that is the master now; `up` starts another when it ends.
    pub(crate) fn master_pid(&self) -> Result<rustix::process::Pid, String> {
        let status = self.cli("master", &["status", "-o", "json"], MINUTE)?.ok()?;
        let status: serde_json::Value = serde_json::from_str(&status).map_err(|error| error.to_string())?;
        let processes = status["processes"].as_array().cloned().unwrap_or_default();
        let master = processes.iter().find(|process| process["name"] == "master");
        let pid = master.and_then(|process| process["pid"].as_i64());
        let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        pid.ok_or_else(|| format!("no master among {processes:?}"))
    }

    /// Stakes for a node where the wallet is, and writes down what its machine needs: one line.
    fn invite(&self, name: &str) -> Result<(), String> {
        self.cli("master", &["stake", "--tier", "node", "--node-name", name], MINUTE)?.ok()?;
        let file = self.invitation(name);
        self.cli("master", &["token", "export", name, "--write", &file.to_string_lossy()], MINUTE)?.ok()?;
        let shows = "[worker.tee]\nplatform = \"simulated\"\nallow_simulated = true\n";
        let config = if name == ATTESTED { shows } else { "" };
        std::fs::write(self.config(name), config).map_err(|error| error.to_string())
    }

    /// Starts the worker of a machine that has nothing but that line.
    pub(crate) fn work(&mut self, name: &'static str) -> Result<(), String> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file(name));
        let log = log.map_err(|error| error.to_string())?;
        let mut command = self.command(name);
        command.arg("worker").arg("--token-file").arg(self.invitation(name)).stdin(Stdio::null());
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let child = command.stdout(errors).stderr(log).spawn().map_err(|error| error.to_string())?;
        self.workers.push((name, child));
        Ok(())
    }

    /// Kills a worker's agent at once (SIGKILL).
    pub(crate) fn kill_worker(&mut self, name: &str) -> Result<(), String> {
        let at = self.workers.iter().position(|(worker, _)| *worker == name).ok_or("no such worker")?;
        let (_, mut child) = self.workers.remove(at);
        child.kill().and_then(|()| child.wait()).map(drop).map_err(|error| error.to_string())
    }

    /// kubectl with the administrator's kubeconfig, on the master's machine.
    pub(crate) fn kubectl(&self, args: &[&str], input: &str) -> Result<Said, String> {
        let mut command = self.lan.command("master", &self.bin.join("kubernetes"));
        command.arg("kubectl").arg("--kubeconfig").arg(self.state("master").join("kubeconfig")).args(args);
        run(&mut command, input, 2 * MINUTE)
    }

    /// The same as words of a shell script for that machine.
    pub(crate) fn kubectl_line(&self) -> String {
        let config = self.state("master").join("kubeconfig");
        format!("{} kubectl --kubeconfig {}", self.bin.join("kubernetes").display(), config.display())
    }

    pub(crate) fn apply(&self, manifest: &str) -> Result<(), String> {
        self.kubectl(&["apply", "-f", "-"], manifest)?.ok().map(drop)
    }

    pub(crate) fn get(&self, what: &[&str], path: &str) -> Result<String, String> {
        let path = format!("jsonpath={path}");
        self.kubectl(&[&["get"], what, &["-o", &path]].concat(), "")?.ok()
    }

    pub(crate) fn ready(&self, node: &str, limit: Duration) -> Result<(), String> {
        let path = "{.status.conditions[?(@.type=='Ready')].status}";
        let ready = eventually(limit, || match self.get(&["node", node], path)?.as_str() {
            "True" => Ok(()),
            other => Err(format!("{node} is Ready: {other:?}")),
        });
        ready.map_err(|error| format!("{error}\nits log ends:\n{}", self.log_tail(node, 40)))
    }

    /// Runs a command of the product on a machine.
    pub(crate) fn cli(&self, host: &str, args: &[&str], limit: Duration) -> Result<Said, String> {
        run(self.command(host).args(args), "", limit)
    }

    /// Runs a shell script on a machine.
    pub(crate) fn shell(&self, host: &str, script: &str, limit: Duration) -> Result<Said, String> {
        run(self.lan.command(host, Path::new("/bin/sh")).args(["-c", script]), "", limit)
    }

    pub(crate) fn state(&self, host: &str) -> PathBuf {
        self.dir.path().join(host)
    }

    pub(crate) fn command(&self, host: &str) -> Command {
        let mut command = self.lan.command(host, &self.bin.join("k3s-daas"));
        command.arg("--state-dir").arg(self.state(host)).arg("--config").arg(self.config(host));
        command
    }

    fn config(&self, host: &str) -> PathBuf {
        self.dir.path().join(format!("{host}.toml"))
    }

    fn invitation(&self, host: &str) -> PathBuf {
        self.dir.path().join(format!("{host}.token"))
    }

    fn log_file(&self, host: &str) -> PathBuf {
        if host == "master" {
            self.state(host).join("up.log")
        } else {
            self.dir.path().join(format!("{host}.log"))
        }
    }

    pub(crate) fn log_tail(&self, host: &str, lines: usize) -> String {
        let text = std::fs::read(self.log_file(host)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for (_, child) in &mut self.workers {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        let machines = WORKERS.iter().map(|(name, _)| *name).chain(self.up.then_some("master"));
        for host in machines.filter(|host| self.state(host).exists()) {
            if let Err(error) = self.cli(host, &["down", "--purge"], 3 * MINUTE).and_then(Said::ok) {
                eprintln!("down --purge on {host}: {error}");
            }
        }
        if std::env::var_os("HOSTS_KEEP_LOGS").is_some() {
            for host in ["w1", "w2", "w3"] {
                let _ = std::fs::copy(self.log_file(host), format!("/tmp/hosts-{host}.log"));
            }
        }
    }
}
