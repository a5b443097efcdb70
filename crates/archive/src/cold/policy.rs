use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::Entry;

/// When a chain ends and a new base begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasePolicy {
    /// Snapshots in a chain, the base counted. A recovery reads them all.
    pub max_chain: usize,
    /// A new base when the changes of a chain have more bytes than this share of its base, in percent.
    pub max_changes_percent: u64,
}

impl Default for BasePolicy {
    fn default() -> Self {
        Self { max_chain: 64, max_changes_percent: 100 }
    }
}

/// What the next snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Everything.
    Base,
    /// What changed since this snapshot.
    After(&'a Entry),
}

impl BasePolicy {
    /// What follows `newest` as long as the store still has the changes.
    #[must_use]
    pub fn next<'a>(&self, newest: Option<&'a Entry>) -> Next<'a> {
        let Some(newest) = newest else { return Next::Base };
        let Some((base, changes)) = newest.chain.split_first() else {
            return if self.max_chain > 1 { Next::After(newest) } else { Next::Base };
        };
        let bytes: u64 = changes.iter().map(|link| link.bytes).sum::<u64>() + newest.link.bytes;
        let room = newest.chain.len() + 1 < self.max_chain;
        if room && bytes * 100 <= base.bytes.saturating_mul(self.max_changes_percent) {
            Next::After(newest)
        } else {
            Next::Base
        }
    }
}

/// Which snapshots are kept; each rule keeps what it names, and everything that those need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeepPolicy {
    /// The newest ones.
    pub last: usize,
    /// The newest of each of so many days, and of so many weeks.
    pub daily: usize,
    /// See `daily`.
    pub weekly: usize,
    /// None that is older than so many days, whatever the other rules say, but for the newest; 0 for no such rule.
    pub max_age_days: u64,
}

impl Default for KeepPolicy {
    fn default() -> Self {
        Self { last: 48, daily: 14, weekly: 8, max_age_days: 0 }
    }
}

const DAY_MS: u64 = 86_400_000;

impl KeepPolicy {
    /// The snapshots that may go, as indexes into `entries`, which are in order of time.
    #[must_use]
    pub fn prune(&self, entries: &[Entry], now_ms: u64) -> Vec<usize> {
        let mut kept = HashSet::new();
        let count = entries.len();
        kept.extend(count.saturating_sub(self.last.max(1))..count);
        keep_periods(&mut kept, entries, self.daily, DAY_MS);
        keep_periods(&mut kept, entries, self.weekly, 7 * DAY_MS);
        if self.max_age_days > 0 {
            let oldest = now_ms.saturating_sub(self.max_age_days.saturating_mul(DAY_MS));
            kept.retain(|&i| i + 1 == count || entries[i].link.created_ms >= oldest);
        }
        let needed: HashSet<&str> = kept
            .iter()
            .flat_map(|&i| entries[i].chain.iter().chain([&entries[i].link]))
            .map(|link| link.last.name.as_str())
            .collect();
        (0..count).filter(|&i| !needed.contains(entries[i].link.last.name.as_str())).collect()
    }
}

/// Keeps the newest snapshot of each of the newest `periods` that have any.
fn keep_periods(kept: &mut HashSet<usize>, entries: &[Entry], periods: usize, period_ms: u64) {
    let mut seen = HashSet::new();
    for (i, entry) in entries.iter().enumerate().rev() {
        if seen.len() < periods && seen.insert(entry.link.created_ms / period_ms) {
            kept.insert(i);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cold::{Link, Piece};

    fn link(name: usize, revision: i64, bytes: u64, created_ms: u64) -> Link {
        let last = Piece { name: name.to_string(), sha256: vec![0; 32], bytes };
        Link { last, since: 0, revision, bytes, created_ms }
    }

    /// Snapshots at these times; `true` begins a new chain.
    fn entries(plan: &[(bool, u64)]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut now = 0;
        for (i, &(base, pause)) in plan.iter().enumerate() {
            now += pause;
            let chain = match entries.last() {
                Some(before) if !base => before.chain.iter().chain([&before.link]).cloned().collect(),
                _ => Vec::new(),
            };
            entries.push(Entry {
                link: link(i, i as i64, 100, now),
                chain,
                pieces: Vec::new(),
                renewed_ms: 0,
            });
        }
        entries
    }

    #[test]
    fn a_chain_ends_when_it_is_long_or_its_changes_are_many() {
        let policy = BasePolicy { max_chain: 4, max_changes_percent: 250 };
        assert_eq!(policy.next(None), Next::Base);
        let all = entries(&[(true, 1), (false, 1), (false, 1), (false, 1)]);
        assert!(all[..3].iter().all(|newest| policy.next(Some(newest)) == Next::After(newest)));
        assert_eq!(policy.next(Some(&all[3])), Next::Base, "four are the most");
        let policy = BasePolicy { max_chain: 9, max_changes_percent: 150 };
        assert_eq!(policy.next(Some(&all[1])), Next::After(&all[1]));
        assert_eq!(policy.next(Some(&all[2])), Next::Base, "200 bytes of changes on 100");
    }

    #[test]
    fn days_and_weeks_keep_their_newest() {
        let hours: Vec<(bool, u64)> = (0..24 * 30).map(|_| (true, DAY_MS / 24)).collect();
        let entries = entries(&hours);
        let policy = KeepPolicy { last: 3, daily: 5, weekly: 2, max_age_days: 0 };
        let gone: HashSet<usize> = policy.prune(&entries, 0).into_iter().collect();
        let kept: Vec<usize> = (0..entries.len()).filter(|i| !gone.contains(i)).collect();
        // The newest is the first of its day; the week before ended with hour 671, which is a day kept anyhow.
        assert_eq!(kept, [646, 670, 694, 717, 718, 719]);
        let week = KeepPolicy { last: 1, daily: 100, weekly: 0, max_age_days: 3 };
        assert_eq!(entries.len() - week.prune(&entries, 30 * DAY_MS).len(), 4);
    }

    proptest! {
        #[test]
        fn the_newest_stays_and_nothing_that_is_needed_goes(
            plan in proptest::collection::vec((any::<bool>(), 0..3 * DAY_MS), 0..60),
            last in 0..5_usize, daily in 0..5_usize, weekly in 0..3_usize, max_age_days in 0..20_u64,
        ) {
            let entries = entries(&plan);
            let policy = KeepPolicy { last, daily, weekly, max_age_days };
            let gone: HashSet<usize> = policy.prune(&entries, 40 * DAY_MS).into_iter().collect();
            prop_assert!(entries.is_empty() || !gone.contains(&(entries.len() - 1)));
            for (i, entry) in entries.iter().enumerate().filter(|(i, _)| !gone.contains(i)) {
                for link in &entry.chain {
                    prop_assert!(!gone.contains(&(link.revision as usize)), "{i} needs {}", link.revision);
                }
            }
        }
    }
}
