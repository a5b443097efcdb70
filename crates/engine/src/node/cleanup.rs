use std::path::Path;
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use tokio::process::Command;

use super::config::{BRIDGE, NodeConfig};
use super::error::{NodeError, io};
use super::programs::find;
use super::runtime::run;
use crate::supervise::{leftovers, stop_all};

/// Containers get this long to end.
const GRACE: Duration = Duration::from_secs(3);
const COMMENT: &str = "k3s-daas: pods to the outside";

/// Lets pods reach what is outside of the cluster: one rule, taken back by [`remove_everything`].
pub(crate) async fn masquerade(config: &NodeConfig) -> Result<(), NodeError> {
    if iptables("-C", config).await.is_err() {
        iptables("-A", config).await?;
    }
    Ok(())
}

/// Ends every process of the node and of its pods, and takes back mounts, bridge and packet filter rules. Does
/// nothing twice: what is gone is gone.
///
/// # Errors
/// With the first thing that could not be removed.
pub async fn remove_everything(config: &NodeConfig) -> Result<(), NodeError> {
    if let Some(left) = stop_all(leftovers(&config.state_dir), GRACE).await.first() {
        return Err(NodeError::Leftover { pid: left.pid, command: left.command.clone() });
    }
    unmount_below(&config.state_dir)?;
    if Path::new("/sys/class/net").join(BRIDGE).exists() {
        let mut command =
            Command::new(find("ip").ok_or(NodeError::Missing { name: "ip", package: "iproute2" })?);
        command.args(["link", "delete", BRIDGE]);
        run(command).await?;
    }
    if find("iptables").is_some() {
        while iptables("-C", config).await.is_ok() {
            iptables("-D", config).await?;
        }
        if config.binary.exists() {
            let mut command = Command::new(&config.binary);
            command.args(["kube-proxy", "--cleanup"]);
            run(command).await?;
        }
    }
    Ok(())
}

async fn iptables(act: &str, config: &NodeConfig) -> Result<(), NodeError> {
    let binary = find("iptables").ok_or(NodeError::Missing { name: "iptables", package: "iptables" })?;
    let mut command = Command::new(binary);
    command
        .args([
            "-w",
            "5",
            "-t",
            "nat",
            act,
            "POSTROUTING",
            "-s",
            &config.pod_cidr,
            "!",
            "-d",
            &config.cluster_cidr,
        ])
        .args(["-m", "comment", "--comment", COMMENT, "-j", "MASQUERADE"]);
    run(command).await.map(|_| ())
}

/// Undoes every mount below `dir`, the newest first (proc(5), mountinfo: field 5 is the mount point).
fn unmount_below(dir: &Path) -> Result<(), NodeError> {
    let table = "/proc/self/mountinfo";
    let text = std::fs::read_to_string(table).map_err(io(table))?;
    let points = text.lines().rev().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    for point in points.filter(|point| Path::new(point).starts_with(dir)) {
        unmount(&point, UnmountFlags::DETACH)
            .map_err(|error| NodeError::Io { path: point.into(), source: error.into() })?;
    }
    Ok(())
}

/// mountinfo writes space, tab, newline and backslash as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn mount_points_with_spaces_are_read() {
        assert_eq!(unescape(r"/a\040b\134c"), r"/a b\c");
        assert_eq!(unescape(r"/plain\9"), r"/plain\9");
    }
}
