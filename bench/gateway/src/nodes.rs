//! Nodes and pods in Kubernetes that kwok plays.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::Command as AsyncCommand;

use crate::Args;
use crate::world::{World, name};

/// Objects of one kubectl call.
const BATCH: usize = 500;
const PATIENCE: Duration = Duration::from_secs(240);

/// Killed when dropped.
pub(crate) struct Kwok(Child);

/// Makes the nodes and pods, and waits until all pods run.
pub(crate) async fn start(args: &Args, world: &World, dir: &Path) -> anyhow::Result<Kwok> {
    let kubeconfig = dir.join("admin.kubeconfig");
    write_kubeconfig(world, &world.administrator().await?, &kubeconfig)?;
    let stages = args.peers.join("stages.yaml").canonicalize().context("run bench/peers/build.sh first")?;
    let log = std::fs::File::create(dir.join("kwok.log"))?;
    let child = Command::new(args.peers.join("kwok").canonicalize()?)
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg("--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake")
        .arg(format!("--config={}", stages.display()))
        .arg("--node-lease-duration-seconds=40")
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("starting kwok")?;
    let mut kwok = Kwok(child);
    // As workers' nodes they are the master's to look after.
    let nodes: Vec<Value> = (0..args.nodes)
        .map(|n| {
            json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name(n),
                "annotations": { "kwok.x-k8s.io/node": "fake" },
                "labels": { "type": "kwok", "kubernetes.io/hostname": name(n) } } })
        })
        .collect();
    apply(world, &kubeconfig, &nodes).await?;
    let pods: Vec<Value> = (0..args.pods)
        .map(|n| {
            json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": format!("pod-{n:05}"),
                "namespace": "default", "labels": { "app": "bench" } },
                "spec": { "nodeName": name(n % args.nodes), "automountServiceAccountToken": false,
                    "containers": [{ "name": "c", "image": "none" }] } })
        })
        .collect();
    apply(world, &kubeconfig, &pods).await?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        kwok.still_runs()?;
        let out = kubectl(world, &kubeconfig)
            .args(["get", "pods", "--no-headers", "--field-selector=status.phase=Running", "-o", "name"])
            .output()
            .await?;
        let running = String::from_utf8_lossy(&out.stdout).lines().count();
        if running >= args.pods {
            return Ok(kwok);
        }
        if Instant::now() > deadline {
            bail!("{running} of {} pods run after {PATIENCE:?}", args.pods);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

impl Kwok {
    pub(crate) fn still_runs(&mut self) -> anyhow::Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "kwok has ended: {ended:?}");
        Ok(())
    }
}

impl Drop for Kwok {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn apply(world: &World, kubeconfig: &Path, objects: &[Value]) -> anyhow::Result<()> {
    use tokio::io::AsyncWriteExt;
    for batch in objects.chunks(BATCH) {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": batch });
        let mut child = kubectl(world, kubeconfig)
            .args(["create", "-f", "-", "-o", "name"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(list.to_string().as_bytes()).await?;
        drop(stdin);
        let out = child.wait_with_output().await?;
        ensure!(out.status.success(), "kubectl: {}", String::from_utf8_lossy(&out.stderr));
    }
    Ok(())
}

fn kubectl(world: &World, kubeconfig: &Path) -> AsyncCommand {
    let mut command = AsyncCommand::new(&world.config.kubernetes_binary);
    command.args(["kubectl", "--kubeconfig"]).arg(kubeconfig);
    command
}

/// As an administrator with a stake of that tier, a grant on chain, and a proof that lasts for the benchmark.
fn write_kubeconfig(world: &World, proof: &str, path: &Path) -> anyhow::Result<()> {
    let ca = std::fs::read_to_string(world.ca_file())?;
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{ "name": "bench", "cluster": { "server": world.config.apiserver_url,
            "certificate-authority-data": STANDARD.encode(ca) } }],
        "users": [{ "name": "bench", "user": { "token": proof } }],
        "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": "bench" } }],
    });
    Ok(std::fs::write(path, kubeconfig.to_string())?)
}
