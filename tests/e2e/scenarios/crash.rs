use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::Outcome;
use crate::cluster::Cluster;
use crate::command::{eventually, pause};
use crate::pod::processes_naming;
use crate::proofs::Holder;

/// kill -9 of every process while a writer writes; `up` again.
pub(crate) fn kill_everything(cluster: &mut Cluster) -> Outcome {
    let before = cluster.json(&["status"])?;
    let holder = Holder::of(cluster, "admin")?;
    let ca = cluster.ca_pem()?;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, http, url) =
            (stop.clone(), cluster.http()?, cluster.api("/api/v1/namespaces/default/configmaps"));
        std::thread::spawn(move || write_until(&stop, &http, &url, &holder))
    };
    pause(Duration::from_secs(5));
    kill_all(cluster)?;
    stop.store(true, Ordering::Release);
    let acknowledged = writer.join().map_err(|_| "the writer panicked")?;
    if acknowledged.len() < 50 {
        return Err(format!("the writer got only {} acknowledgements", acknowledged.len()));
    }

    cluster.start()?;
    cluster.worker_ready(Duration::from_secs(30))?;
    let after = cluster.json(&["status"])?;
    for fact in ["clusterId", "caHash", "chainId"] {
        if before[fact].is_null() || before[fact] != after[fact] {
            return Err(format!("{fact} was {} and is {}", before[fact], after[fact]));
        }
    }
    if ca != cluster.ca_pem()? {
        return Err("the CA changed".into());
    }
    if before["nodeStakes"].is_null() || before["nodeStakes"] != after["nodeStakes"] {
        return Err(format!("node stakes were {} and are {}", before["nodeStakes"], after["nodeStakes"]));
    }
    cluster.kubectl("admin", &["get", "pod", "greeter"])?.ok()?;
    let names = cluster.kubectl("admin", &["get", "configmaps", "-o", "name"])?.ok()?;
    let present: std::collections::HashSet<&str> = names.lines().collect();
    let lost: Vec<&String> =
        acknowledged.iter().filter(|name| !present.contains(format!("configmap/{name}").as_str())).collect();
    if !lost.is_empty() {
        return Err(format!(
            "{} of {} acknowledged writes are lost: {lost:?}",
            lost.len(),
            acknowledged.len()
        ));
    }
    println!("  {} acknowledged writes, none lost", acknowledged.len());
    // A pod that is to be kept running runs again.
    eventually(Duration::from_secs(60), || {
        cluster.kubectl("admin", &["exec", "hello", "--", "/bin/busybox", "true"])?.ok()
    })
    .map(|_| ())
}

fn write_until(
    stop: &AtomicBool,
    http: &reqwest::blocking::Client,
    url: &str,
    holder: &Holder,
) -> Vec<String> {
    let proof = holder.proof(|_| ());
    let mut acknowledged = Vec::new();
    for number in 0..20_000 {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let name = format!("oracle-{number}");
        let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name } });
        let reply = http.post(url).bearer_auth(&proof).json::<Value>(&object).send();
        if reply.is_ok_and(|reply| reply.status().as_u16() == 201) {
            acknowledged.push(name);
        }
    }
    acknowledged
}

/// The supervisor first, so that it restarts nothing; then all that carry the state directory's name.
fn kill_all(cluster: &Cluster) -> Outcome {
    let state = cluster.state().display().to_string();
    let up = crate::chain_outage::pid_of(cluster, "up")?;
    kill_process(up, Signal::KILL).map_err(|error| error.to_string())?;
    eventually(Duration::from_secs(10), || {
        let left = processes_naming(&state)?;
        for line in &left {
            let pid = line.split(' ').next().and_then(|pid| pid.parse().ok()).and_then(Pid::from_raw);
            if let Some(pid) = pid {
                // It may have ended since it was listed.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if left.is_empty() { Ok(()) } else { Err(format!("still there: {left:?}")) }
    })
}
