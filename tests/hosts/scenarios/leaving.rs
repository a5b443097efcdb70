//! A staker takes a machine away for good.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::eventually;
use crate::hosts::{Hosts, workers};

const MINUTE: Duration = Duration::from_secs(60);
/// The one that leaves.
const LEAVES: &str = "w1";

/// Two pods, both on the node that leaves, of which the owner wants one served at any time.
const SHOP: &str = r#"
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: shop }
spec: { minAvailable: 1, selector: { matchLabels: { app: shop } } }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            preference: { matchExpressions: [{ key: kubernetes.io/hostname, operator: In, values: [w1] }] }
      containers:
      - name: main
        image: k3s-daas/busybox:1
        imagePullPolicy: Never
        command: [/bin/busybox, sh, -c, "mkdir -p /tmp/www && exec httpd -f -p 8080 -h /tmp/www"]
        # A pod that needs a while: two that go at once would leave nobody.
        readinessProbe: { tcpSocket: { port: 8080 }, initialDelaySeconds: 3, periodSeconds: 1 }
"#;

/// `unstake --drain`: the pods move one by one as their budget allows, then the stake is asked back and the node is gone.
pub(crate) fn in_order(hosts: &mut Hosts) -> Outcome {
    hosts.require_attested(false)?;
    for (node, _) in workers() {
        hosts.ready(node, MINUTE)?;
        eventually(MINUTE, || match hosts.get(&["node", node], "{.spec.taints}")?.as_str() {
            "" => Ok(()),
            taints => Err(format!("{node} has the taints {taints}")),
        })?;
    }
    hosts.apply(SHOP)?;
    eventually(MINUTE, || match available(hosts)? {
        2 => Ok(()),
        pods => Err(format!("{pods} pods of the shop are there")),
    })?;
    let on = hosts.get(&["pods", "-l", "app=shop"], "{.items[*].spec.nodeName}")?;
    if on != format!("{LEAVES} {LEAVES}") {
        return Err(format!("the shop's pods are on {on}"));
    }

    let started = Instant::now();
    let mut unstake = hosts.command("master");
    unstake
        .args(["unstake", LEAVES, "--drain"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut leaving = unstake.spawn().map_err(|error| error.to_string())?;
    let mut fewest = 2;
    while leaving.try_wait().map_err(|error| error.to_string())?.is_none() && started.elapsed() < 3 * MINUTE {
        fewest = fewest.min(available(hosts)?);
    }
    // It may have ended by itself.
    let _ = leaving.kill();
    let said = leaving.wait_with_output().map_err(|error| error.to_string())?;
    let (out, err) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    if !said.status.success() || !err.contains("pods are left") {
        return Err(format!("unstake --drain ended with {}: {out}{err}", said.status));
    }
    println!(
        "  the node was empty and its stake asked back {:.1} s after the command",
        started.elapsed().as_secs_f64()
    );
    if fewest == 0 {
        return Err("the shop was closed for a moment".to_owned());
    }
    eventually(MINUTE, || {
        let gone = hosts.kubectl(&["get", "node", LEAVES], "")?;
        if gone.stderr.contains("NotFound") { Ok(()) } else { Err(gone.to_string()) }
    })?;
    eventually(MINUTE, || match available(hosts)? {
        2 => Ok(()),
        pods => Err(format!("{pods} pods of the shop are there")),
    })?;
    let stakes = hosts.cli("master", &["stake", "list"], MINUTE)?.ok()?;
    let asked_back = stakes.lines().any(|line| line.contains(LEAVES) && line.contains("unbonding"));
    if asked_back { Ok(()) } else { Err(format!("the stake is not asked back: {stakes}")) }
}

fn available(hosts: &Hosts) -> Result<u32, String> {
    let text = hosts.get(&["deployment", "shop"], "{.status.availableReplicas}")?;
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|error| format!("{text}: {error}")) }
}
