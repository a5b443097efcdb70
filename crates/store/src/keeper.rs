//! The thread that keeps house: expires leases, removes compacted history, writes snapshots, moves the anchor.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::StoreError;
use crate::anchor::AnchorPoint;
use crate::background::{Gently, Pace, in_background};
use crate::committer::describe;
use crate::config::AutoCompaction;
use crate::disk::{DiskFile, DiskStream};
use crate::mvcc::{Image, ImageCursor, Op};
use crate::proto::{AlarmAction, AlarmRequest, AlarmType, CompactionRequest, LeaseRevokeRequest};
use crate::queue::Cut;
use crate::seal::{Kind, Position, SnapshotSealer};
use crate::shared::Shared;

/// How often leases are looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often the anchor moves while there are writes, in milliseconds.
const ANCHOR_INTERVAL: u64 = 1_000;
/// How often free space is looked at, in milliseconds.
const SPACE_INTERVAL: u64 = 1_000;
/// How long a failed snapshot is left alone, in milliseconds.
const RETRY_INTERVAL: u64 = 30_000;
/// Segments that are too many, however small: every start begins one.
const MAX_SEGMENTS: usize = 64;
/// Changes removed before others get the lock.
const STRIDE: usize = 1_000;
/// Keys sealed before others get the lock.
const PORTION: usize = 250;

/// Runs until the store closes.
pub(crate) fn run(shared: &Arc<Shared>) {
    let mut keeper = House {
        shared,
        anchored_at: 0,
        anchored: None,
        told_at: 0,
        looked_at: 0,
        retry_at: 0,
        samples: VecDeque::new(),
    };
    while !shared.keeper.closing.load(Ordering::Acquire) {
        {
            let mut woken = shared.keeper.woken.lock();
            if !*woken {
                shared.keeper.wake.wait_for(&mut woken, TICK);
            }
            *woken = false;
        }
        keeper.tick();
    }
    keeper.anchor();
}

struct House<'a> {
    shared: &'a Shared,
    anchored_at: u64,
    anchored: Option<Position>,
    told_at: u64,
    /// When the free space was looked at.
    looked_at: u64,
    /// Not before this a snapshot is tried again that failed.
    retry_at: u64,
    /// (time, revision), for compaction by age.
    samples: VecDeque<(u64, i64)>,
}

impl House<'_> {
    fn tick(&mut self) {
        if self.shared.queue.ended().is_some() {
            return;
        }
        let now = self.shared.now();
        self.expire_leases(now);
        self.scrub();
        self.tell_progress(now);
        self.compact(now);
        self.watch_space(now);
        if now.saturating_sub(self.anchored_at) >= ANCHOR_INTERVAL {
            self.anchored_at = now;
            self.anchor();
        }
        self.snapshot_if_due(now);
    }

    fn expire_leases(&self, now: u64) {
        // Nothing may change then; they end when the alarm is gone.
        if self.shared.state.read().is_corrupt() {
            return;
        }
        let expired = self.shared.leases.lock().expired(now);
        for id in expired {
            self.shared.metrics.leases_expired.add(1);
            let command = Op::LeaseRevoke(LeaseRevokeRequest { id }).into();
            if self.shared.queue.submit(command, 16).is_err() {
                // The queue is full.
                self.shared.leases.lock().retry(id, now);
            }
        }
    }

    /// History that no copy has yet must not fill the memory.
    fn bound_held_history(&self) {
        while self.shared.state.read().has_unweighed() {
            self.shared.state.write().weigh_held(STRIDE);
        }
        let (held, compacted) = {
            let state = self.shared.state.read();
            (state.held_bytes(), state.compact_revision())
        };
        let most = self.shared.config.held_history_bytes;
        if held > most {
            tracing::warn!(
                held,
                most,
                revision = compacted,
                "compacted history before this revision is removed though no snapshot has all of it: it takes more memory than \
                 is allowed"
            );
            self.shared.state.write().hold_after(compacted - 1);
        }
    }

    fn scrub(&self) {
        self.bound_held_history();
        if self.shared.state.read().is_scrubbed() {
            return self.tell_scrubbed();
        }
        // Held until history is gone: nobody begins a tree on what is being removed.
        let Some(mut root) = self.shared.root.try_lock() else { return };
        loop {
            root.catch_up(self.shared);
            let mut state = self.shared.state.write();
            // Another compaction may have come since: its history is not in the tree yet.
            if root.has_taken(state.compact_revision()) && state.scrub(STRIDE) {
                break;
            }
        }
        drop(root);
        self.tell_scrubbed();
    }

    /// Whoever waits for history to go waits no longer; nor for what stays because no copy has it.
    fn tell_scrubbed(&self) {
        let state = self.shared.state.read();
        let compacted = state.compact_revision();
        if state.is_scrubbed() && *self.shared.scrubbed.borrow() != compacted {
            self.shared.scrubbed.send_replace(compacted);
        }
    }

    fn tell_progress(&mut self, now: u64) {
        if now.saturating_sub(self.told_at) < millis(self.shared.config.progress_interval) {
            return;
        }
        self.told_at = now;
        let mut wake = Vec::new();
        self.shared.hub.lock().tick(&mut wake);
        wake.iter().for_each(|reader| reader.notify_one());
    }

    fn compact(&mut self, now: u64) {
        let Some(policy) = self.shared.config.auto_compaction else { return };
        let (revision, compacted) = {
            let state = self.shared.state.read();
            (state.revision(), state.compact_revision())
        };
        let target = match policy {
            AutoCompaction::Revisions(kept) => revision.saturating_sub(kept),
            AutoCompaction::Periodic(age) => self.revision_at_age(now, millis(age), revision),
        };
        // Not for every single revision.
        if target > compacted + i64::try_from(STRIDE).unwrap_or(0).min(revision / 2) {
            let command = Op::Compact(CompactionRequest { revision: target, physical: false }).into();
            let _later = self.shared.queue.submit(command, 16);
        }
    }

    fn watch_space(&mut self, now: u64) {
        if now.saturating_sub(self.looked_at) >= SPACE_INTERVAL {
            self.looked_at = now;
            self.look_at_space();
        }
    }

    /// Raises `NOSPACE` while the disk still has room for what gives room back: the next segment and a snapshot.
    fn look_at_space(&self) {
        let (full, weight) = {
            let state = self.shared.state.read();
            (state.is_full(), state.weight())
        };
        // A file system that does not tell is not watched.
        let Ok(free) = self.shared.directory.free_bytes() else { return };
        let needed = self.shared.config.segment_bytes.saturating_add(weight);
        if free >= needed {
            self.shared.disk_full.store(false, Ordering::Relaxed);
        }
        if full || free >= needed {
            return;
        }
        tracing::warn!(free, needed, "the disk is nearly full: raising NOSPACE");
        let (_, member_id) = self.shared.ids();
        let (action, alarm) = (AlarmAction::Activate as i32, AlarmType::Nospace as i32);
        let _later =
            self.shared.queue.submit(Op::Alarm(AlarmRequest { action, member_id, alarm }).into(), 16);
    }

    /// The revision of `age` ago, from about a hundred samples.
    fn revision_at_age(&mut self, now: u64, age: u64, revision: i64) -> i64 {
        if self.samples.back().is_none_or(|(at, _)| now - at >= age / 100) {
            self.samples.push_back((now, revision));
        }
        let mut reached = 0;
        while let Some(&(at, revision)) = self.samples.front().filter(|(at, _)| now - at >= age) {
            reached = revision;
            self.samples.pop_front();
            debug_assert!(at <= now);
        }
        reached
    }

    fn anchor(&mut self) {
        let (position, revision) = *self.shared.durable.lock();
        if self.anchored == Some(position) {
            return;
        }
        match store_anchor(self.shared, position, revision) {
            Ok(()) => self.anchored = Some(position),
            Err(error) => tracing::warn!(error = describe(&error), "the anchor does not move"),
        }
    }

    fn snapshot_if_due(&mut self, now: u64) {
        let asked = std::mem::take(&mut *self.shared.keeper.snapshots.lock());
        let weight = self.shared.state.read().weight();
        let threshold = self.shared.config.snapshot_log_bytes.max(2 * weight);
        let inventory = &self.shared.inventory;
        let due =
            now >= self.retry_at && (inventory.log_bytes() >= threshold || inventory.count() >= MAX_SEGMENTS);
        if asked.is_empty() && !due {
            return;
        }
        let began = Instant::now();
        // It takes its time; what others rely on goes on meanwhile.
        let looked = AtomicU64::new(now);
        let meanwhile = || {
            let now = self.shared.now();
            self.expire_leases(now);
            if now.saturating_sub(looked.load(Ordering::Relaxed)) >= SPACE_INTERVAL {
                looked.store(now, Ordering::Relaxed);
                self.look_at_space();
                let (position, revision) = *self.shared.durable.lock();
                if let Err(error) = store_anchor(self.shared, position, revision) {
                    tracing::warn!(error = describe(&error), "the anchor does not move");
                }
            }
        };
        let outcome = in_background("store-snapshot", || snapshot(self.shared, &meanwhile));
        let outcome = outcome.map_err(|error| error.to_string());
        let outcome = outcome.and_then(|written| written.map_err(|error| describe(&error)));
        self.shared.metrics.snapshot.observe(began.elapsed());
        if let Err(error) = &outcome {
            tracing::warn!(error, "no snapshot was written; the log grows until one is");
            self.retry_at = now + RETRY_INTERVAL;
        }
        for sender in asked {
            let _gone = sender.send(outcome.clone());
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn store_anchor(shared: &Shared, position: Position, revision: i64) -> Result<(), StoreError> {
    let Some(anchor) = &shared.config.anchor else { return Ok(()) };
    Ok(anchor.store(&AnchorPoint {
        store_id: shared.identity.store_id,
        sequence: position.sequence,
        revision,
        chain: position.chain,
    })?)
}

/// Writes a snapshot of the state as it is now and removes the log that it covers.
fn snapshot(shared: &Shared, meanwhile: &dyn Fn()) -> Result<(), StoreError> {
    let stopped = |error: &dyn std::error::Error| StoreError::Failed(error.to_string());
    let waiting = shared.queue.cut().map_err(|error| stopped(&error))?;
    let cut = waiting.blocking_recv().map_err(|error| stopped(&error))?;
    let (sequence, log_bytes) = (cut.position.sequence, cut.log_bytes);
    let target = shared.directory.snapshot(sequence);
    let written = shared.directory.create_temporary(&target).and_then(|(file, temporary)| {
        let published = publish(shared, cut, file, &temporary, &target, meanwhile);
        // What failed must not fill the disk.
        published.inspect_err(|_| drop(shared.directory.remove(&temporary)))
    });
    shared.state.write().end_image();
    let bytes = written?;
    shared.inventory.covered_by(sequence, bytes, log_bytes)?;
    tracing::debug!(sequence, bytes, "snapshot written");
    Ok(())
}

/// Writes the image and gives the file its name; tells its bytes.
fn publish(
    shared: &Shared,
    mut cut: Cut,
    file: Box<dyn DiskFile>,
    temporary: &Path,
    target: &Path,
    meanwhile: &dyn Fn(),
) -> Result<u64, StoreError> {
    let written = write_image(shared, file, &cut.image, &mut cut.cursor, cut.position, meanwhile);
    let file = written.map_err(StoreError::io("write", temporary))?;
    let bytes = file.file().len().map_err(StoreError::io("read", temporary))?;
    // The anchor must not be behind the oldest point that recovery can check it against.
    let (position, revision) = *shared.durable.lock();
    store_anchor(shared, position, revision)?;
    shared.directory.publish(temporary, target)?;
    Ok(bytes)
}

/// Seals an image into `out`; the state's lock is taken for some keys at a time, between which `meanwhile` is called. For a thread
/// of low priority: puts wait for none of it.
pub(crate) fn write_image(
    shared: &Shared,
    out: Box<dyn DiskFile>,
    image: &Image,
    cursor: &mut ImageCursor,
    position: Position,
    meanwhile: &dyn Fn(),
) -> io::Result<DiskStream> {
    let header = shared.identity.header(Kind::Snapshot, position.sequence, position);
    let out = BufWriter::with_capacity(1 << 20, Gently::new(DiskStream::new(out)));
    let mut pace = Pace::default();
    let mut sealer = SnapshotSealer::new(&header, &shared.identity.keyring, out, image)?;
    loop {
        let records = shared.state.read().image_records(cursor, PORTION);
        let Some(records) = records else { break };
        for record in records {
            sealer.record(&record)?;
            pace.step();
        }
        meanwhile();
    }
    let mut out = sealer.finish()?;
    out.flush()?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?.into_inner();
    file.file().sync()?;
    Ok(file)
}
