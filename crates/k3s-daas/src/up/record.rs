use engine::supervise::ChildStatus;
use serde::{Deserialize, Serialize};

use crate::failure::Result;
use crate::state_dir::StateDir;

const FILE: &str = "run/up.json";

/// What a running `up` says of itself to `status`, `down` and the `up --detach` that waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    pub(crate) pid: i32,
    /// Start time in clock ticks since boot: with the pid it names one process for ever.
    pub(crate) start: u64,
    pub(crate) phase: Phase,
    pub(crate) processes: Vec<Process>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Phase {
    Starting,
    Ready,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    pub(crate) name: String,
    pub(crate) pid: Option<u32>,
    pub(crate) state: String,
    pub(crate) restarts: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_exit: Option<String>,
}

impl From<ChildStatus> for Process {
    fn from(status: ChildStatus) -> Self {
        Self {
            name: status.name,
            pid: status.pid,
            state: format!("{:?}", status.state),
            restarts: status.restarts,
            last_exit: status.last_exit,
        }
    }
}

impl Record {
    /// Of this very process.
    pub(crate) fn own() -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or_default();
        let start = start_time(pid).unwrap_or_default();
        Self { pid, start, phase: Phase::Starting, processes: Vec::new() }
    }

    /// The `up` that runs on this state directory, if one does.
    pub(crate) fn running(state: &StateDir) -> Result<Option<Self>> {
        let record: Option<Self> = state.read_json(FILE)?;
        Ok(record.filter(Self::is_alive))
    }

    pub(crate) fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.start)
    }

    pub(crate) fn save(&self, state: &StateDir) -> Result<()> {
        state.write_json(FILE, self)
    }

    pub(crate) fn remove(state: &StateDir) {
        // A record of a process that is gone says nothing.
        let _ = std::fs::remove_file(state.path(FILE));
    }
}

/// proc(5): field 22 of stat, unless the process is gone or a zombie.
fn start_time(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    if matches!(fields.first(), Some(&"Z" | &"X")) {
        return None;
    }
    fields.get(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_another_life_of_the_pid_is_not_alive() {
        let own = Record::own();
        assert!(own.is_alive());
        assert!(!Record { start: own.start + 1, ..own }.is_alive());
    }
}
