use std::net::IpAddr;
use std::time::Duration;

use engine::NodeConfig;
use engine::node::remove_everything;
use engine::supervise::{leftovers, stop_all};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;

use super::Context;
use crate::cli::Down;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{Step, say};
use crate::settings::beside;
use crate::up::record::Record;

const UP_LIMIT: Duration = Duration::from_secs(90);
const GRACE: Duration = Duration::from_secs(10);

/// `k3s-daas down`
pub(crate) async fn run(context: &Context, args: Down) -> Result<()> {
    if let Some(running) = Record::running(&context.state)? {
        let step = Step::start("stopping");
        stop(&running).await?;
        step.done("every process has ended");
    } else {
        say("nothing runs here; looking for what may be left");
    }
    Record::remove(&context.state);
    clean(context).await?;
    if args.purge {
        purge(context)?;
    }
    Ok(())
}

async fn stop(running: &Record) -> Result<()> {
    if let Some(pid) = Pid::from_raw(running.pid) {
        kill_process(pid, Signal::TERM).context("asking `up` to stop")?;
    }
    let started = Instant::now();
    while running.is_alive() {
        if started.elapsed() > UP_LIMIT {
            say(format_args!("`up` (process {}) does not stop, killing it", running.pid));
            if let Some(pid) = Pid::from_raw(running.pid) {
                kill_process(pid, Signal::KILL).context("killing `up`")?;
            }
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Ends what is left of any run on this state directory: processes, pods, mounts, bridge, packet filter rules.
pub(crate) async fn clean(context: &Context) -> Result<()> {
    for dir in [
        context.state.root().to_owned(),
        context.state.path("master"),
        context.state.path("master/kubernetes"),
    ] {
        if let Some(left) = stop_all(leftovers(&dir), GRACE).await.first() {
            return Err(Failure::failed(format!("process {} does not end: {}", left.pid, left.command)));
        }
    }
    let node_dir = context.state.path("node");
    if rustix::process::geteuid().is_root() && node_dir.exists() {
        let step = Step::start("pods, mounts and network");
        remove_everything(&node(context)).await.context("cleaning up the node")?;
        step.done("removed");
    }
    Ok(())
}

/// As much of the node's configuration as cleaning up looks at.
fn node(context: &Context) -> NodeConfig {
    let nowhere = IpAddr::from([127, 0, 0, 1]);
    let network = master::ClusterNetwork::default();
    NodeConfig {
        name: String::new(),
        binary: beside("kubernetes"),
        state_dir: context.state.path("node"),
        address: nowhere,
        apiserver: String::new(),
        server_ca: String::new(),
        client_ca: String::new(),
        kubelet_port: 0,
        healthz_port: 0,
        proxy_healthz_port: 0,
        proxy_metrics_port: 0,
        cluster_cidr: network.cluster_cidr,
        cluster_dns: nowhere,
        cluster_domain: network.cluster_domain,
        backend: network.flannel_backend,
        proxy_mode: network.kube_proxy_mode,
        disabled: network.disable,
    }
}

/// Removes what we wrote; a directory that also holds other things keeps them.
fn purge(context: &Context) -> Result<()> {
    let step = Step::start("the state");
    let root = context.state.root();
    for name in [
        "deployment.json",
        "devnet",
        "master",
        "worker",
        "node",
        "storage",
        "wallets",
        "tokens",
        "pending",
        "run",
        "tee",
        "collateral",
        "committee.cbor",
        "walrus-dev",
        "index.bcs",
        "up.log",
        "up.log.1",
        "kubeconfig",
        "cluster-ca.crt",
        crate::pin::FILE,
    ] {
        let path = root.join(name);
        let removed = match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&path),
            Ok(_) => std::fs::remove_file(&path),
            Err(_) => Ok(()),
        };
        removed.context(format_args!("removing {}", path.display()))?;
    }
    step.done(format_args!("removed from {}", root.display()));
    Ok(())
}
