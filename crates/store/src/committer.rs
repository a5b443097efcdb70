//! The one thread that writes: takes what is waiting, makes it durable with one sync, applies it, answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::log::{Segments, write_command};
use crate::mvcc::{Op, Reply};
use crate::queue::{Answer, Cut, Submission};
use crate::seal::FrameSealer;
use crate::shared::Shared;
use crate::{EtcdError, StoreError};

/// A buffer that grew beyond this is not kept for the next batch.
const KEEP_BUFFER_BYTES: usize = 8 << 20;

/// etcd's default above which it calls the application of a command slow.
const SLOW_APPLY: Duration = Duration::from_millis(100);

/// After a group of at least this many commands the next one is given time to gather.
const CROWD: usize = 8;
/// How long, from the end of the group before. Many who wait at the same time wait a little longer each, for far fewer
/// syncs, system calls and bytes; few do not wait at all.
const GATHER: Duration = Duration::from_micros(500);

/// Runs until the queue is closed or the log cannot be written.
pub(crate) fn run(shared: &Arc<Shared>, mut segments: Segments) {
    let mut buffer = Vec::new();
    let mut crowd = false;
    loop {
        let mut work = shared.queue.next(crowd.then_some(GATHER));
        crowd = work.batch.len() >= CROWD;
        if work.closed && work.cuts.is_empty() {
            break;
        }
        if !work.batch.is_empty() {
            let (began, commands) = (Instant::now(), work.batch.len() as u64);
            match commit(&mut segments, &mut buffer, &work.batch) {
                Ok(()) => {
                    shared.metrics.wal_fsync.observe(began.elapsed());
                    shared.disk_full.store(segments.is_full(), Ordering::Relaxed);
                    apply(shared, &segments, std::mem::take(&mut work.batch));
                    shared.metrics.committed(began.elapsed(), commands, SLOW_APPLY);
                }
                // Nothing was written: what gives room back may still fit.
                Err(error @ StoreError::NoSpace(_)) => {
                    shared.metrics.failed_proposals.add(commands);
                    shared.disk_full.store(true, Ordering::Relaxed);
                    tracing::warn!(error = describe(&error), "the disk is full: writes are refused");
                    for submission in work.batch {
                        let _gone = submission.answer.send(Err(EtcdError::NoSpace));
                    }
                }
                Err(error) => {
                    shared.metrics.failed_proposals.add(commands);
                    return fail(shared, &error, work.batch);
                }
            }
        }
        for sender in work.cuts {
            match cut(shared, &mut segments) {
                Ok(cut) => {
                    if sender.send(cut).is_err() {
                        shared.state.write().end_image();
                    }
                }
                Err(error @ StoreError::NoSpace(_)) => {
                    shared.disk_full.store(true, Ordering::Relaxed);
                    tracing::warn!(error = describe(&error), "no room for another segment of the log");
                }
                Err(error) => return fail(shared, &error, Vec::new()),
            }
        }
    }
    if let Err(error) = segments.end() {
        tracing::warn!(error = &error as &dyn std::error::Error, "the last segment keeps its reserved space");
    }
}

fn commit(segments: &mut Segments, buffer: &mut Vec<u8>, batch: &[Submission]) -> Result<(), StoreError> {
    FrameSealer::begin(buffer);
    for (index, submission) in batch.iter().enumerate() {
        write_command(buffer, index == 0, &submission.command);
    }
    let appended = segments.append(buffer);
    if buffer.capacity() > KEEP_BUFFER_BYTES {
        *buffer = Vec::new();
    }
    appended
}

/// Applies what is durable, shows it to readers, then to watches, then answers: in that order an answered write is
/// seen by every later read, and a later watch does not get it again.
fn apply(shared: &Shared, segments: &Segments, batch: Vec<Submission>) {
    let mut changes = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    {
        let mut state = shared.state.write();
        for submission in batch {
            shared.metrics.applying(&submission.command);
            let revoked = match &submission.command.op {
                Some(Op::LeaseRevoke(revoke)) => Some(revoke.id),
                _ => None,
            };
            let answer = state.apply(submission.command, &mut changes);
            note_lease(shared, &answer, revoked);
            answers.push((submission.answer, answer));
        }
        // Under the lock of the state: whoever reads it finds the point that belongs to it.
        *shared.durable.lock() = (segments.position(), state.revision());
    }
    shared.publish(&changes);
    let mut compacted = false;
    for (sender, answer) in answers {
        compacted |= matches!(answer, Ok(Reply::Compact(_)));
        let _gone = sender.send(answer);
    }
    if compacted {
        shared.keeper.wake();
    }
}

fn note_lease(shared: &Shared, answer: &Answer, revoked: Option<i64>) {
    let granted = matches!(answer, Ok(Reply::LeaseGrant(_)));
    if granted || revoked.is_some() {
        shared.metrics.leases_granted.add(u64::from(granted));
        shared.leases.lock().applied(answer, revoked, shared.now());
    }
}

fn cut(shared: &Shared, segments: &mut Segments) -> Result<Cut, StoreError> {
    segments.roll()?;
    let (image, cursor) = shared.state.write().begin_image();
    Ok(Cut { image, cursor, position: segments.position(), log_bytes: shared.inventory.log_bytes() })
}

fn fail(shared: &Shared, error: &StoreError, batch: Vec<Submission>) {
    let reason = describe(error);
    for submission in batch {
        let _gone = submission.answer.send(Err(EtcdError::Failed(reason.clone())));
    }
    shared.fail(&reason);
}

/// An error with its causes in one line.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
