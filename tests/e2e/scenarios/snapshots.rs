use std::process::{Child, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::cluster::{Cluster, WALRUS_PORT};
use crate::command::eventually;

/// Snapshots go to a simulated Walrus, a base and what changed; they are listed and checked, and a place that is down is told.
pub(crate) fn saved_listed_checked(cluster: &mut Cluster) -> Outcome {
    cluster.cli(&["snapshot", "save"])?.refused_with("cannot be reached")?;
    let _walrus = Walrus::start(cluster)?;
    cluster.kubectl("admin", &["create", "configmap", "in-the-base"])?.ok()?;
    let base = cluster.cli(&["snapshot", "save"])?.ok()?;
    cluster.kubectl("admin", &["create", "configmap", "in-the-changes"])?.ok()?;
    let changes = cluster.cli(&["snapshot", "save"])?.ok()?;

    let list = cluster.json(&["snapshot", "list"])?;
    let snapshots = list["snapshots"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = snapshots.iter().filter_map(|snapshot| snapshot["name"].as_str()).collect();
    let [.., second_last, last] = &names[..] else { return Err(format!("too few snapshots: {list}")) };
    if (*second_last, *last) != (base.trim(), changes.trim()) {
        return Err(format!("{base} and {changes} were saved, and this is listed: {list}"));
    }
    let chain = snapshots.last().map(|snapshot| snapshot["chain"].as_u64().unwrap_or_default());
    if chain.is_none_or(|chain| chain < 2) {
        return Err(format!("the last one is not a snapshot of changes: {list}"));
    }
    let checked = cluster.json(&["snapshot", "verify"])?;
    if checked["records"].as_u64().is_none_or(|records| records < 100) {
        return Err(format!("too little in a snapshot of a cluster: {checked}"));
    }
    cluster.json(&["snapshot", "verify", base.trim()])?;
    let kept = cluster.json(&["snapshot", "prune", "--dry-run"])?;
    if kept["removed"].as_array().is_none_or(|removed| !removed.is_empty()) {
        return Err(format!("nothing is old: {kept}"));
    }
    Ok(())
}

/// The simulated Walrus.
pub(crate) struct Walrus(Child);

impl Walrus {
    pub(crate) fn start(cluster: &Cluster) -> Result<Self, String> {
        let address = format!("127.0.0.1:{WALRUS_PORT}");
        let mut command = cluster.command();
        command.args(["walrus-dev", "--listen", &address, "--shards", "10"]).stdin(Stdio::null());
        let child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        let walrus = Self(child.map_err(|error| error.to_string())?);
        eventually(Duration::from_secs(10), || {
            std::net::TcpStream::connect(&address).map(drop).map_err(|error| error.to_string())
        })?;
        Ok(walrus)
    }
}

impl Drop for Walrus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
