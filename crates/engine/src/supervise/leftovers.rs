use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::program::{MARKER, absolute};

/// Signal 15 in the masks of proc(5).
const SIGTERM: u64 = 1 << 14;

/// A process of ours that outlived the one who started it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Process id.
    pub pid: i32,
    /// Its parent's process id.
    pub parent: i32,
    /// Start time in clock ticks since boot: with the id it names one process for ever.
    pub start: u64,
    /// Its command line.
    pub command: String,
}

/// Processes that carry our marker for `state_dir` or a directory below it, and their descendants, this process
/// and its ancestors left out. Names play no part: another containerd on the machine is not ours.
pub fn leftovers(state_dir: &Path) -> Vec<Leftover> {
    let state_dir = absolute(state_dir);
    let mut all = HashMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // A process may end between the listing and the look.
        if let Some((parent, start)) = stat(pid) {
            let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let marked = marker(&environment).is_some_and(|dir| dir.starts_with(&state_dir));
            all.insert(pid, (parent, start, marked));
        }
    }
    let mut family = Vec::new();
    let mut pid = i32::try_from(std::process::id()).unwrap_or_default();
    while let Some((parent, ..)) = all.get(&pid) {
        family.push(pid);
        pid = *parent;
    }
    let ours = |mut pid: i32| {
        for _ in 0..64 {
            match all.get(&pid) {
                Some((_, _, true)) => return true,
                Some((parent, ..)) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    let mut found: Vec<Leftover> = all
        .iter()
        .filter(|(pid, _)| !family.contains(pid) && ours(**pid))
        .map(|(pid, (parent, start, _))| Leftover {
            pid: *pid,
            parent: *parent,
            start: *start,
            command: command(*pid),
        })
        .collect();
    found.sort_by_key(|leftover| leftover.pid);
    found
}

/// Ends these processes: SIGTERM, and SIGKILL to what is left after `grace` and at once to what never sees a SIGTERM. Gives
/// what could not be ended.
pub async fn stop_all(mut processes: Vec<Leftover>, grace: Duration) -> Vec<Leftover> {
    let same = |process: &Leftover| stat(process.pid).is_some_and(|(_, start)| start == process.start);
    for (kind, patience) in [(Signal::TERM, grace), (Signal::KILL, Duration::from_secs(5))] {
        processes.retain(same);
        for process in &processes {
            let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid)).unwrap_or_default();
            let kind = if deaf(&status) { Signal::KILL } else { kind };
            if let Some(pid) = Pid::from_raw(process.pid) {
                // It may have ended since the look.
                let _ = kill_process(pid, kind);
            }
        }
        let deadline = tokio::time::Instant::now() + patience;
        while !processes.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
            processes.retain(same);
        }
    }
    processes
}

/// The directory for whose sake a process with this environment (proc(5)) runs.
fn marker(environment: &[u8]) -> Option<&Path> {
    let value = |entry| <[u8]>::strip_prefix(entry, MARKER.as_bytes())?.strip_prefix(b"=");
    environment.split(|byte| *byte == 0).find_map(value).map(|path| Path::new(OsStr::from_bytes(path)))
}

/// Parent and start time, unless the process is gone or a zombie (proc(5): fields 3, 4 and 22).
fn stat(pid: i32) -> Option<(i32, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    Some((fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?))
}

/// Whether a process with this status (proc(5)) ignores SIGTERM: it says so, or it is the first of a container and has no
/// handler, which is the same (pid_namespaces(7)).
fn deaf(status: &str) -> bool {
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let has = |name| u64::from_str_radix(field(name).trim(), 16).is_ok_and(|mask| mask & SIGTERM != 0);
    let pids: Vec<&str> = field("NSpid:").split_ascii_whitespace().collect();
    let first = pids.len() > 1 && pids.last() == Some(&"1");
    has("SigIgn:") || first && !has("SigCgt:")
}

fn command(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_container_without_a_handler_is_deaf() {
        let status = |pids: &str, ignored: &str, caught: &str| {
            format!("Name:\tsh\nNSpid:\t{pids}\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n")
        };
        let (none, term) = ("0000000000000000", "0000000000004000");
        assert!(deaf(&status("4711\t1", none, none)));
        assert!(!deaf(&status("4711\t1", none, term)), "it has a handler");
        assert!(!deaf(&status("4711\t2", none, none)), "not the first");
        assert!(!deaf(&status("4711", none, none)) && !deaf(&status("1", none, none)), "no container");
        assert!(deaf(&status("4711", term, none)));
        assert!(!deaf(""));
    }

    #[tokio::test]
    async fn marked_processes_and_their_children_are_found_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "unset K3S_DAAS_STATE; sleep 61 & sleep 62"])
            .env(MARKER, dir.path().join("part"))
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let found = leftovers(dir.path());
        assert!(found.iter().any(|leftover| leftover.command.contains("sleep 61")), "{found:?}");
        assert!(leftovers(Path::new("/somewhere/else")).is_empty());
        assert!(leftovers(&dir.path().join("par")).is_empty());
        assert_eq!(stop_all(found, Duration::from_secs(1)).await, []);
        child.wait().unwrap();
        assert_eq!(leftovers(dir.path()), []);
    }
}
