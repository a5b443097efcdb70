use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel shows cgroups.
const MOUNTED_AT: &str = "/sys/fs/cgroup";
/// Containers that are looked at; the kubelet itself runs far fewer.
const MAX_CONTAINERS: usize = 1_000;
/// Directories that are looked into.
const MAX_DIRECTORIES: usize = 10_000;

/// What one container uses, by its cgroup.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Container {
    /// UID of its pod.
    pub(crate) pod: String,
    /// Its id in the container runtime, the first 12 digits.
    pub(crate) id: String,
    /// Processor time since its start.
    pub(crate) cpu_seconds: f64,
    pub(crate) memory_bytes: u64,
}

/// The containers below the node's cgroup `root`, in cgroup v2 or v1. What disappears meanwhile is left out. Blocks
/// for a few file reads per container.
pub(crate) fn containers(root: &str) -> Vec<Container> {
    containers_at(Path::new(MOUNTED_AT), root)
}

fn containers_at(mounted_at: &Path, root: &str) -> Vec<Container> {
    let unified = mounted_at.join(root);
    let (cpu, memory) = if unified.join("cgroup.procs").exists() || unified.join("cpu.stat").exists() {
        (unified.clone(), unified)
    } else {
        (mounted_at.join("cpuacct").join(root), mounted_at.join("memory").join(root))
    };
    let mut found = Vec::new();
    let mut left = vec![cpu.clone()];
    let mut looked = 0;
    while let Some(dir) = left.pop() {
        looked += 1;
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        if looked > MAX_DIRECTORIES || found.len() >= MAX_CONTAINERS {
            break;
        }
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let path = entry.path();
            match (pod_of(&dir), container_of(&path)) {
                (Some(pod), Some(id)) => {
                    let below = path.strip_prefix(&cpu).map(Path::to_owned).unwrap_or_default();
                    found.extend(measure(pod, id, &path, &memory.join(below)));
                }
                _ => left.push(path),
            }
        }
    }
    found.sort_by(|a, b| (&a.pod, &a.id).cmp(&(&b.pod, &b.id)));
    found
}

fn measure(pod: String, id: String, cpu: &Path, memory: &Path) -> Option<Container> {
    Some(Container { pod, id, cpu_seconds: cpu_seconds(cpu)?, memory_bytes: memory_bytes(memory)? })
}

fn cpu_seconds(dir: &Path) -> Option<f64> {
    if let Ok(stat) = fs::read_to_string(dir.join("cpu.stat"))
        && let Some(usec) =
            stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse::<u64>().ok())
    {
        return Some(usec as f64 / 1e6);
    }
    let nanos: u64 = fs::read_to_string(dir.join("cpuacct.usage")).ok()?.trim().parse().ok()?;
    Some(nanos as f64 / 1e9)
}

fn memory_bytes(dir: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(dir.join(name)).ok();
    read("memory.current").or_else(|| read("memory.usage_in_bytes"))?.trim().parse().ok()
}

/// The UID in the name of a pod's cgroup, `pod<uid>`.
fn pod_of(dir: &Path) -> Option<String> {
    let uid = dir.file_name()?.to_str()?.strip_prefix("pod")?;
    let plain =
        (8..=64).contains(&uid.len()) && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    plain.then(|| uid.to_owned())
}

fn container_of(path: &PathBuf) -> Option<String> {
    let id = Path::new(path).file_name()?.to_str()?;
    (id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id[..12].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn reads_both_versions_of_cgroups() {
        let uid = "0b2f6a7e-0000-4000-8000-000000000001";
        let id = "ab".repeat(32);
        let below = format!("node/kubepods/burstable/pod{uid}/{id}");
        let expected =
            [Container { pod: uid.into(), id: "ab".repeat(6), cpu_seconds: 1.5, memory_bytes: 4096 }];

        let v2 = tempfile::tempdir().unwrap();
        write(&v2.path().join("node/cpu.stat"), "usage_usec 9\n");
        write(&v2.path().join(&below).join("cpu.stat"), "usage_usec 1500000\nuser_usec 1\n");
        write(&v2.path().join(&below).join("memory.current"), "4096\n");
        write(&v2.path().join("node/kubepods/besteffort/podnot-a-uid/x/cpu.stat"), "usage_usec 1\n");
        assert_eq!(containers_at(v2.path(), "node"), expected);

        let v1 = tempfile::tempdir().unwrap();
        write(&v1.path().join("cpuacct").join(&below).join("cpuacct.usage"), "1500000000\n");
        write(&v1.path().join("memory").join(&below).join("memory.usage_in_bytes"), "4096\n");
        assert_eq!(containers_at(v1.path(), "node"), expected);

        // Gone between two reads, or not there at all.
        fs::remove_file(v1.path().join("memory").join(&below).join("memory.usage_in_bytes")).unwrap();
        assert_eq!(containers_at(v1.path(), "node"), []);
        assert_eq!(containers_at(v1.path(), "other"), []);
    }
}
