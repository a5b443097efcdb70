//! History that is compacted and stays in memory until a copy elsewhere has it.

use super::State;

/// Up to where a copy has all changes, and what is kept because of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    /// Changes after this revision are in no copy.
    after: i64,
    /// The last change that is weighed: revision and place in it.
    weighed: (i64, u32),
    /// Bytes that would be removed if they were not kept.
    bytes: u64,
}

impl State {
    /// From now on changes after `copied`, which a copy elsewhere does not have, are not removed though they are compacted. What
    /// readers see does not change.
    pub fn hold_after(&mut self, copied: i64) {
        // What is gone, or on its way, is not kept any more.
        let after = copied.max(self.kept_from.saturating_sub(1));
        self.hold = Some(Hold { after, weighed: (after, u32::MAX), bytes: 0 });
    }

    /// The revision from which on every change is here, compacted or not.
    pub fn kept_from(&self) -> i64 {
        self.kept_from
    }

    /// Up to where history may be removed, exclusive.
    pub(super) fn removable(&self) -> i64 {
        self.hold
            .map_or(self.compact_revision, |hold| self.compact_revision.min(hold.after.saturating_add(1)))
    }

    /// Bytes of compacted history that is kept for a copy, as far as they are weighed.
    pub fn held_bytes(&self) -> u64 {
        self.hold.map_or(0, |hold| hold.bytes)
    }

    /// Whether [`State::weigh_held`] has something to do.
    pub fn has_unweighed(&self) -> bool {
        let Some(hold) = self.hold else { return false };
        let next = self.log.partition_point(|record| record.order() <= hold.weighed);
        self.log.get(next).is_some_and(|record| record.mod_revision <= self.compact_revision)
    }

    /// Weighs up to `max` more compacted changes. A change counts what it took the place of, and itself only when it deleted:
    /// the versions that exist at the compact revision would stay in any case.
    pub fn weigh_held(&mut self, max: usize) {
        let Some(mut hold) = self.hold else { return };
        let next = self.log.partition_point(|record| record.order() <= hold.weighed);
        let compacted = |record: &&super::record::Shared| record.mod_revision <= self.compact_revision;
        for record in self.log.range(next..).take(max).take_while(compacted) {
            hold.weighed = record.order();
            let replaced = self.keys.get(&record.key).and_then(|history| history.before(record.order()));
            // What the first change after the copy replaced is gone: that is as far as history may be removed.
            let first = hold.after.saturating_add(1);
            let replaced = replaced
                .filter(|replaced| record.mod_revision > first || replaced.mod_revision > hold.after)
                // A deletion that was replaced has been counted by itself.
                .filter(|replaced| !replaced.is_tombstone());
            hold.bytes += replaced.map_or(0, |replaced| replaced.weight());
            hold.bytes += if record.is_tombstone() { record.weight() } else { 0 };
        }
        self.hold = Some(hold);
    }
}
