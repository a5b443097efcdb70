use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;
use crate::cluster::Cluster;
use crate::command::{eventually, pause};
use crate::node_client::{NodeClient, certificate};
use crate::proofs::Holder;

/// Has a token when the chain goes away, and has not joined yet.
const LATE: &str = "worker-late";
const OUTAGE: Duration = Duration::from_secs(60);

/// The chain hangs for a minute: neither answers nor refuses, as a full node that is stuck does.
pub(crate) fn joined_go_on(cluster: &mut Cluster) -> Outcome {
    let joined = NodeClient::join(cluster, "worker-joined")?;
    cluster.cli(&["stake", "--tier", "node", "--wallet", "staker", "--node-name", LATE])?.ok()?;
    let late = Holder::of(cluster, LATE)?;
    let devnet = pid_of(cluster, "devnet")?;
    kill_process(devnet, Signal::STOP).map_err(|error| error.to_string())?;
    let during = during(cluster, &joined, &late);
    kill_process(devnet, Signal::CONT).map_err(|error| error.to_string())?;
    during?;
    eventually(Duration::from_secs(20), || {
        let status = cluster.json(&["status"])?;
        match status["master"]["chain"]["reachable"].as_bool() {
            Some(true) => Ok(()),
            _ => Err(format!("the master says of the chain: {}", status["master"]["chain"])),
        }
    })?;
    certificate(cluster, LATE, &late)?
        .map_err(|(status, body)| format!("after the outage: {status} {body}"))?;
    // What happens on chain afterwards is seen at once again.
    NodeClient::join(cluster, "worker-later")?;
    cluster.cli(&["token", "revoke", "worker-joined"])?.ok()?;
    eventually(Duration::from_secs(2), || match joined.look(cluster)? {
        401 | 403 => Ok(()),
        other => Err(format!("after the outage a revoked node still gets {other}")),
    })
}

fn during(cluster: &Cluster, joined: &NodeClient, late: &Holder) -> Outcome {
    let started = Instant::now();
    // The master notices after ten seconds of silence; asking more often than this is itself refused.
    pause(Duration::from_secs(15));
    match certificate(cluster, LATE, late)? {
        Err((503, body)) if body.contains("chain_unreachable") => {}
        other => return Err(format!("a join without the chain: {:?}", other.map(|_| "signed"))),
    }
    while started.elapsed() < OUTAGE {
        cluster.kubectl("admin", &["get", "nodes"])?.ok()?;
        match joined.look(cluster)? {
            200 => {}
            other => return Err(format!("a joined node gets {other} during the outage")),
        }
        cluster.worker_ready(Duration::ZERO)?;
        pause(Duration::from_secs(5));
    }
    Ok(())
}

/// The process that `up` runs under this name.
pub(crate) fn pid_of(cluster: &Cluster, name: &str) -> Result<Pid, String> {
    let status = cluster.json(&["status"])?;
    status["processes"]
        .as_array()
        .and_then(|all| all.iter().find(|process| process["name"] == name))
        .and_then(|process| process["pid"].as_i64())
        .and_then(|pid| Pid::from_raw(pid.try_into().ok()?))
        .ok_or_else(|| format!("status knows no process {name}: {}", status["processes"]))
}
