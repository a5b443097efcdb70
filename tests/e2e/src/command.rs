//! Running programs as a test does: to their end, for a limited time.

use std::fmt;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a finished command said.
pub struct Said {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
}

impl Said {
    /// Its standard output, when it succeeded.
    ///
    /// # Errors
    /// All that it said, when it did not.
    pub fn ok(self) -> Result<String, String> {
        if self.code == 0 { Ok(self.stdout) } else { Err(self.to_string()) }
    }

    /// Succeeds when the command failed and said `what` on stderr.
    ///
    /// # Errors
    /// It succeeded, or said something else.
    pub fn refused_with(self, what: &str) -> Result<(), String> {
        if self.code != 0 && self.stderr.contains(what) {
            Ok(())
        } else {
            Err(format!("expected a refusal with {what:?}; {self}"))
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}; stdout: {}; stderr: {}", self.code, self.stdout.trim(), self.stderr.trim())
    }
}

/// Runs a command to its end, with `input` on its standard input, for at most `limit`.
///
/// # Errors
/// It cannot be started, or does not end in time.
pub fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Said, String> {
    let name = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{name}: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input is free to.
        let _ = stdin.write_all(input.as_bytes());
    }
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait().map_err(|error| format!("{name}: {error}"))? {
            Some(status) => break status,
            None if Instant::now() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{name} did not end within {limit:?}; stderr: {}", collect(stderr)));
            }
            None => pause(Duration::from_millis(20)),
        }
    };
    Ok(Said { code: status.code().unwrap_or(-1), stdout: collect(stdout), stderr: collect(stderr) })
}

/// Asks `probe` every 50 ms until it says yes.
///
/// # Errors
/// The last no.
pub fn eventually<T>(limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => return Err(format!("not within {limit:?}: {error}")),
            Err(_) => pause(Duration::from_millis(50)),
        }
    }
}

/// Waits.
pub fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

type Reader = std::thread::JoinHandle<String>;

// The writer's children may keep a pipe open after it ends: what they say later is not waited for.
fn drain(pipe: Option<impl Read + Send + 'static>) -> Reader {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn collect(reader: Reader) -> String {
    let deadline = Instant::now() + Duration::from_secs(2);
    while !reader.is_finished() && Instant::now() < deadline {
        pause(Duration::from_millis(5));
    }
    if reader.is_finished() { reader.join().unwrap_or_default() } else { String::new() }
}
