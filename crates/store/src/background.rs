use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::disk::DiskStream;

/// Niceness: a tenth of the processor when it is wanted by others all the time, so that the work comes to an end then too.
/// `SCHED_IDLE` would give way more readily, and starve.
const NICE: i32 = 10;
/// Work at a stretch, about, and how many times as long the rest after it takes.
const STRETCH: Duration = Duration::from_micros(200);
const REST: u32 = 2;
/// No rest is longer: a stretch that took long was interrupted.
const LONGEST_REST: Duration = Duration::from_millis(2);

/// Does `work` on a thread of low priority and waits for it. For what takes seconds of processor time beside those who wait
/// for answers.
///
/// # Panics
/// When `work` does.
///
/// # Errors
/// There is no thread to be had; `work` was not begun then.
pub fn in_background<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let lowered = || {
            // On Linux a thread has a priority of its own. Without it the work is done all the same.
            if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
                tracing::debug!(%error, "a thread keeps its priority");
            }
            work()
        };
        let running = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, lowered)?;
        Ok(running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Rests between short stretches of work. A priority is not enough: with as many busy threads as processors Linux lets a
/// thread that wakes up wait for the end of a time slice, up to 4 ms, and a put is several such wakings.
#[derive(Debug)]
pub struct Pace {
    since: Instant,
}

impl Default for Pace {
    fn default() -> Self {
        Self { since: Instant::now() }
    }
}

impl Pace {
    /// To be called every hundred microseconds of work or so.
    #[allow(clippy::disallowed_methods, reason = "the thread of the work is its own")]
    pub fn step(&mut self) {
        let worked = self.since.elapsed();
        if worked >= STRETCH {
            thread::sleep((worked * REST).min(LONGEST_REST));
            self.since = Instant::now();
        }
    }
}

/// Written and synced at a stretch, bytes: a sync of the log waits for what is before it in the device's queue.
const STEP_BYTES: usize = 256 << 10;

/// A file that is written beside a store that serves: a little at a time, each synced, with rests.
pub(crate) struct Gently {
    out: DiskStream,
    pace: Pace,
}

impl Gently {
    pub(crate) fn new(out: DiskStream) -> Self {
        Self { out, pace: Pace::default() }
    }

    pub(crate) fn into_inner(self) -> DiskStream {
        self.out
    }
}

impl Write for Gently {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(&bytes[..bytes.len().min(STEP_BYTES)])?;
        self.out.file().sync()?;
        self.pace.step();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_of_the_work_is_lowered() {
        let priority = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = priority();
        let inside = in_background("lowered", || (priority(), thread::current().name().map(str::to_owned)));
        assert_eq!(inside.unwrap(), (before.max(NICE), Some("lowered".to_owned())));
        assert_eq!(priority(), before);
    }
}
