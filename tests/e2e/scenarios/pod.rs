use std::path::Path;
use std::time::Duration;

use crate::Outcome;
use crate::cluster::{Cluster, WORKER};
use crate::command::eventually;

const UP_LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn up_is_fast(cluster: &mut Cluster) -> Outcome {
    cluster.worker_ready(Duration::from_secs(1))?;
    if cluster.first_up > UP_LIMIT {
        return Err(format!("up took {:?}, more than {UP_LIMIT:?}", cluster.first_up));
    }
    println!("  up took {:.1} s from nothing to Ready", cluster.first_up.as_secs_f64());
    eventually(Duration::from_secs(5), || {
        let status = cluster.json(&["status"])?;
        if status["nodes"][0]["state"] == "ready" {
            Ok(())
        } else {
            Err(format!("the master says {}", status["nodes"]))
        }
    })?;
    let version = cluster.kubectl("admin", &["version"])?.ok()?;
    if !version.contains("Server Version: v1.") {
        return Err(format!("the version string is not Kubernetes': {version}"));
    }
    Ok(())
}

pub(crate) fn runs_logs_exec(cluster: &mut Cluster) -> Outcome {
    let script = "echo hello from the pod; exec /bin/busybox sleep 3600";
    cluster
        .kubectl(
            "admin",
            &[
                "run",
                "greeter",
                "--image=k3s-daas/busybox:1",
                "--image-pull-policy=Never",
                "--restart=Never",
                "--command",
                "--",
                "/bin/busybox",
                "sh",
                "-c",
                script,
            ],
        )?
        .ok()?;
    cluster.kubectl("admin", &["wait", "--for=condition=Ready", "pod/greeter", "--timeout=50s"])?.ok()?;
    let logs = eventually(Duration::from_secs(5), || {
        let logs = cluster.kubectl("admin", &["logs", "greeter"])?.ok()?;
        if logs.contains("hello from the pod") { Ok(logs) } else { Err(format!("logs say {logs:?}")) }
    });
    logs?;
    let said =
        cluster.kubectl("admin", &["exec", "greeter", "--", "/bin/busybox", "echo", "exec works"])?.ok()?;
    if said.trim() != "exec works" {
        return Err(format!("exec said {said:?}"));
    }
    let node =
        cluster.kubectl("admin", &["get", "pod", "greeter", "-o", "jsonpath={.spec.nodeName}"])?.ok()?;
    if node != WORKER {
        return Err(format!("the pod runs on {node:?}"));
    }
    Ok(())
}

pub(crate) fn down_cleans_up(cluster: &mut Cluster) -> Outcome {
    cluster.cli(&["kubeconfig", "--pin"])?.ok()?;
    cluster.cli_for(&["down", "--purge"], Duration::from_secs(90))?.ok()?;
    let state = cluster.state().display().to_string();
    let left = processes_naming(&state)?;
    if !left.is_empty() {
        return Err(format!("processes are left: {left:?}"));
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").map_err(|error| error.to_string())?;
    if let Some(mount) = mounts.lines().find(|line| line.contains(&state)) {
        return Err(format!("a mount is left: {mount}"));
    }
    if Path::new("/sys/class/net/k3s-daas0").exists() {
        return Err("the bridge k3s-daas0 is left".into());
    }
    let left = std::fs::read_dir(cluster.state()).map(Iterator::count).unwrap_or_default();
    if left == 0 { Ok(()) } else { Err(format!("{left} entries are left in the state directory")) }
}

/// Command lines of the processes that mention `text`.
pub(crate) fn processes_naming(text: &str) -> Result<Vec<String>, String> {
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten() {
        let pid = entry.file_name().to_string_lossy().into_owned();
        if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A process may end between the listing and the look.
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) {
            found.push(format!("{pid} {line}"));
        }
    }
    Ok(found)
}
