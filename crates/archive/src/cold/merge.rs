use std::collections::BTreeMap;
use std::collections::btree_map::IntoIter;
use std::iter::Peekable;

use bytes::Bytes;
use store::mvcc::Record;

use super::ColdError;

/// Changes by key, each key's in order.
pub(super) type Changes = BTreeMap<Bytes, Vec<Record>>;

/// A base, in order of keys, with the changes after it put behind each key's own versions.
pub(super) struct Merge<I: Iterator<Item = Result<Record, ColdError>>> {
    base: Peekable<I>,
    changes: Peekable<IntoIter<Bytes, Vec<Record>>>,
    /// The key of the base that is being given out.
    key: Option<Bytes>,
    pending: std::vec::IntoIter<Record>,
}

impl<I: Iterator<Item = Result<Record, ColdError>>> Merge<I> {
    pub(super) fn new(base: I, changes: Changes) -> Self {
        Self {
            base: base.peekable(),
            changes: changes.into_iter().peekable(),
            key: None,
            pending: Vec::new().into_iter(),
        }
    }
}

impl<I: Iterator<Item = Result<Record, ColdError>>> Iterator for Merge<I> {
    type Item = Result<Record, ColdError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.pending.next() {
                return Some(Ok(record));
            }
            let next_of_base = match self.base.peek() {
                Some(Err(_)) => return self.base.next(),
                Some(Ok(record)) => Some(&record.key),
                None => None,
            };
            // More versions of the same key come first.
            if next_of_base.is_some() && next_of_base == self.key.as_ref() {
                return self.base.next();
            }
            let changed = self.changes.peek().map(|(key, _)| key);
            match (next_of_base, changed) {
                (None, None) => return None,
                (Some(key), changed) if changed.is_none_or(|changed| key <= changed) => {
                    self.key = Some(key.clone());
                    return self.base.next();
                }
                _ => self.pending = self.changes.next()?.1.into_iter(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(key: u8, revision: i64) -> Record {
        Record {
            key: vec![key].into(),
            value: Bytes::new(),
            create_revision: 1,
            mod_revision: revision,
            sub: 0,
            version: 1,
            lease: 0,
        }
    }

    proptest! {
        #[test]
        fn keys_and_versions_stay_in_order(
            base in proptest::collection::btree_set((0..8_u8, 0..20_i64), 0..30),
            changes in proptest::collection::btree_set((0..8_u8, 20..40_i64), 0..30),
        ) {
            let mut by_key = Changes::new();
            for &(key, revision) in &changes {
                by_key.entry(vec![key].into()).or_default().push(record(key, revision));
            }
            let merged = Merge::new(base.iter().map(|&(key, revision)| Ok(record(key, revision))), by_key);
            let merged: Vec<(u8, i64)> = merged.map(|r| r.map(|r| (r.key[0], r.mod_revision)).unwrap()).collect();
            let expected: Vec<(u8, i64)> = base.union(&changes).copied().collect();
            prop_assert_eq!(merged, expected);
        }
    }
}
