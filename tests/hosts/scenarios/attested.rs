use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::eventually;
use crate::hosts::{ATTESTED, Hosts, workers};

const MINUTE: Duration = Duration::from_secs(60);
const NOBODY: &str = "";
const TAINTS: &str = "{.spec.taints[?(@.key=='k3s-daas.io/unattested')].effect}";

/// One worker shows simulated evidence: once the chain allows its code, its label says so, the others' say false, and the
/// example's pods run there and nowhere else. Code that is retired on chain takes the label away.
pub(crate) fn attested(hosts: &mut Hosts) -> Outcome {
    labelled(hosts, NOBODY)?;
    hosts.worker_code("allow-worker")?;
    let started = Instant::now();
    labelled(hosts, ATTESTED)?;
    println!("  attested {:.1} s after its code was allowed", started.elapsed().as_secs_f64());
    let example = include_str!("../../../deploy/examples/attested.yaml");
    let ours = "k3s-daas/busybox:1\n          imagePullPolicy: Never\n          command: [/bin/busybox, sleep, \"3600\"]";
    let manifest = example.replace("\"true\"", "\"simulated\"").replace("registry.k8s.io/pause:3.10", ours);
    hosts.apply(&manifest)?;
    hosts.kubectl(&["rollout", "status", "deployment/attested", "--timeout=60s"], "")?.ok()?;
    let nodes = hosts.get(&["pods", "-l", "app=attested"], "{.items[*].spec.nodeName}")?;
    if nodes != format!("{ATTESTED} {ATTESTED}") {
        return Err(format!("the pods that want an attested node run on {nodes:?}"));
    }
    hosts.kubectl(&["delete", "deployment", "attested", "--wait=false"], "")?.ok()?;
    // The worker knows what the master made of its evidence.
    let status = "busybox wget -q -O - http://127.0.0.1:9346/api/v1/status";
    let status: serde_json::Value = serde_json::from_str(&hosts.shell(ATTESTED, status, MINUTE)?.ok()?)
        .map_err(|error| error.to_string())?;
    let evidence = &status["evidence"];
    if evidence["simulated"] != true || evidence["expiresMs"].as_u64() <= evidence["verifiedMs"].as_u64() {
        return Err(format!("the worker says {evidence}"));
    }
    hosts.worker_code("retire-worker")?;
    let started = Instant::now();
    labelled(hosts, NOBODY)?;
    let took = started.elapsed();
    println!("  not any more {:.1} s after it was retired", took.as_secs_f64());
    if took > Duration::from_secs(15) {
        return Err(format!("the label went {took:?} after the code was retired"));
    }
    hosts.worker_code("allow-worker")?;
    labelled(hosts, ATTESTED)
}

/// Where every node has to be attested, one that is not is emptied, and one that is keeps its pods, over a restart of the master
/// too, until its code is retired.
pub(crate) fn required(hosts: &mut Hosts) -> Outcome {
    let container = "{.status.containerStatuses[0].containerID}";
    let pod = format!("web-{ATTESTED}");
    let before = hosts.get(&["pod", &pod], container)?;
    let started = Instant::now();
    hosts.require_attested(true)?;
    let others = || workers().iter().map(|(node, _)| *node).filter(|node| *node != ATTESTED);
    for node in others() {
        emptied(hosts, node)?;
    }
    println!(
        "  nodes that prove nothing are emptied {:.1} s after the master was told to stop",
        started.elapsed().as_secs_f64()
    );
    hosts.ready(ATTESTED, MINUTE)?;
    labelled(hosts, ATTESTED)?;
    let (taints, after) = (hosts.get(&["node", ATTESTED], TAINTS)?, hosts.get(&["pod", &pod], container)?);
    if !taints.is_empty() || before != after {
        return Err(format!("the attested node has the taint {taints:?}, its pod {before} became {after}"));
    }
    hosts.worker_code("retire-worker")?;
    let started = Instant::now();
    emptied(hosts, ATTESTED)?;
    let took = started.elapsed();
    println!("  the attested node is emptied {:.1} s after its code was retired", took.as_secs_f64());
    if took < MINUTE { Ok(()) } else { Err(format!("it took {took:?}")) }
}

/// Waits until a node is tainted and its web server gone, or told to go: a kubelet that may not speak does not say that it went.
fn emptied(hosts: &Hosts, node: &str) -> Outcome {
    eventually(2 * MINUTE, || match hosts.get(&["node", node], TAINTS)?.as_str() {
        "NoExecute" => Ok(()),
        other => Err(format!("{node} proves nothing and has the taint {other:?}")),
    })?;
    let pod = format!("web-{node}");
    eventually(MINUTE, || {
        let said =
            hosts.kubectl(&["get", "pod", &pod, "-o", "jsonpath={.metadata.deletionTimestamp}"], "")?;
        if said.code != 0 || !said.stdout.is_empty() { Ok(()) } else { Err(format!("{pod} stays")) }
    })
}

/// Waits until `attested` is the only node whose labels say that it has proven something.
fn labelled(hosts: &Hosts, attested: &str) -> Outcome {
    let labels = r"{.metadata.labels.k3s-daas\.io/attested} {.metadata.labels.k3s-daas\.io/platform}";
    for (node, _) in workers() {
        let expected = if *node == attested { "simulated simulated" } else { "false none" };
        eventually(MINUTE, || match hosts.get(&["node", node], labels)? {
            found if found == expected => Ok(()),
            found => Err(format!("{node} is labelled {found:?}, not {expected:?}")),
        })?;
    }
    Ok(())
}
