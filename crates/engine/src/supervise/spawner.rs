//! Starts processes that die with us.
//!
//! The kernel's parent-death signal fires when the *thread* that made the child ends, so all children are made
//! by one thread that lives as long as the process.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc;

use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// Starts `command` in a process group of its own.
pub(crate) async fn spawn(command: Command) -> std::io::Result<Child> {
    let (answer, answered) = oneshot::channel();
    let runtime = Handle::current();
    let job: Job = Box::new(move || {
        let _entered = runtime.enter();
        // The asker may be gone; the child then ends with its handle.
        let _ = answer.send(start(command));
    });
    spawner()?.send(job).map_err(|_| std::io::Error::other("the spawning thread has ended"))?;
    answered.await.map_err(|_| std::io::Error::other("the spawning thread has ended"))?
}

#[allow(unsafe_code)]
fn start(mut command: Command) -> std::io::Result<Child> {
    let us = rustix::process::getpid();
    command.process_group(0);
    // SAFETY: the closure runs in the child between fork and exec. It makes two system calls through rustix
    // (prctl, getppid) and builds an error from a constant: no allocation, no lock, nothing of the parent's
    // state is touched.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // We may have ended before the signal was asked for.
            if getppid() != Some(us) {
                return Err(std::io::Error::from_raw_os_error(libc::ECHILD));
            }
            Ok(())
        });
    }
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true);
    command.spawn()
}

fn spawner() -> std::io::Result<&'static mpsc::Sender<Job>> {
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    if let Some(sender) = SPAWNER.get() {
        return Ok(sender);
    }
    let (sender, jobs) = mpsc::channel::<Job>();
    std::thread::Builder::new().name("spawner".to_owned()).spawn(move || {
        for job in jobs {
            job();
        }
    })?;
    // When two threads came here at once, the other's spawner stays and this one ends before it made a child.
    Ok(SPAWNER.get_or_init(|| sender))
}
