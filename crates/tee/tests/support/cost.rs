//! What something costs the processor, whatever else the machine does.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What refusing evidence may cost, in a debug build; the benchmark shows microseconds.
pub(crate) const LIMIT: Duration = Duration::from_millis(50);

/// Runs on this thread and takes at most [`LIMIT`] of it.
pub(crate) fn quick<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let started = cpu();
    let result = run();
    let took = cpu() - started;
    assert!(took < LIMIT, "{what} took {took:?} of the processor");
    result
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
