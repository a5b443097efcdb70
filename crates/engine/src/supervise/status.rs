use serde::Serialize;

/// One child as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChildStatus {
    /// Its name, also the prefix of its log lines.
    pub name: String,
    /// What it is doing.
    pub state: ChildState,
    /// Its process id while it runs.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u64,
    /// How it ended last, e.g. `exit status: 1`.
    pub last_exit: Option<String>,
    /// Since when it is in this state, milliseconds since the Unix epoch.
    pub since_ms: u64,
}

/// What a child is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChildState {
    /// It runs.
    Running,
    /// It ended and is about to be started again.
    Waiting,
    /// It was asked to end and did.
    Stopped,
}
