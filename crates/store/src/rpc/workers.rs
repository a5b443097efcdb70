use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::StoreError;

/// More threads than this would wait for the committer together.
const MOST: usize = 8;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Threads that talk to clients, each with connections and a runtime of its own.
///
/// A connection stays on its thread: between reading a request and writing its answer nothing has to wake another
/// thread but the committer, once per group. End with the last sender, and all their connections then.
pub(super) struct Workers {
    queues: Vec<UnboundedSender<Task>>,
    next: AtomicUsize,
}

impl Workers {
    /// Starts a thread for every other processor.
    pub(super) fn start() -> Result<Self, StoreError> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let queues: io::Result<Vec<_>> =
            (0..processors.div_ceil(2).min(MOST)).map(|_| start_thread()).collect();
        let queues = queues.map_err(StoreError::io("start thread", Path::new("store-rpc")))?;
        Ok(Self { queues, next: AtomicUsize::new(0) })
    }

    /// Runs a task on the next thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let next = self.next.fetch_add(1, Ordering::Relaxed) % self.queues.len();
        // A thread ends only when its runtime panicked; then the connection is closed with the task.
        let _closed = self.queues[next].send(Box::pin(task));
    }
}

fn start_thread() -> io::Result<UnboundedSender<Task>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (sender, tasks) = unbounded_channel();
    let thread = std::thread::Builder::new().name("store-rpc".to_owned());
    thread.spawn(move || runtime.block_on(run(tasks)))?;
    Ok(sender)
}

async fn run(mut tasks: UnboundedReceiver<Task>) {
    while let Some(task) = tasks.recv().await {
        tokio::spawn(task);
    }
}
