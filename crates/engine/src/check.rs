//! What a machine lacks to run a master or a worker, each with its remedy. Looks only; changes nothing.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde::Serialize;

use crate::node::{FlannelBackend, NodeError};

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

    /// All is well.
    pub fn good(name: &str, detail: impl Into<String>) -> Self {
        Self::new(name, Verdict::Good, detail, "")
    }

    /// It works, with less than it could have.
    pub fn warning(name: &str, detail: impl Into<String>, remedy: &str) -> Self {
        Self::new(name, Verdict::Warning, detail, remedy)
    }

    fn of(name: &str, good: bool, detail: impl Into<String>, remedy: &str) -> Self {
        let verdict = if good { Verdict::Good } else { Verdict::Bad };
        Self::new(name, verdict, detail, if good { "" } else { remedy })
    }
}

/// What a worker needs, in a cluster whose pods reach each other by `backend`.
pub fn worker(state_dir: &Path, backend: FlannelBackend) -> Vec<Finding> {
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
    findings.push(packet_filter());
    findings.push(pod_network(backend));
    findings.push(bridges());
    findings.push(overlay());
    findings.push(disk(state_dir));
    findings
}

/// Whether the kernel takes packet filter rules from us: kube-proxy speaks through them.
fn packet_filter() -> Finding {
    let name = "packet filter";
    let Some(iptables) = crate::node::find("iptables") else {
        return Finding::of(name, false, "iptables not found", "install the Debian package iptables");
    };
    let remedy =
        "load the kernel modules with `modprobe ip_tables nf_nat` (as root), or use a kernel that has them";
    match std::process::Command::new(iptables).args(["-w", "5", "-t", "nat", "-S", "POSTROUTING"]).output() {
        Ok(output) if output.status.success() => Finding::of(name, true, "iptables reads the nat table", ""),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            Finding::of(name, false, words.trim().chars().take(200).collect::<String>(), remedy)
        }
        Err(error) => Finding::of(name, false, error.to_string(), remedy),
    }
}

/// Whether pods of different nodes can talk without others reading it.
fn pod_network(backend: FlannelBackend) -> Finding {
    let name = "pod network";
    if !backend.is_encrypted() {
        let detail = format!("{}: what pods of different nodes say is not encrypted", backend.as_str());
        let remedy = "set [cluster] flannel_backend = \"wireguard\", unless nobody listens between the nodes";
        return Finding::new(name, Verdict::Warning, detail, remedy);
    }
    // A module that is not loaded yet is in modules.dep or built in; a link of this kind loads it.
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim());
    let listed = ["modules.builtin", "modules.dep"].iter().any(|file| {
        std::fs::read_to_string(modules.join(file)).is_ok_and(|text| text.contains("/wireguard.ko"))
    });
    if listed || Path::new("/sys/module/wireguard").exists() {
        return Finding::of(
            name,
            true,
            "WireGuard in the kernel: what pods of different nodes say is encrypted",
            "",
        );
    }
    if Path::new("/dev/net/tun").exists() {
        let detail = "no WireGuard in this kernel: what pods of different nodes say is encrypted in flannel's own process, slower";
        let remedy = "use a kernel with CONFIG_WIREGUARD (5.6 or newer)";
        return Finding::new(name, Verdict::Warning, detail, remedy);
    }
    let detail = "no WireGuard in this kernel, and no /dev/net/tun for one outside of it";
    let remedy = "load it with `modprobe wireguard` or `modprobe tun` (as root), or, where nobody listens between the \
                  nodes, set [cluster] flannel_backend = \"vxlan\"";
    Finding::new(name, Verdict::Bad, detail, remedy)
}

/// Whether traffic between pods of one machine passes the packet filter. If not, a service whose pod is on the same
/// machine may not answer.
fn bridges() -> Finding {
    let setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    match std::fs::read_to_string(setting) {
        Ok(value) if value.trim() == "1" => Finding::of("bridges", true, "pass the packet filter", ""),
        seen => Finding::new(
            "bridges",
            Verdict::Warning,
            match seen {
                Ok(_) => format!("{setting} is 0"),
                Err(_) => "the kernel module br_netfilter is not loaded".to_owned(),
            },
            "run `modprobe br_netfilter && sysctl net.bridge.bridge-nf-call-iptables=1` (as root)",
        ),
    }
}

/// Whether the kernel stacks file systems, as images need it.
fn overlay() -> Finding {
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let good = known.lines().any(|line| line.trim_start_matches("nodev").trim() == "overlay");
    let (verdict, detail) = if good {
        (Verdict::Good, "the kernel has it")
    } else {
        // It may be a module that is loaded at first use.
        (Verdict::Warning, "not in /proc/filesystems")
    };
    let remedy = if good { "" } else { "load it with `modprobe overlay` (as root)" };
    Finding::new("overlay", verdict, detail, remedy)
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

    #[test]
    fn what_is_not_well_comes_with_a_remedy_and_what_is_well_without() {
        let dir = tempfile::tempdir().unwrap();
        let findings = worker(&dir.path().join("not/there/yet"), FlannelBackend::Wireguard);
        assert!(findings.len() > 10);
        for finding in findings {
            assert_eq!(finding.verdict == Verdict::Good, finding.remedy.is_empty(), "{finding:?}");
            assert!(!finding.detail.is_empty(), "{finding:?}");
        }
    }
}
