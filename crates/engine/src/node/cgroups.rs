use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};

use super::config::NodeConfig;
use super::error::{NodeError, io};
use crate::supervise::absolute;

/// What this kernel offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    V1,
    V2,
}

const MOUNTED_AT: &str = "/sys/fs/cgroup";
const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];
/// A cpuset of version 1 takes no process before both are set.
const CPUSET: [&str; 2] = ["cpuset.cpus", "cpuset.mems"];
/// Killed processes are gone after so many looks, this far apart.
const LOOKS: u32 = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

pub(crate) fn detect() -> Result<Cgroups, NodeError> {
    detect_at(Path::new(MOUNTED_AT))
}

/// The cgroup below which all pods of this node are: whatever is in it is this node's, by whomever it was started.
pub(crate) fn root(config: &NodeConfig) -> String {
    root_of(&config.state_dir)
}

/// The same, of a node with this state directory: its name below every hierarchy of `/sys/fs/cgroup`.
pub fn root_of(state_dir: &Path) -> String {
    let dir = absolute(state_dir);
    format!("k3s-daas-{}", hex::encode(&Sha256::digest(dir.as_os_str().as_encoded_bytes())[..4]))
}

/// Makes the node's cgroup in every hierarchy; the kubelet makes the rest.
pub(crate) fn prepare(config: &NodeConfig, version: Cgroups) -> Result<(), NodeError> {
    prepare_at(Path::new(MOUNTED_AT), &root(config), version)
}

/// Kills every process in the node's cgroup, and removes it. Does nothing when there is none.
pub(crate) async fn remove(config: &NodeConfig) -> Result<(), NodeError> {
    for path in existing(Path::new(MOUNTED_AT), &root(config)) {
        remove_tree(&path).await?;
    }
    Ok(())
}

fn detect_at(at: &Path) -> Result<Cgroups, NodeError> {
    if let Ok(controllers) = std::fs::read_to_string(at.join("cgroup.controllers")) {
        let have: Vec<&str> = controllers.split_ascii_whitespace().collect();
        return match NEEDED.iter().find(|need| !have.contains(need)) {
            None => Ok(Cgroups::V2),
            Some(missing) => {
                Err(NodeError::Cgroups { reason: format!("cgroup v2 without the {missing} controller") })
            }
        };
    }
    match NEEDED.iter().find(|need| !at.join(need).is_dir()) {
        None => Ok(Cgroups::V1),
        Some(missing) => Err(NodeError::Cgroups { reason: format!("no {missing} hierarchy") }),
    }
}

fn prepare_at(at: &Path, name: &str, version: Cgroups) -> Result<(), NodeError> {
    let make = |path: &Path| std::fs::create_dir_all(path).map_err(io(path));
    if version == Cgroups::V2 {
        let path = at.join("cgroup.controllers");
        let controllers = std::fs::read_to_string(&path).map_err(io(path))?;
        let all: Vec<String> =
            controllers.split_ascii_whitespace().map(|controller| format!("+{controller}")).collect();
        let path = at.join("cgroup.subtree_control");
        std::fs::write(&path, all.join(" ")).map_err(io(path))?;
        return make(&at.join(name));
    }
    for hierarchy in std::fs::read_dir(at).map_err(io(at))? {
        let hierarchy = hierarchy.map_err(io(at))?.path();
        if !hierarchy.join("cgroup.procs").exists() {
            continue;
        }
        let path = hierarchy.join(name);
        make(&path)?;
        for setting in CPUSET {
            if let Ok(value) = std::fs::read(hierarchy.join(setting)) {
                std::fs::write(path.join(setting), value).map_err(io(path.join(setting)))?;
            }
        }
    }
    Ok(())
}

/// Where a cgroup of this name is: at the top of version 2, or of any hierarchy of version 1.
fn existing(at: &Path, name: &str) -> Vec<PathBuf> {
    let hierarchies = std::fs::read_dir(at).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(at.to_owned())
        .chain(hierarchies)
        .map(|dir| dir.join(name))
        .filter(|dir| dir.is_dir())
        .collect()
}

/// A cgroup can be removed once no process and no other cgroup is in it.
async fn remove_tree(root: &Path) -> Result<(), NodeError> {
    let mut last = None;
    for _ in 0..LOOKS {
        last = None;
        for dir in below(root) {
            for pid in std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
                if let Some(pid) = pid.parse().ok().and_then(Pid::from_raw) {
                    // It may have ended since the look; the next look tells.
                    let _ = kill_process(pid, Signal::KILL);
                }
            }
            if let Err(error) = std::fs::remove_dir(&dir) {
                last = Some((dir, error));
            }
        }
        if !root.exists() {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    match last {
        Some((path, source)) => Err(NodeError::Io { path, source }),
        None => Ok(()),
    }
}

/// `root` and every directory below it, the deepest first.
fn below(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(dir) = found.get(next).cloned() {
        let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
        found.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
        next += 1;
    }
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_told_apart_and_a_missing_controller_is_named() {
        let dir = tempfile::tempdir().unwrap();
        assert!(detect_at(dir.path()).unwrap_err().to_string().contains("cpu"));
        for controller in NEEDED {
            std::fs::create_dir(dir.path().join(controller)).unwrap();
        }
        assert_eq!(detect_at(dir.path()).unwrap(), Cgroups::V1);
        std::fs::write(dir.path().join("cgroup.controllers"), "cpuset cpu io memory\n").unwrap();
        assert!(detect_at(dir.path()).unwrap_err().to_string().contains("pids"));
        std::fs::write(dir.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        assert_eq!(detect_at(dir.path()).unwrap(), Cgroups::V2);
    }

    #[tokio::test]
    async fn a_cgroup_is_made_in_every_hierarchy_and_removed_whole() {
        let dir = tempfile::tempdir().unwrap();
        for hierarchy in ["cpuset", "memory"] {
            std::fs::create_dir(dir.path().join(hierarchy)).unwrap();
            std::fs::write(dir.path().join(hierarchy).join("cgroup.procs"), "").unwrap();
        }
        std::fs::write(dir.path().join("cpuset/cpuset.cpus"), "0-1\n").unwrap();
        prepare_at(dir.path(), "ours", Cgroups::V1).unwrap();
        let cpus = dir.path().join("cpuset/ours/cpuset.cpus");
        assert_eq!(std::fs::read_to_string(&cpus).unwrap(), "0-1\n");
        // A kernel's files vanish with their directory; these do not.
        std::fs::remove_file(cpus).unwrap();
        std::fs::create_dir_all(dir.path().join("memory/ours/pod/container")).unwrap();
        let found = existing(dir.path(), "ours");
        assert_eq!(found.len(), 2, "{found:?}");
        for path in found {
            remove_tree(&path).await.unwrap();
            assert!(!path.exists());
        }
    }

    #[test]
    fn version_2_gives_its_controllers_to_the_cgroup() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cgroup.controllers"), "cpu memory pids\n").unwrap();
        prepare_at(dir.path(), "ours", Cgroups::V2).unwrap();
        let enabled = std::fs::read_to_string(dir.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(enabled, "+cpu +memory +pids");
        assert!(dir.path().join("ours").is_dir());
    }
}
