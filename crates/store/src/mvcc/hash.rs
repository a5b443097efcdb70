use super::State;
use crate::EtcdError;

impl State {
    /// A hash of everything readable up to `revision` (0: now): equal for equal histories, whatever was done to
    /// store them. Returned with the compact and the hashed revision.
    ///
    /// # Errors
    /// The revision is compacted or does not exist yet.
    pub fn hash_kv(&self, revision: i64) -> Result<(u32, i64, i64), EtcdError> {
        let revision = self.readable(revision, self.revision)?;
        let mut context = ring::digest::Context::new(&ring::digest::SHA256);
        for history in self.keys.values() {
            // Below the compact revision only the version that is still readable counts, removed or not.
            let base = history.at(self.compact_revision).map(|record| record.order());
            for record in history.versions() {
                let readable = record.mod_revision > self.compact_revision || base == Some(record.order());
                if !readable || record.mod_revision > revision {
                    continue;
                }
                for number in [
                    record.key.len() as i64,
                    record.value.len() as i64,
                    record.create_revision,
                    record.mod_revision,
                    i64::from(record.sub),
                    record.version,
                    record.lease,
                ] {
                    context.update(&number.to_le_bytes());
                }
                context.update(&record.key);
                context.update(&record.value);
            }
        }
        let digest = context.finish();
        let hash = digest.as_ref().iter().take(4).fold(0u32, |hash, byte| hash << 8 | u32::from(*byte));
        Ok((hash, self.compact_revision, revision))
    }
}
