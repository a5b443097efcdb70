//! Taking an image of the state while it goes on working, and making a state from an image.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::State;
use super::history::History;
use super::note::AnchorNote;
use super::record::{Record, Shared};
use super::state::Lease;
use crate::EtcdError;
use crate::proto::AlarmMember;

/// All of a state but its records.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Image {
    /// Commands applied.
    #[prost(uint64, tag = "1")]
    pub applied: u64,
    /// Current revision.
    #[prost(int64, tag = "2")]
    pub revision: i64,
    /// Compact revision.
    #[prost(int64, tag = "3")]
    pub compact_revision: i64,
    /// Leases.
    #[prost(message, repeated, tag = "4")]
    pub leases: Vec<ImageLease>,
    /// Raised alarms.
    #[prost(message, repeated, tag = "5")]
    pub alarms: Vec<AlarmMember>,
    /// Points that were anchored, or were about to be.
    #[prost(message, repeated, tag = "6")]
    pub anchors: Vec<AnchorNote>,
    /// Every change from this revision on is among the records; 0 for the compact revision. Earlier than that when compacted
    /// history was kept because no copy had it.
    #[prost(int64, tag = "7")]
    pub kept_from: i64,
}

impl Image {
    /// The revision from which on every change is among the records.
    #[must_use]
    pub fn complete_from(&self) -> i64 {
        match self.kept_from {
            0 => self.compact_revision,
            kept => kept.min(self.compact_revision),
        }
    }
}

/// A lease in an [`Image`]; its keys follow from the records.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct ImageLease {
    /// The id.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Granted seconds.
    #[prost(int64, tag = "2")]
    pub ttl: i64,
}

/// Where the taking of an image stands.
#[derive(Debug)]
pub struct ImageCursor {
    revision: i64,
    after: Option<Bytes>,
    done: bool,
}

impl ImageCursor {
    /// The revision of the image.
    pub fn revision(&self) -> i64 {
        self.revision
    }
}

/// Why an image does not make a state: it is authentic but inconsistent, so it was written by different code.
#[derive(Debug, thiserror::Error)]
#[error("inconsistent image: {0}")]
pub struct RestoreError(pub &'static str);

impl State {
    /// Begins an image of the state as it is now. Until [`State::end_image`] nothing that it needs is removed, and
    /// commands go on being applied.
    pub fn begin_image(&mut self) -> (Image, ImageCursor) {
        self.pins += 1;
        let image = Image {
            applied: self.applied,
            revision: self.revision,
            compact_revision: self.compact_revision,
            leases: self.leases().map(|(id, ttl)| ImageLease { id, ttl }).collect(),
            alarms: self.alarms().collect(),
            anchors: self.anchors.iter().cloned().collect(),
            // There is no change at a revision below 1, and 0 says that nothing is kept.
            kept_from: self.kept_from.max(1),
        };
        (image, ImageCursor { revision: self.revision, after: None, done: false })
    }

    /// As [`State::begin_image`], of the keys as they were at an earlier revision.
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet.
    pub fn begin_image_at(&mut self, revision: i64) -> Result<ImageCursor, EtcdError> {
        let revision = self.readable(revision, self.revision)?;
        self.pins += 1;
        Ok(ImageCursor { revision, after: None, done: false })
    }

    /// The records of the next `max` keys, all versions of a key together; `None` at the end.
    pub fn image_records(&self, cursor: &mut ImageCursor, max: usize) -> Option<Vec<Arc<Record>>> {
        if cursor.done {
            return None;
        }
        let start = cursor.after.as_ref().map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_ref()));
        let mut records = Vec::with_capacity(max);
        let mut last = None;
        let mut keys = 0;
        for (key, history) in self.keys.range::<[u8], _>((start, Bound::Unbounded)).take(max) {
            records.extend(history.versions().take_while(|r| r.mod_revision <= cursor.revision).cloned());
            last = Some(key.clone());
            keys += 1;
        }
        cursor.done = keys < max;
        cursor.after = last;
        Some(records)
    }

    /// Ends an image that was begun.
    pub fn end_image(&mut self) {
        self.pins = self.pins.saturating_sub(1);
    }

    /// Makes a state from an image and its records, given in the order in which [`State::image_records`] gave them.
    ///
    /// # Errors
    /// The records are not in that order or do not fit the image.
    pub fn restore(image: &Image, records: impl IntoIterator<Item = Record>) -> Result<Self, RestoreError> {
        let mut state = Self {
            revision: image.revision,
            compact_revision: image.compact_revision,
            applied: image.applied,
            alarms: image.alarms.iter().map(|alarm| (alarm.member_id, alarm.alarm)).collect(),
            anchors: image.anchors.iter().cloned().collect(),
            leases: image
                .leases
                .iter()
                .map(|l| (l.id, Lease { ttl: l.ttl, keys: BTreeSet::new() }))
                .collect(),
            ..Self::default()
        };
        let kept_from = image.complete_from();
        let mut log = Vec::new();
        let mut open: Option<(Bytes, History)> = None;
        let mut keys = Vec::new();
        for mut record in records {
            if record.mod_revision > image.revision {
                return Err(RestoreError("a record is younger than the image"));
            }
            state.weight += record.weight();
            let record = match &mut open {
                Some((key, history)) if *key == record.key => {
                    record.key = key.clone();
                    if history.latest().order() >= record.order() {
                        return Err(RestoreError("the versions of a key are out of order"));
                    }
                    let record = Arc::new(record);
                    history.push(record.clone());
                    record
                }
                _ => {
                    if open.as_ref().is_some_and(|(key, _)| *key > record.key) {
                        return Err(RestoreError("keys are out of order"));
                    }
                    let record = Arc::new(record);
                    let finished = open.replace((record.key.clone(), History::new(record.clone())));
                    keys.extend(finished.and_then(|finished| state.scrubbed(finished, kept_from)));
                    record
                }
            };
            if record.mod_revision >= kept_from {
                log.push(record);
            }
        }
        keys.extend(open.and_then(|last| state.scrubbed(last, kept_from)));
        log.sort_unstable_by_key(|record: &Shared| record.order());
        state.attach_leases(&keys);
        state.keys = keys.into_iter().collect();
        state.log = log.into();
        (state.scrubbed_revision, state.kept_from) = (kept_from, kept_from);
        Ok(state)
    }

    fn attach_leases(&mut self, keys: &[(Bytes, History)]) {
        for (key, history) in keys {
            let Some(record) = history.live().filter(|record| record.lease != 0) else { continue };
            if let Some(lease) = self.leases.get_mut(&record.lease) {
                lease.keys.insert(key.clone());
            }
        }
    }

    /// An image taken while history was being removed holds leftovers.
    fn scrubbed(&mut self, (key, mut history): (Bytes, History), until: i64) -> Option<(Bytes, History)> {
        let outcome = history.compact(until);
        self.weight = self.weight.saturating_sub(outcome.freed);
        (!outcome.gone).then_some((key, history))
    }
}
