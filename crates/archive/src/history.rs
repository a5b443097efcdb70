//! One key's past, put together from what memory and snapshots have, with what is missing.

use std::collections::BTreeMap;

use store::KeyHistory;
use store::mvcc::Record;

use crate::cold::Held;

/// One version of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The version; a tombstone for a deletion.
    pub record: Record,
    /// The snapshot that it was read from; `None` for the running store or its files.
    pub snapshot: Option<String>,
}

/// Revisions of which nobody can say what happened to the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The first.
    pub from: i64,
    /// The last; `None` for whatever came after `from`.
    pub to: Option<i64>,
    /// Why.
    pub why: String,
}

/// The key's past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Oldest first.
    pub versions: Vec<Found>,
    /// In order.
    pub missing: Vec<Missing>,
    /// Whether the limit left older versions out.
    pub truncated: bool,
}

/// Two places have different versions of the same revision.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "revision {revision} is not the same in {one} and in {other}: they are of different histories, or one was changed"
)]
pub struct Disagree {
    /// The revision.
    pub revision: i64,
    /// Where one version was read.
    pub one: String,
    /// Where the other was.
    pub other: String,
}

const HOT: &str = "the store";

impl Past {
    /// Puts together what was found between two revisions (`until`: `None` for now). `hot` is what the store has, or why it could not
    /// be asked; it is not truncated, unless all that is asked for is in it.
    ///
    /// # Errors
    /// What was found does not fit together.
    pub fn of(
        hot: &Result<KeyHistory, String>,
        cold: Held,
        from: i64,
        until: Option<i64>,
        limit: Option<usize>,
    ) -> Result<Self, Disagree> {
        let from = from.max(1);
        let wanted = |revision: i64| from <= revision && until.is_none_or(|until| revision <= until);
        let mut versions = BTreeMap::<(i64, u32), Found>::new();
        let hot_versions = hot.iter().flat_map(|hot| &hot.versions).map(|record| (record.clone(), None));
        let cold_versions = cold.versions.into_iter().map(|(record, name)| (record, Some(name)));
        for (record, snapshot) in hot_versions.chain(cold_versions).filter(|(r, _)| wanted(r.mod_revision)) {
            let place = (record.mod_revision, record.sub);
            let known = versions
                .entry(place)
                .or_insert_with(|| Found { record: record.clone(), snapshot: snapshot.clone() });
            if known.record != record {
                let name = |snapshot: &Option<String>| {
                    snapshot.as_ref().map_or(HOT.to_owned(), |name| format!("snapshot {name}"))
                };
                let (one, other) = (name(&known.snapshot), name(&snapshot));
                return Err(Disagree { revision: record.mod_revision, one, other });
            }
        }
        let mut known: Vec<(i64, i64)> = cold.read.iter().map(|kept| (kept.from, kept.to)).collect();
        if let Ok(hot) = hot {
            known.push((hot.complete_from, hot.revision));
        }
        let end = match (hot, until) {
            (Ok(hot), until) => Some(until.unwrap_or(i64::MAX).min(hot.revision)),
            (Err(_), until) => until,
        };
        let unread: Vec<(i64, i64, String)> = cold
            .unread
            .iter()
            .map(|unread| {
                let why = format!("snapshot {} cannot be read: {}", unread.kept.name, unread.why);
                (unread.kept.from, unread.kept.to, why)
            })
            .collect();
        let missing = missing(known, from, end, &unread, hot.as_ref().err());
        let mut past = Self { versions: versions.into_values().collect(), missing, truncated: false };
        past.cut(limit, hot.as_ref().is_ok_and(|hot| hot.truncated));
        Ok(past)
    }

    /// Leaves the newest `limit`, and what is said to be missing among those.
    fn cut(&mut self, limit: Option<usize>, truncated: bool) {
        let surplus = limit.map_or(0, |limit| self.versions.len().saturating_sub(limit));
        self.truncated = truncated || surplus > 0;
        self.versions.drain(..surplus);
        let Some(oldest) = self.versions.first().filter(|_| self.truncated) else { return };
        let oldest = oldest.record.mod_revision;
        self.missing.retain(|missing| missing.to.is_none_or(|to| to >= oldest));
    }
}

/// What is not known, in pieces with one reason each.
fn missing(
    mut known: Vec<(i64, i64)>,
    from: i64,
    end: Option<i64>,
    unread: &[(i64, i64, String)],
    no_hot: Option<&String>,
) -> Vec<Missing> {
    known.sort_unstable();
    let (mut next, mut holes) = (from, Vec::new());
    for (first, last) in known {
        if first > next {
            holes.push((next, Some(end.map_or(first - 1, |end| end.min(first - 1)))));
        }
        next = next.max(last.saturating_add(1));
    }
    let newest = next;
    if end.is_none_or(|end| next <= end) {
        holes.push((next, end));
    }
    let mut missing = Vec::new();
    for (first, last) in holes {
        // An open end, or none: what is after the newest snapshot is the store's to know.
        let beyond = |at: i64| no_hot.filter(|_| at >= newest);
        let mut at = first;
        while last.is_none_or(|last| at <= last) {
            let reason = unread.iter().find(|(from, to, _)| *from <= at && at <= *to);
            let (to, why) = match (reason, beyond(at)) {
                (Some((_, to, why)), _) => (Some(last.map_or(*to, |last| last.min(*to))), why.clone()),
                (None, beyond) => {
                    let next = unread.iter().map(|(from, _, _)| *from).filter(|from| *from > at).min();
                    let before = next.map(|next| next - 1);
                    let to = match (before, last) {
                        (Some(before), Some(last)) => Some(before.min(last)),
                        (before, last) => before.or(last),
                    };
                    let gone = "compacted, and in no snapshot that is kept".to_owned();
                    (to, beyond.cloned().unwrap_or(gone))
                }
            };
            missing.push(Missing { from: at, to, why });
            let Some(to) = to else { break };
            at = to.saturating_add(1);
        }
    }
    missing.retain(|missing| missing.to.is_none_or(|to| missing.from <= to));
    missing
}
