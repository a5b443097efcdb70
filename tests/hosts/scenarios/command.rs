use std::fmt;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a finished command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn ok(self) -> Result<String, String> {
        if self.code == 0 { Ok(self.stdout) } else { Err(self.to_string()) }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {}; stdout: {}; stderr: {}", self.code, self.stdout.trim(), self.stderr.trim())
    }
}

/// Runs a command to its end, with `input` on its standard input, for at most `limit`.
pub(crate) fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Said, String> {
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

/// Asks `probe` every 200 ms until it says yes; the last no is the error.
pub(crate) fn eventually<T>(
    limit: Duration,
    mut probe: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let deadline = Instant::now() + limit;
    loop {
        match probe() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => return Err(format!("not within {limit:?}: {error}")),
            Err(_) => pause(Duration::from_millis(200)),
        }
    }
}

pub(crate) fn pause(time: Duration) {
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
