use std::{io, thread};

/// The lowest of Linux: such a thread runs when nobody else wants the processor, and leaves it at once to who wakes up.
const LOWEST_PRIORITY: i32 = 19;

/// Does `work` on a thread of the lowest priority and waits for it. For what takes seconds of processor time beside those who
/// wait for answers: with as many of them as processors, each waking waiter would otherwise wait for the end of a time slice.
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
            if let Err(error) =
                rustix::process::setpriority_process(Some(rustix::thread::gettid()), LOWEST_PRIORITY)
            {
                tracing::debug!(%error, "a thread keeps its priority");
            }
            work()
        };
        let running = thread::Builder::new().name(name.to_owned()).spawn_scoped(scope, lowered)?;
        Ok(running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_thread_of_the_work_is_lowered() {
        let priority = || rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        let before = priority();
        let inside = in_background("lowered", || (priority(), thread::current().name().map(str::to_owned)));
        assert_eq!(inside.unwrap(), (LOWEST_PRIORITY, Some("lowered".to_owned())));
        assert_eq!(priority(), before);
    }
}
