use std::time::{Duration, Instant};

use crate::Outcome;
use crate::cluster::Cluster;
use crate::command::eventually;
use crate::node_client::{NodeClient, certificate};
use crate::proofs::whoami;

/// From the checkpoint to the first refusal. The command returns at the checkpoint.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);
/// From the checkpoint to the node gone from the API.
const REMOVAL_LIMIT: Duration = Duration::from_secs(15);

pub(crate) fn revoked_node(cluster: &mut Cluster) -> Outcome {
    let node = NodeClient::join(cluster, "worker-revoked")?;
    out_after(cluster, &node, "worker-revoked", &["token", "revoke", "worker-revoked"])
}

pub(crate) fn unstaked_node(cluster: &mut Cluster) -> Outcome {
    let node = NodeClient::join(cluster, "worker-unstaked")?;
    out_after(cluster, &node, "worker-unstaked", &["unstake", "worker-unstaked"])
}

fn out_after(cluster: &Cluster, node: &NodeClient, name: &str, command: &[&str]) -> Outcome {
    if whoami(cluster, &node.holder.proof(|_| ()))? != 201 {
        return Err("the proof was not accepted while the token was live".into());
    }
    cluster.cli(command)?.ok()?;
    let since = Instant::now();
    eventually(REFUSAL_LIMIT, || match whoami(cluster, &node.holder.proof(|_| ()))? {
        401 => Ok(()),
        other => Err(format!("the proof still gets {other}")),
    })?;
    eventually(REFUSAL_LIMIT.saturating_sub(since.elapsed()), || match node.look(cluster)? {
        401 | 403 => Ok(()),
        other => Err(format!("the node's certificate still gets {other}")),
    })?;
    println!("  {name}: refused {} ms after the checkpoint", since.elapsed().as_millis());
    match certificate(cluster, name, &node.holder)? {
        Err((401 | 403, _)) => {}
        Err((status, body)) => return Err(format!("a new certificate is refused with {status} {body}")),
        Ok(_) => return Err("a new certificate is still signed".into()),
    }
    eventually(REMOVAL_LIMIT, || {
        let nodes = cluster.kubectl("admin", &["get", "nodes", "-o", "name"])?.ok()?;
        if nodes.contains(name) { Err(format!("{name} is still among {nodes:?}")) } else { Ok(()) }
    })?;
    println!("  {name}: gone from the API {} ms after the checkpoint", since.elapsed().as_millis());
    Ok(())
}
