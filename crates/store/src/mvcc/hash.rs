use std::sync::Arc;

use ring::digest::{Context, SHA256};

use super::{Record, State};
use crate::EtcdError;

/// A hash over everything that can be read up to a revision: equal for equal histories, whatever was done to store
/// them.
pub struct HistoryHash {
    context: Context,
    /// Where history begins.
    pub compact_revision: i64,
    /// Up to where it is hashed.
    pub revision: i64,
}

impl HistoryHash {
    /// Takes in all versions of some keys, in order, as [`State::image_records`] gives them.
    pub fn update(&mut self, records: &[Arc<Record>]) {
        for versions in records.chunk_by(|a, b| a.key == b.key) {
            // Below the compact revision only the version that is still readable counts, removed or not.
            let base = versions.iter().rfind(|record| record.mod_revision <= self.compact_revision);
            let base = base.filter(|record| !record.is_tombstone()).map(|record| record.order());
            for record in versions {
                let readable = record.mod_revision > self.compact_revision || base == Some(record.order());
                if readable && record.mod_revision <= self.revision {
                    self.record(record);
                }
            }
        }
    }

    /// The first 32 bits of the hash, which is what etcd's API has room for.
    pub fn finish(self) -> u32 {
        let digest = self.context.finish();
        digest.as_ref().iter().take(4).fold(0, |hash, byte| hash << 8 | u32::from(*byte))
    }

    fn record(&mut self, record: &Record) {
        let lengths = [record.key.len() as u64, record.value.len() as u64];
        let numbers = [record.create_revision, record.mod_revision, record.version, record.lease];
        lengths.iter().for_each(|length| self.context.update(&length.to_le_bytes()));
        numbers.iter().for_each(|number| self.context.update(&number.to_le_bytes()));
        self.context.update(&record.sub.to_le_bytes());
        self.context.update(&record.key);
        self.context.update(&record.value);
    }
}

impl State {
    /// Begins a hash up to `revision` (0: now).
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet.
    pub fn begin_hash(&self, revision: i64) -> Result<HistoryHash, EtcdError> {
        let revision = self.readable(revision, self.revision)?;
        Ok(HistoryHash { context: Context::new(&SHA256), compact_revision: self.compact_revision, revision })
    }
}
