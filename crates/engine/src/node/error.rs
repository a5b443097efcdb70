use std::path::PathBuf;

/// Why the node does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeError {
    /// A file or directory could not be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A socket cannot have a path that long.
    #[error("{} is longer than the {max} bytes that a socket's path may have: choose a shorter state directory", path.display())]
    LongPath {
        /// The path.
        path: PathBuf,
        /// How long it may be, bytes.
        max: usize,
    },
    /// A program that a node needs is not there.
    #[error("{name} is missing: install the Debian package {package}")]
    Missing {
        /// The program.
        name: &'static str,
        /// What brings it.
        package: &'static str,
    },
    /// The machine has no usable cgroups.
    #[error(
        "no usable cgroups at /sys/fs/cgroup ({reason}): a node needs cgroup v2, or v1 with cpu, memory and pids"
    )]
    Cgroups {
        /// What is missing.
        reason: String,
    },
    /// A process of an earlier run does not end.
    #[error("process {pid} of an earlier run does not end ({command}): end it by hand, then start again")]
    Leftover {
        /// Its id.
        pid: i32,
        /// Its command line.
        command: String,
    },
    /// A command failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// The command line.
        command: String,
        /// What it said.
        reason: String,
    },
    /// Something is not ready in time.
    #[error("{what} is not ready after {seconds} s: {last}; its log lines say why")]
    NotReady {
        /// What.
        what: &'static str,
        /// How long was waited.
        seconds: u64,
        /// Its last words.
        last: String,
    },
    /// A child process could not be prepared.
    #[error("cannot prepare {name}: {source}")]
    Prepare {
        /// Its name.
        name: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// The kubelet says that it is not well.
    #[error("the kubelet is not well: {0}")]
    Kubelet(String),
}

pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> NodeError {
    let path = path.into();
    move |source| NodeError::Io { path, source }
}
