use super::record::Shared;

/// All retained versions of one key; never empty.
#[derive(Debug)]
pub(crate) struct History {
    latest: Shared,
    /// Ascending by revision, all older than `latest`. Empty for most keys, and then costs no allocation.
    older: Vec<Shared>,
}

impl History {
    pub(crate) fn new(first: Shared) -> Self {
        Self { latest: first, older: Vec::new() }
    }

    pub(crate) fn push(&mut self, record: Shared) {
        let previous = std::mem::replace(&mut self.latest, record);
        self.older.push(previous);
    }

    /// The newest version, tombstone or not.
    pub(crate) fn latest(&self) -> &Shared {
        &self.latest
    }

    /// The newest version, unless the key is gone.
    pub(crate) fn live(&self) -> Option<&Shared> {
        (!self.latest.is_tombstone()).then_some(&self.latest)
    }

    /// The version that was live at `revision`.
    pub(crate) fn at(&self, revision: i64) -> Option<&Shared> {
        self.newest_until(revision).filter(|record| !record.is_tombstone())
    }

    /// The newest version not younger than `revision`, tombstone or not.
    pub(crate) fn newest_until(&self, revision: i64) -> Option<&Shared> {
        if self.latest.mod_revision <= revision {
            return Some(&self.latest);
        }
        let end = self.older.partition_point(|record| record.mod_revision <= revision);
        self.older[..end].last()
    }

    /// The version before the one at `order`, a place in the revision log.
    pub(crate) fn before(&self, order: (i64, u32)) -> Option<&Shared> {
        let end = self.older.partition_point(|record| record.order() < order);
        self.older[..end].last()
    }

    /// All versions, oldest first.
    pub(crate) fn versions(&self) -> impl DoubleEndedIterator<Item = &Shared> {
        self.older.iter().chain(std::iter::once(&self.latest))
    }

    /// Drops what nobody can read once `revision` is compacted; tells how much weight went, and whether
    /// the whole key can go. Changes *at* `revision` stay, deletions too: a watch may start there.
    pub(crate) fn compact(&mut self, revision: i64) -> Compacted {
        let mut freed = 0;
        let Some(base) = self.newest_until(revision) else {
            return Compacted { freed, gone: false };
        };
        let (base, drop_base) = (base.order(), base.is_tombstone() && base.mod_revision < revision);
        let first_kept = self.older.partition_point(|record| {
            record.mod_revision < revision && (record.order() < base || drop_base && record.order() == base)
        });
        for record in self.older.drain(..first_kept) {
            freed += record.weight();
        }
        if self.older.is_empty() {
            self.older.shrink_to_fit();
        }
        let gone = drop_base && self.latest.order() == base;
        if gone {
            freed += self.latest.weight();
        }
        Compacted { freed, gone }
    }
}

/// Outcome of [`History::compact`].
pub(crate) struct Compacted {
    pub(crate) freed: u64,
    pub(crate) gone: bool,
}
