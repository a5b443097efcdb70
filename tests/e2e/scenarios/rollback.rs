use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Outcome;
use crate::cluster::Cluster;
use crate::command::{eventually, run};

const KEY: &str = "/registry/namespaces/default";

/// The state is anchored on demand; a key of it is proven to whoever has the chain, and a changed proof is not; the status says
/// what is anchored and what it costs.
pub(crate) fn anchored_and_proven(cluster: &mut Cluster) -> Outcome {
    let anchored = cluster.json(&["anchor"])?["revision"].as_i64().unwrap_or_default();
    let proof = cluster.cli(&["prove", KEY])?.ok()?;
    let document: Value =
        serde_json::from_str(&proof).map_err(|error| format!("no proof: {error}: {proof}"))?;
    if document["revision"].as_i64().is_none_or(|revision| revision < anchored)
        || document["present"].is_null()
    {
        return Err(format!("{KEY} is not proven at revision {anchored} or later: {proof}"));
    }
    let id = cluster.json(&["status"])?["clusterId"].as_str().unwrap_or_default().to_owned();
    let verify = |text: &str| {
        // Of the cluster's machine nothing is used: the state directory is another one.
        let elsewhere = cluster.state().with_file_name("elsewhere");
        let mut command = std::process::Command::new(cluster.bin());
        command.arg("--state-dir").arg(elsewhere).args(["--chain", &chain_url()]);
        run(
            command.args(["verify-proof", "-", "--cluster", &id, "-o", "json"]),
            text,
            Duration::from_secs(60),
        )
    };
    let shown = verify(&proof)?.ok()?;
    if !shown.contains("\"accepted\": true") && !shown.contains("\"accepted\":true") {
        return Err(format!("not accepted: {shown}"));
    }
    let mut changed = document.clone();
    changed["present"]["valueSha256"] = Value::from("00".repeat(32));
    let refused = verify(&changed.to_string())?;
    if refused.code != 3 {
        return Err(format!("a changed proof: {refused}"));
    }
    refused.refused_with("another state root")?;
    let absent = cluster.cli(&["prove", "/registry/no-such-thing"])?.ok()?;
    if !verify(&absent)?.ok()?.contains("\"exists\"") || absent.contains("present") {
        return Err(format!("absence is not proven: {absent}"));
    }
    let status = cluster.cli(&["status"])?.ok()?;
    if !status.contains("anchored    revision") || !status.contains("SUI in the last day") {
        return Err(format!("the status does not say what is anchored: {status}"));
    }
    Ok(())
}

/// An old copy of the master's directory, put back while everything is down, is refused; so is an empty one; the newest one
/// serves again.
pub(crate) fn old_copy_refused(cluster: &mut Cluster) -> Outcome {
    let state = cluster.state().to_owned();
    let (master, old, newest) = (state.join("master"), state.join("master.old"), state.join("master.newest"));
    cluster.cli(&["anchor"])?.ok()?;
    cluster.cli_for(&["down"], Duration::from_secs(90))?.ok()?;
    copy(&master, &old)?;

    cluster.start()?;
    cluster.kubectl("admin", &["create", "configmap", "written-later"])?.ok()?;
    let anchored = cluster.json(&["anchor"])?["revision"].as_i64().unwrap_or_default();
    cluster.cli_for(&["down"], Duration::from_secs(90))?.ok()?;
    rename(&master, &newest)?;
    rename(&old, &master)?;

    let chain = Chain::start(cluster)?;
    let refused = cluster.cli(&["master"])?;
    if refused.code != 3 {
        return Err(format!("an old copy: {refused}"));
    }
    let known = format!("the chain knows revision {anchored}");
    refused.refused_with(&known)?;
    // The sealed keys alone, with no store at all.
    std::fs::remove_dir_all(master.join("store")).map_err(|error| error.to_string())?;
    std::fs::remove_dir_all(master.join("anchor")).map_err(|error| error.to_string())?;
    cluster.cli(&["master"])?.refused_with(&known)?;
    drop(chain);

    std::fs::remove_dir_all(&master).map_err(|error| error.to_string())?;
    rename(&newest, &master)?;
    cluster.start()?;
    cluster.kubectl("admin", &["get", "configmap", "written-later"])?.ok().map(|_| ())
}

/// The development chain alone.
struct Chain(Child);

impl Chain {
    fn start(cluster: &Cluster) -> Result<Self, String> {
        let data = cluster.state().join("devnet");
        let mut command = cluster.command();
        command.arg("devnet").arg("--data-dir").arg(data).stdin(Stdio::null()).stderr(Stdio::null());
        let chain = Self(command.stdout(Stdio::null()).spawn().map_err(|error| error.to_string())?);
        eventually(Duration::from_secs(10), || {
            let address = chain_url();
            let address = address.trim_start_matches("http://");
            std::net::TcpStream::connect(address).map(drop).map_err(|error| error.to_string())
        })?;
        Ok(chain)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn chain_url() -> String {
    format!("http://127.0.0.1:{}", crate::cluster::CHAIN_PORT)
}

fn rename(from: &Path, to: &Path) -> Outcome {
    std::fs::rename(from, to).map_err(|error| format!("{} to {}: {error}", from.display(), to.display()))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    run(std::process::Command::new("cp").arg("-a").args([from, to]), "", Duration::from_secs(60))?
        .ok()
        .map(|_| ())
}
