use std::time::Duration;

use crate::Outcome;
use crate::cluster::Cluster;
use crate::command::eventually;
use crate::proofs::whoami;

/// A `user`-tier wallet with a grant for one namespace can work there and nowhere else.
pub(crate) fn grant_for_one_namespace(cluster: &mut Cluster) -> Outcome {
    cluster.kubectl("admin", &["create", "namespace", "alice"])?.ok()?;
    cluster.kubectl("admin", &["create", "namespace", "bob"])?.ok()?;
    cluster.cli(&["wallet", "new", "alice"])?.ok()?;
    cluster.cli(&["wallet", "faucet", "alice"])?.ok()?;
    cluster.cli(&["stake", "--tier", "user", "--wallet", "alice"])?.ok()?;
    // A live token without a grant is let in, and may do nothing.
    eventually(Duration::from_secs(5), || {
        cluster.kubectl("alice", &["-n", "alice", "get", "pods"])?.refused_with("forbidden")
    })?;
    cluster.cli(&["grant", "add", "alice", "--namespace", "alice", "--role", "edit"])?.ok()?;
    eventually(Duration::from_secs(5), || {
        cluster.kubectl("alice", &["-n", "alice", "create", "configmap", "mine", "--from-literal=a=b"])?.ok()
    })?;
    cluster.kubectl("alice", &["-n", "alice", "get", "configmap", "mine"])?.ok()?;
    for elsewhere in [
        &["-n", "bob", "create", "configmap", "theirs"][..],
        &["-n", "kube-system", "get", "secrets"],
        &["get", "nodes"],
        &["create", "namespace", "more"],
    ] {
        cluster
            .kubectl("alice", elsewhere)?
            .refused_with("forbidden")
            .map_err(|error| format!("{elsewhere:?}: {error}"))?;
    }
    Ok(())
}

/// A proof signed by a key that no stake on chain knows.
pub(crate) fn unknown_wallet(cluster: &mut Cluster) -> Outcome {
    let admin = crate::proofs::Holder::of(cluster, "admin")?;
    let stranger = crate::proofs::Holder::stranger(&admin);
    let before = cluster.metric("k3s_daas_token_refusals_total", "unknown_token")?;
    let status = whoami(cluster, &stranger.proof(|_| ()))?;
    if status != 401 {
        return Err(format!("the apiserver answered {status}"));
    }
    let after = cluster.metric("k3s_daas_token_refusals_total", "unknown_token")?;
    if after > before { Ok(()) } else { Err(format!("the refusal was not counted: {before} then {after}")) }
}
