use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Outcome;
use crate::cluster::Cluster;
use crate::command::{eventually, run};
use crate::snapshots::Walrus;

/// Objects that are written before the disk is lost.
const OBJECTS: usize = 300;
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
        let mut command = Command::new(cluster.bin());
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

/// An old copy of the master's directory, put back while everything is down, is refused, and so is an empty one. Then all of
/// it is destroyed, the newest copy too, and one of three who hold the cluster's secret is away: the cluster comes back from the
/// chain, the cold store and the other two, with every object as it was, and the worker is Ready again by itself.
pub(crate) fn old_copy_refused_and_lost_disk_recovered(cluster: &mut Cluster) -> Outcome {
    let state = cluster.state().to_owned();
    let (master, old) = (state.join("master"), state.join("master.old"));
    let mut holders = Holder::three(cluster)?;
    cluster.cli(&["anchor"])?.ok()?;
    cluster.cli_for(&["down"], Duration::from_secs(90))?.ok()?;
    copy(&master, &old)?;

    cluster.start()?;
    cluster.kubectl_with("admin", &["create", "-f", "-"], &objects())?.ok()?;
    let walrus = Walrus::start(cluster)?;
    let before = dump(cluster)?;
    cluster.cli(&["snapshot", "save"])?.ok()?;
    let anchored = cluster.json(&["anchor"])?["revision"].as_i64().unwrap_or_default();
    let id = cluster.json(&["status"])?["clusterId"].as_str().unwrap_or_default().to_owned();
    cluster.cli_for(&["down"], Duration::from_secs(90))?.ok()?;
    remove(&master)?;
    rename(&old, &master)?;

    let chain = Chain::start(cluster)?;
    let refused = cluster.cli(&["master"])?;
    if refused.code != 3 {
        return Err(format!("an old copy: {refused}"));
    }
    let known = format!("the chain knows revision {anchored}");
    refused.refused_with(&known)?;
    // The sealed keys alone, with no store at all.
    remove(&master.join("store"))?;
    remove(&master.join("anchor"))?;
    cluster.cli(&["master"])?.refused_with(&known)?;

    remove(&master)?;
    drop(holders.remove(0));
    let mut recover = vec!["recover", "--cluster", &id];
    let plan = cluster.json(&[&recover[..], &["--dry-run"]].concat())?;
    if plan["anchoredRevision"].as_i64() != Some(anchored) || master.exists() {
        return Err(format!("the dry run says {plan}, or did something"));
    }
    cluster.cli(&recover)?.refused_with("--holder")?;
    holders.iter().for_each(|holder| recover.extend(["--holder", &holder.url]));
    let recovered = cluster.json(&recover)?;
    if recovered["rootComparedAt"].is_null() {
        return Err(format!("no root was compared: {recovered}"));
    }
    drop((chain, walrus));
    cluster.start()?;
    cluster.worker_ready(Duration::from_secs(60))?;
    let after = dump(cluster)?;
    if before != after {
        let lost = before.iter().filter(|object| !after.contains(object)).count();
        return Err(format!("{lost} of {} objects are not what they were", before.len()));
    }
    println!(
        "  {} objects as they were, recovered at revision {}",
        before.len(),
        recovered["restoredRevision"]
    );
    Ok(())
}

/// Many objects, as kubectl takes them.
fn objects() -> String {
    let items: Vec<Value> = (0..OBJECTS)
        .map(|number| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": format!("written-later-{number}") },
                "data": { "number": number.to_string() } })
        })
        .collect();
    json!({ "apiVersion": "v1", "kind": "List", "items": items }).to_string()
}

/// Every object of the kinds that nobody changes while a cluster stands still.
fn dump(cluster: &Cluster) -> Result<Vec<Value>, String> {
    let kinds = "configmaps,secrets,serviceaccounts,clusterroles,clusterrolebindings,services";
    let text = cluster.kubectl("admin", &["get", kinds, "-A", "-o", "json"])?.ok()?;
    let list: Value = serde_json::from_str(&text).map_err(|error| format!("no JSON: {error}"))?;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    if items.len() <= OBJECTS { Err(format!("only {} objects", items.len())) } else { Ok(items) }
}

/// A member of the recovery committee, on a machine of its own.
struct Holder {
    process: Child,
    url: String,
    named: String,
}

impl Holder {
    /// Three, of whom any two give the secret, with their shares dealt.
    fn three(cluster: &Cluster) -> Result<Vec<Self>, String> {
        let status = cluster.json(&["status"])?;
        let id = status["clusterId"].as_str().unwrap_or_default();
        let deployment = std::fs::read_to_string(cluster.state().join("deployment.json"));
        let deployment: Value = serde_json::from_str(&deployment.map_err(|error| error.to_string())?)
            .map_err(|error| error.to_string())?;
        let package = deployment["package"].as_str().unwrap_or_default();
        let holders = ["a", "b", "c"].into_iter().map(|name| Self::start(cluster, name, package, id));
        let holders: Vec<Self> = holders.collect::<Result<_, _>>()?;
        let mut deal = vec!["committee", "deal", "--threshold", "2"];
        holders.iter().for_each(|holder| deal.extend(["--holder", &holder.named]));
        cluster.cli(&deal)?.ok()?;
        Ok(holders)
    }

    fn start(cluster: &Cluster, name: &str, package: &str, id: &str) -> Result<Self, String> {
        let dir = cluster.state().with_file_name(format!("holder-{name}"));
        let command = || {
            let mut command = Command::new(cluster.bin());
            command.arg("--state-dir").arg(&dir).args(["--chain", &chain_url(), "-o", "json"]);
            command
        };
        let key = run(command().args(["custodian", "--print-key"]), "", Duration::from_secs(30))?.ok()?;
        let key: Value = serde_json::from_str(&key).map_err(|error| format!("{key}: {error}"))?;
        let key = key["publicKey"].as_str().unwrap_or_default().to_owned();
        let mut serve = command();
        serve.args(["custodian", "--listen", "127.0.0.1:0", "--package", package, "--cluster", id]);
        let serve = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut process = serve.map_err(|error| error.to_string())?;
        let mut lines =
            BufReader::new(process.stderr.take().ok_or("no stderr")?).lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split_once(" at http://")?.1.to_owned()));
        // What it says later has to go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        let url =
            format!("http://{}", address.ok_or_else(|| format!("holder {name} does not say where it is"))?);
        Ok(Self { process, named: format!("{name}={key}@{url}"), url })
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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

fn remove(path: &Path) -> Outcome {
    std::fs::remove_dir_all(path).map_err(|error| format!("removing {}: {error}", path.display()))
}

fn copy(from: &Path, to: &Path) -> Outcome {
    run(Command::new("cp").arg("-a").args([from, to]), "", Duration::from_secs(60))?.ok().map(|_| ())
}
