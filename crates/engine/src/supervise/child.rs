use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::backoff::Backoff;
use super::log::forward;
use super::program::Program;
use super::spawner;
use super::status::{ChildState, ChildStatus};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Run,
    Stop(Duration),
}

/// A program that is kept running until it is stopped. Dropping it kills the process.
pub struct Child {
    shared: Arc<Mutex<ChildStatus>>,
    wish: watch::Sender<Wish>,
    task: JoinHandle<()>,
}

impl Child {
    /// Starts `program` and keeps it running. Must be called inside a Tokio runtime.
    pub fn start(program: Program) -> Self {
        let (wish, wished) = watch::channel(Wish::Run);
        let shared = Arc::new(Mutex::new(ChildStatus {
            name: program.name.clone(),
            state: ChildState::Waiting,
            pid: None,
            restarts: 0,
            last_exit: None,
            since_ms: now_ms(),
        }));
        let task = tokio::spawn(keep_running(program, shared.clone(), wished));
        Self { shared, wish, task }
    }

    /// How it is now.
    pub fn status(&self) -> ChildStatus {
        lock(&self.shared).clone()
    }

    /// Asks it to end (SIGTERM), and makes it end (SIGKILL) after `grace`.
    pub async fn stop(self, grace: Duration) {
        self.wish.send_replace(Wish::Stop(grace));
        if self.task.await.is_err() {
            tracing::error!("the task of a child failed");
        }
    }
}

async fn keep_running(program: Program, shared: Arc<Mutex<ChildStatus>>, mut wish: watch::Receiver<Wish>) {
    let mut backoff = Backoff::default();
    loop {
        let started = Instant::now();
        let ended = match run_once(&program, &shared, &mut wish).await {
            Ok(ended) => ended,
            Err(error) => format!("cannot start: {error}"),
        };
        let stopped = matches!(*wish.borrow_and_update(), Wish::Stop(_)) || wish.has_changed().is_err();
        update(&shared, |status| {
            status.pid = None;
            status.last_exit = Some(ended.clone());
            status.state = if stopped { ChildState::Stopped } else { ChildState::Waiting };
        });
        if stopped {
            return;
        }
        let wait = backoff.after(started.elapsed());
        tracing::warn!(
            child = program.name,
            ended,
            wait_ms = wait.as_millis(),
            "a child ended, starting it again"
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = wish.changed() => return update(&shared, |status| status.state = ChildState::Stopped),
        }
        update(&shared, |status| status.restarts += 1);
    }
}

/// Runs the program once; how it ended.
async fn run_once(
    program: &Program,
    shared: &Mutex<ChildStatus>,
    wish: &mut watch::Receiver<Wish>,
) -> std::io::Result<String> {
    let mut process = spawner::spawn(program.command()?).await?;
    let pid = process.id();
    update(shared, |status| {
        status.pid = pid;
        status.state = ChildState::Running;
    });
    if let Some(output) = process.stdout.take() {
        tokio::spawn(forward(program.name.clone(), output, program.quiet));
    }
    if let Some(output) = process.stderr.take() {
        tokio::spawn(forward(program.name.clone(), output, program.quiet));
    }
    let grace = tokio::select! {
        status = process.wait() => return Ok(status?.to_string()),
        changed = wish.changed() => match (changed, *wish.borrow()) {
            (Ok(()), Wish::Stop(grace)) => grace,
            _ => Duration::ZERO,
        },
    };
    if let Some(pid) = pid {
        signal(pid, Signal::TERM);
    }
    if let Ok(status) = tokio::time::timeout(grace, process.wait()).await {
        return Ok(status?.to_string());
    }
    process.start_kill()?;
    Ok(process.wait().await?.to_string())
}

fn signal(pid: u32, signal: Signal) {
    // It may have ended in the meantime; its pid is ours until we have waited for it.
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

fn update(shared: &Mutex<ChildStatus>, change: impl FnOnce(&mut ChildStatus)) {
    let mut status = lock(shared);
    change(&mut status);
    status.since_ms = now_ms();
}

fn lock(shared: &Mutex<ChildStatus>) -> std::sync::MutexGuard<'_, ChildStatus> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("sh", "/bin/sh", Path::new("/nonexistent")).args(["-c", script])
    }

    async fn until(child: &Child, what: impl Fn(&ChildStatus) -> bool) -> ChildStatus {
        for _ in 0..200 {
            let status = child.status();
            if what(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never seen; last: {:?}", child.status());
    }

    #[tokio::test]
    async fn a_child_that_ends_is_started_again_and_says_how_it_ended() {
        let child = Child::start(shell("exit 3"));
        let status = until(&child, |status| status.restarts >= 1).await;
        assert_eq!(status.last_exit.as_deref(), Some("exit status: 3"));
        child.stop(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_child_that_will_not_end_is_killed() {
        let child = Child::start(shell("trap '' TERM; while :; do sleep 0.1; done"));
        let pid = until(&child, |status| status.pid.is_some()).await.pid.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        child.stop(Duration::from_millis(100)).await;
        assert!(!Path::new(&format!("/proc/{pid}/cmdline")).exists());
    }

    #[tokio::test]
    async fn a_secret_is_read_by_its_path_and_is_on_no_disk() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let mut program = Program::new("sh", "/bin/sh", dir.path());
        let path = program.secret("hush".as_bytes());
        let program = program.args(["-c", &format!("cat {path} > {}; sleep 60", out.display())]);
        let child = Child::start(program);
        for _ in 0..200 {
            if std::fs::read_to_string(&out).is_ok_and(|text| text == "hush") {
                return child.stop(Duration::from_secs(1)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the child did not read its secret");
    }
}
