use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use command_fds::{CommandFdExt, FdMapping};
use rustix::fs::{MemfdFlags, memfd_create};
use zeroize::Zeroizing;

/// Environment variable by which a process says whose it is: the state directory of the one who started it.
pub const MARKER: &str = "K3S_DAAS_STATE";

/// All that a program without our environment gets of it.
const ESSENTIALS: [&str; 3] = ["PATH", "LANG", "TZ"];

/// Descriptors of secrets start here in the child, clear of the usual ones.
const FIRST_SECRET: i32 = 40;

/// Which of our environment variables a program sees.
#[derive(Clone, Copy)]
enum Inherit {
    All,
    Only(&'static [&'static str]),
}

/// What to run. Private keys are given to it by memory only: a file without a name on any disk, inherited as a
/// descriptor and named to the program as `/proc/self/fd/N`.
#[derive(Clone)]
pub struct Program {
    pub(crate) name: String,
    path: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    secrets: Vec<Zeroizing<Vec<u8>>>,
    pub(crate) quiet: bool,
    inherit: Inherit,
    log_file: Option<PathBuf>,
}

impl Program {
    /// `path`, to be called `name` in logs and status, on behalf of `state_dir`.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>, state_dir: &Path) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            args: Vec::new(),
            env: vec![(MARKER.into(), absolute(state_dir).into())],
            secrets: Vec::new(),
            quiet: false,
            inherit: Inherit::All,
            log_file: None,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<T: Into<OsString>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Hides our environment from it but for `PATH`, language, time zone and these variables: what is set for us,
    /// a proxy for instance, is not meant for it.
    #[must_use]
    pub fn only_env(mut self, names: &'static [&'static str]) -> Self {
        self.inherit = Inherit::Only(names);
        self
    }

    /// Keeps it, and gives the path by which the program reads it, for use in arguments and in other secrets.
    pub fn secret(&mut self, content: impl Into<Vec<u8>>) -> String {
        self.secrets.push(Zeroizing::new(content.into()));
        let number = FIRST_SECRET + i32::try_from(self.secrets.len()).unwrap_or(i32::MAX - FIRST_SECRET) - 1;
        format!("/proc/self/fd/{number}")
    }

    /// Whether to leave its output out of our log below level debug.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Appends its output to a file as it is, instead of forwarding it line by line.
    #[must_use]
    pub fn log_to(mut self, path: impl Into<PathBuf>) -> Self {
        self.log_file = Some(path.into());
        self
    }

    pub(crate) fn command(&self) -> std::io::Result<std::process::Command> {
        let mut command = std::process::Command::new(&self.path);
        if let Inherit::Only(names) = self.inherit {
            let ours = ESSENTIALS.iter().chain(names);
            command.env_clear().envs(ours.filter_map(|name| Some((name, std::env::var_os(name)?))));
        }
        command
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        match &self.log_file {
            None => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
            Some(path) => {
                let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
                command.stdout(file.try_clone()?).stderr(file)
            }
        };
        let mut mappings = Vec::with_capacity(self.secrets.len());
        for (secret, child_fd) in self.secrets.iter().zip(FIRST_SECRET..) {
            mappings.push(FdMapping { parent_fd: in_memory(secret)?, child_fd });
        }
        command.fd_mappings(mappings).map_err(std::io::Error::other)?;
        Ok(command)
    }
}

/// `path` from the root on, as far as that can be told without looking at the disk.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("name", &self.name).field("path", &self.path).finish_non_exhaustive()
    }
}

fn in_memory(content: &[u8]) -> std::io::Result<OwnedFd> {
    let descriptor = memfd_create("k3s-daas", MemfdFlags::CLOEXEC)?;
    let mut rest = content;
    while !rest.is_empty() {
        let written = rustix::io::write(&descriptor, rest)?;
        rest = &rest[written..];
    }
    Ok(descriptor)
}
