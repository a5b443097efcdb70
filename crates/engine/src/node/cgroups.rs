use std::path::Path;

use super::error::NodeError;

/// What this kernel offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cgroups {
    V1,
    V2,
}

const NEEDED: [&str; 3] = ["cpu", "memory", "pids"];

pub(crate) fn detect() -> Result<Cgroups, NodeError> {
    detect_at(Path::new("/sys/fs/cgroup"))
}

fn detect_at(root: &Path) -> Result<Cgroups, NodeError> {
    if let Ok(controllers) = std::fs::read_to_string(root.join("cgroup.controllers")) {
        let have: Vec<&str> = controllers.split_ascii_whitespace().collect();
        return match NEEDED.iter().find(|need| !have.contains(need)) {
            None => Ok(Cgroups::V2),
            Some(missing) => {
                Err(NodeError::Cgroups { reason: format!("cgroup v2 without the {missing} controller") })
            }
        };
    }
    match NEEDED.iter().find(|need| !root.join(need).is_dir()) {
        None => Ok(Cgroups::V1),
        Some(missing) => Err(NodeError::Cgroups { reason: format!("no {missing} hierarchy") }),
    }
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
}
