use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::Outcome;
use crate::cluster::{Cluster, WORKER};
use crate::command::{Said, run};

/// The master proves what it is to whoever asks, as the chain has it; kubectl works with a kubeconfig that pins what was proven,
/// and gets no credential for a master that is pinned as another.
pub(crate) fn verified_and_pinned(cluster: &mut Cluster) -> Outcome {
    let gateway = cluster.gateway("");
    let proven = cluster.json(&["verify", &gateway])?;
    for pointer in ["/ca/comparedWith", "/enclave/comparedWith", "/code/comparedWith"] {
        if proven.pointer(pointer) != Some(&json!("chain")) {
            return Err(format!("{pointer} is not the chain's: {proven:#}"));
        }
    }
    if proven["simulated"] != true || !proven["measurements"]["code"].is_string() {
        return Err(format!("what was proven is not said: {proven:#}"));
    }

    let file = cluster.state().with_file_name("kubeconfig-pinned");
    let path = file.to_string_lossy().into_owned();
    cluster.cli(&["kubeconfig", "--pin", "--write", &path])?.ok()?;
    let kubectl = |path: &str| -> Result<Said, String> {
        let mut command = Command::new(cluster.bin().with_file_name("kubernetes"));
        run(command.args(["kubectl", "--kubeconfig", path, "get", "nodes"]), "", Duration::from_secs(60))
    };
    let nodes = kubectl(&path)?.ok()?;
    if !nodes.contains(WORKER) {
        return Err(format!("kubectl with a pin does not see {WORKER}: {nodes}"));
    }

    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let code = proven["measurements"]["code"].as_str().unwrap_or_default();
    let other = format!("{path}-other");
    std::fs::write(&other, text.replace(code, &"00".repeat(48))).map_err(|error| error.to_string())?;
    let refused = kubectl(&other)?;
    let removed = std::fs::remove_file(cluster.state().join("pin.json"));
    refused.refused_with("measurement \"code\" differs")?;
    removed.map_err(|error| error.to_string())
}
