use std::time::{Duration, Instant};
use std::{io, thread};

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

const IDLE: ThreadSchedulePolicy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);

/// Work at a stretch, about, and how many times as long the rest after it takes.
const STRETCH: Duration = Duration::from_micros(400);
const REST: u32 = 2;
/// No rest is longer: a stretch that took long was interrupted.
const LONGEST_REST: Duration = Duration::from_millis(2);

/// Does `work` on a thread that runs while nobody else wants its processor, and waits for it. For what takes seconds of
/// processor time beside those who wait for answers: with as many of them as processors, Linux would let each thread that
/// wakes up wait for the end of a time slice, and that is up to 4 ms; `SCHED_IDLE` gives way at once.
///
/// # Panics
/// When `work` does.
///
/// # Errors
/// There is no thread to be had; `work` was not begun then.
pub fn in_background<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let lowered = || {
            // Without it the work is done all the same.
            if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, IDLE)
            {
                tracing::debug!(?error, "a thread keeps its priority");
            }
            work()
        };
        let running = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, lowered)?;
        Ok(running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Rests between short stretches of work. A priority is not enough: threads of the kernel, which finish what is synced, and
/// those of other groups of processes wait for the end of a time slice all the same.
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
    /// To be called every few hundred microseconds of work.
    #[allow(clippy::disallowed_methods, reason = "the thread of the work is its own")]
    pub fn step(&mut self) {
        let worked = self.since.elapsed();
        if worked >= STRETCH {
            thread::sleep((worked * REST).min(LONGEST_REST));
            self.since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_of_the_work_is_lowered() {
        let policy = || thread_priority::thread_schedule_policy().unwrap();
        let before = policy();
        let inside = in_background("lowered", || (policy(), thread::current().name().map(str::to_owned)));
        assert_eq!(inside.unwrap(), (IDLE, Some("lowered".to_owned())));
        assert_eq!(policy(), before);
    }
}
