//! What the kernel says about a process.

use std::ops::Sub;
use std::time::Duration;

use anyhow::Context;

/// `USER_HZ`, the same on every Linux that matters here.
const TICKS_PER_SECOND: f64 = 100.0;

/// Counters of a process since its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// CPU time, user and system, seconds.
    pub(crate) cpu: f64,
    /// Bytes that it caused to be written to disk.
    pub(crate) written: f64,
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { cpu: self.cpu - earlier.cpu, written: self.written - earlier.written }
    }
}

/// Reads `/proc/PID/stat` and `/proc/PID/io`.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let stat = read(pid, "stat")?;
    // The second field is the name in parentheses and may hold anything, so count from its end.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
    let (user, system) = ticks(11).zip(ticks(12)).context("reading CPU time from /proc")?;
    let cpu = (user + system) as f64 / TICKS_PER_SECOND;
    let written = line(&read(pid, "io")?, "write_bytes:").context("reading written bytes from /proc")?;
    Ok(Usage { cpu, written })
}

/// Resident memory, bytes: all, and the part that is no page of a file.
pub(crate) fn resident(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = read(pid, "status")?;
    let all = line(&status, "VmRSS:").context("reading resident memory from /proc")?;
    let anonymous = line(&status, "RssAnon:").context("reading resident memory from /proc")?;
    Ok((all * 1024.0, anonymous * 1024.0))
}

/// Waits until the process has done (nearly) nothing for half a second: what a load has left to do belongs to it.
pub(crate) async fn settled(pid: u32, at_most: Duration) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + at_most;
    let mut quiet = 0;
    let mut before = usage(pid)?.cpu;
    while quiet < 5 && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = usage(pid)?.cpu;
        quiet = if now - before < 0.015 { quiet + 1 } else { 0 };
        before = now;
    }
    Ok(())
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    std::fs::read_to_string(format!("/proc/{pid}/{file}"))
        .with_context(|| format!("reading /proc/{pid}/{file}: did the process end?"))
}

fn line(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}
