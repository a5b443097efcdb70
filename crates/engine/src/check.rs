//! What a machine lacks to run a master or a worker, each with its remedy. Looks only; changes nothing.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde::Serialize;

use crate::node::NodeError;

/// How one look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// All is well.
    Good,
    /// It works, with less than it could have.
    Warning,
    /// It does not work.
    Bad,
}

/// One look at one thing.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do; empty when all is well.
    pub remedy: String,
}

/// Free space below which a node evicts pods, bytes.
const DISK_NEEDED: u64 = 2 << 30;

impl Finding {
    fn new(name: &str, verdict: Verdict, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name: name.to_owned(), verdict, detail: detail.into(), remedy: remedy.into() }
    }

    fn of(name: &str, good: bool, detail: impl Into<String>, remedy: &str) -> Self {
        let verdict = if good { Verdict::Good } else { Verdict::Bad };
        Self::new(name, verdict, detail, if good { "" } else { remedy })
    }
}

/// What a worker needs.
pub fn worker(state_dir: &Path) -> Vec<Finding> {
    let mut findings = vec![Finding::of(
        "root",
        rustix::process::geteuid().is_root(),
        format!("user id {}", rustix::process::geteuid().as_raw()),
        "containers need root: run it with sudo",
    )];
    findings.push(match crate::node::cgroups() {
        Ok(version) => Finding::of("cgroups", true, version, ""),
        Err(error @ NodeError::Cgroups { .. }) => Finding::of(
            "cgroups",
            false,
            error.to_string(),
            "boot with cgroup v2 (systemd.unified_cgroup_hierarchy=1)",
        ),
        Err(error) => Finding::of("cgroups", false, error.to_string(), "mount the cgroup file systems"),
    });
    for (program, package) in [
        ("containerd", "containerd"),
        ("ctr", "containerd"),
        ("runc", "runc"),
        ("iptables", "iptables"),
        ("conntrack", "conntrack"),
        ("ip", "iproute2"),
        ("busybox", "busybox-static"),
    ] {
        let found = crate::node::find(program);
        let detail = found.as_ref().map_or_else(|| "not found".to_owned(), |path| path.display().to_string());
        let remedy = format!("install the Debian package {package}, or run `make setup`");
        findings.push(Finding::of(program, found.is_some(), detail, &remedy));
    }
    let bridge = Path::new("/usr/lib/cni/bridge");
    let remedy = "install the Debian package containernetworking-plugins, or run `make setup`";
    findings.push(Finding::of("cni plugins", bridge.exists(), bridge.display().to_string(), remedy));
    findings.push(disk(state_dir));
    findings
}

/// Whether there is room for the state.
pub fn disk(state_dir: &Path) -> Finding {
    // The directory may not be there yet: its nearest ancestor is on the same file system.
    let existing = state_dir.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(existing) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let detail = format!("{} MiB free at {}", free >> 20, existing.display());
            Finding::of(
                "disk",
                free >= DISK_NEEDED,
                detail,
                "free at least 2 GiB, or choose another --state-dir",
            )
        }
        Err(error) => Finding::of("disk", false, error.to_string(), "choose another --state-dir"),
    }
}

/// Whether nobody listens on `address` yet.
pub fn port(name: &str, address: SocketAddr, remedy: &str) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Finding::of(name, true, format!("{address} is free"), ""),
        Err(error) => Finding::of(name, false, format!("{address}: {error}"), remedy),
    }
}

/// Whether a file that was built is there.
pub fn file(name: &str, path: &Path, remedy: &str) -> Finding {
    Finding::of(name, path.is_file(), path.display().to_string(), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_bad_and_says_what_to_do() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let finding = port("gateway", listener.local_addr().unwrap(), "stop the other one");
        assert_eq!((finding.verdict, finding.remedy.as_str()), (Verdict::Bad, "stop the other one"));
    }
}
