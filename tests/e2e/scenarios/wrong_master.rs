use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::Outcome;
use crate::cluster::{Cluster, WORKER};
use crate::command::{eventually, pause};

const NODE: &str = "worker-careful";
const OTHER: &str =
    "code=00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000beef";

/// The chain allows other code than the master runs: a worker that wants to join refuses before it shows a
/// proof, and names the measurement that differs.
pub(crate) fn refused(cluster: &mut Cluster) -> Outcome {
    cluster.cli(&["stake", "--tier", "node", "--wallet", "staker", "--node-name", NODE])?.ok()?;
    let enclaves = cluster.json(&["enclave", "list"])?;
    let allowed = measurements(&enclaves["allowed"][0])?;
    let name = allowed[0].split('=').next().unwrap_or("code").to_owned();
    let other = OTHER.replacen("code", &name, 1);
    cluster.cli(&["enclave", "allow", "--measurement", &other])?.ok()?;
    let retire: Vec<&str> = allowed.iter().flat_map(|value| ["--measurement", value.as_str()]).collect();
    cluster.cli(&[&["enclave", "retire"][..], &retire].concat())?.ok()?;

    let joins = || cluster.metric("k3s_daas_joins_total", "");
    let before = joins()?;
    let api = "127.0.0.1:19446";
    let mut worker = Command::new(cluster.bin());
    worker
        .arg("--state-dir")
        .arg(cluster.state())
        .args(["--config"])
        .arg(cluster.config())
        .env("K3S_DAAS_WORKER__LISTEN", api)
        .env("K3S_DAAS_WORKER__STATE_DIR", cluster.state().with_file_name("careful"))
        .env("K3S_DAAS_NODE__STATE_DIR", cluster.state().with_file_name("careful-node"))
        .args(["worker", "--token", NODE])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut worker = worker.spawn().map_err(|error| error.to_string())?;
    let said = eventually(Duration::from_secs(20), || {
        let status = reqwest::blocking::get(format!("http://{api}/api/v1/status"))
            .and_then(reqwest::blocking::Response::json);
        let status: Value = status.map_err(|error| error.to_string())?;
        let message = status["problem"]["message"].as_str().unwrap_or_default().to_owned();
        if message.contains(&name) && message.contains("beef") {
            Ok(message)
        } else {
            Err(status.to_string())
        }
    });
    pause(Duration::from_secs(1));
    let after = joins();
    let _ = worker.kill();
    let _ = worker.wait();
    println!("  the worker says: {}", said?);
    if after? > before {
        return Err("the worker joined all the same".into());
    }

    // The operator puts it right; the master is registered anew by the next `up`.
    let allow: Vec<&str> = allowed.iter().flat_map(|value| ["--measurement", value.as_str()]).collect();
    cluster.cli(&[&["enclave", "allow"][..], &allow].concat())?.ok()?;
    cluster.cli(&["enclave", "retire", "--measurement", &other])?.ok()?;
    cluster.cli(&["unstake", NODE])?.ok()?;
    // The worker of the cluster had left with its node, and joins again.
    cluster.worker_ready(Duration::from_secs(60)).map_err(|error| format!("{WORKER}: {error}"))
}

fn measurements(allowed: &Value) -> Result<Vec<String>, String> {
    let values = allowed["measurements"].as_array().ok_or("the enclave list has no measurements")?;
    Ok(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
