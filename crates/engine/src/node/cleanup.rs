use std::path::Path;
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};

use super::config::NodeConfig;
use super::error::{NodeError, io};
use super::{cgroups, network};
use crate::supervise::{absolute, leftovers, stop_all};

/// Containers get this long to end.
const GRACE: Duration = Duration::from_secs(3);
/// Where the kubelet links every container's log, whatever it is told.
const LOG_LINKS: &str = "/var/log/containers";

/// Ends every process of the node and of its pods, and takes back cgroups, mounts, bridge, packet filter rules
/// and links. Does nothing twice: what is gone is gone.
///
/// # Errors
/// With the first thing that could not be removed.
pub async fn remove_everything(config: &NodeConfig) -> Result<(), NodeError> {
    if let Some(left) = stop_all(leftovers(&config.state_dir), GRACE).await.first() {
        return Err(NodeError::Leftover { pid: left.pid, command: left.command.clone() });
    }
    cgroups::remove(config).await?;
    let state_dir = absolute(&config.state_dir);
    unmount_below(&state_dir)?;
    network::remove(config).await?;
    unlink_logs(&state_dir)
}

fn unlink_logs(state_dir: &Path) -> Result<(), NodeError> {
    for entry in std::fs::read_dir(LOG_LINKS).into_iter().flatten().flatten() {
        let path = entry.path();
        if std::fs::read_link(&path).is_ok_and(|target| target.starts_with(state_dir)) {
            std::fs::remove_file(&path).map_err(io(path))?;
        }
    }
    Ok(())
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
