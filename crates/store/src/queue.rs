use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use crate::EtcdError;
use crate::mvcc::{Command, Image, ImageCursor, Reply};
use crate::seal::Position;

/// Commands that may wait; above, clients are told to come back.
const MAX_WAITING: usize = 50_000;
/// Their bytes.
const MAX_WAITING_BYTES: usize = 256 << 20;
/// Bytes that go into one frame, about.
const BATCH_BYTES: usize = 4 << 20;

pub(crate) type Answer = Result<Reply, EtcdError>;

/// A command on its way into the log.
pub(crate) struct Submission {
    pub(crate) command: Command,
    pub(crate) bytes: usize,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// The beginning of a snapshot: everything up to `position`, in a log that was just cut there.
pub(crate) struct Cut {
    pub(crate) image: Image,
    pub(crate) cursor: ImageCursor,
    pub(crate) position: Position,
    pub(crate) log_bytes: u64,
}

/// What the committer is to do next.
pub(crate) struct Work {
    pub(crate) batch: Vec<Submission>,
    pub(crate) cuts: Vec<oneshot::Sender<Cut>>,
    /// Nothing more will come.
    pub(crate) closed: bool,
}

/// What stands between those who submit and the one who commits.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Default)]
struct Inner {
    waiting: Vec<Submission>,
    bytes: usize,
    cuts: Vec<oneshot::Sender<Cut>>,
    /// Why no more is taken.
    ended: Option<EtcdError>,
}

impl Queue {
    /// Submits a command of `bytes` encoded bytes.
    pub(crate) fn submit(
        &self,
        command: Command,
        bytes: usize,
    ) -> Result<oneshot::Receiver<Answer>, EtcdError> {
        let (answer, receiver) = oneshot::channel();
        let mut inner = self.inner.lock();
        if let Some(error) = &inner.ended {
            return Err(error.clone());
        }
        if inner.waiting.len() >= MAX_WAITING || inner.bytes + bytes > MAX_WAITING_BYTES {
            return Err(EtcdError::TooManyRequests);
        }
        inner.bytes += bytes;
        inner.waiting.push(Submission { command, bytes, answer });
        if inner.waiting.len() == 1 {
            self.changed.notify_one();
        }
        Ok(receiver)
    }

    /// Asks for a cut of the log and an image of the state at it.
    pub(crate) fn cut(&self) -> Result<oneshot::Receiver<Cut>, EtcdError> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.inner.lock();
        if let Some(error) = &inner.ended {
            return Err(error.clone());
        }
        inner.cuts.push(sender);
        self.changed.notify_one();
        Ok(receiver)
    }

    /// Takes no more, for this reason; what is waiting is still done.
    pub(crate) fn close(&self, reason: EtcdError) {
        self.inner.lock().ended.get_or_insert(reason);
        self.changed.notify_all();
    }

    /// Takes no more, and refuses what is waiting.
    pub(crate) fn fail(&self, reason: &EtcdError) {
        let waiting = {
            let mut inner = self.inner.lock();
            inner.ended = Some(reason.clone());
            inner.bytes = 0;
            inner.cuts.clear();
            std::mem::take(&mut inner.waiting)
        };
        for submission in waiting {
            let _gone = submission.answer.send(Err(reason.clone()));
        }
    }

    /// Commands that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.inner.lock().waiting.len()
    }

    /// Why nothing is taken any more.
    pub(crate) fn ended(&self) -> Option<EtcdError> {
        self.inner.lock().ended.clone()
    }

    /// Waits for work; first `gather` for more of it, if the queue is not closed meanwhile.
    pub(crate) fn next(&self, gather: Option<Duration>) -> Work {
        let mut inner = self.inner.lock();
        if let Some(until) = gather.map(|gather| Instant::now() + gather) {
            while inner.ended.is_none() && !self.changed.wait_until(&mut inner, until).timed_out() {}
        }
        while inner.waiting.is_empty() && inner.cuts.is_empty() && inner.ended.is_none() {
            self.changed.wait(&mut inner);
        }
        let mut bytes = 0;
        let fits = inner.waiting.iter().take_while(|submission| {
            bytes += submission.bytes;
            bytes <= BATCH_BYTES
        });
        let fits = fits.count().max(1).min(inner.waiting.len());
        let rest = inner.waiting.split_off(fits);
        let batch = std::mem::replace(&mut inner.waiting, rest);
        inner.bytes -= batch.iter().map(|submission| submission.bytes).sum::<usize>();
        Work {
            closed: batch.is_empty() && inner.ended.is_some(),
            batch,
            cuts: std::mem::take(&mut inner.cuts),
        }
    }
}
