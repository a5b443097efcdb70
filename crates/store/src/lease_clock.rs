use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// When leases expire. Sans-IO: every call brings the time, in milliseconds of any clock that only moves on.
///
/// Kept apart from the state machine, which must not know the time: an expired lease leaves the state through a
/// logged revocation. After a restart every lease gets its full time again, so none ends early.
#[derive(Debug, Default)]
pub(crate) struct LeaseClock {
    deadlines: HashMap<i64, Deadline>,
    /// May hold outdated entries; `deadlines` decides.
    queue: BinaryHeap<Reverse<(u64, i64)>>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: u64,
    ttl: i64,
}

impl LeaseClock {
    /// A lease begins.
    pub(crate) fn grant(&mut self, id: i64, ttl: i64, now: u64) {
        let at = now.saturating_add(u64::try_from(ttl).unwrap_or(0).saturating_mul(1000));
        self.deadlines.insert(id, Deadline { at, ttl });
        self.queue.push(Reverse((at, id)));
    }

    /// A lease is gone.
    pub(crate) fn forget(&mut self, id: i64) {
        self.deadlines.remove(&id);
    }

    /// Starts a lease's time again and returns its seconds; `None` when it is unknown or its time was up.
    pub(crate) fn renew(&mut self, id: i64, now: u64) -> Option<i64> {
        let ttl = self.deadlines.get(&id).filter(|deadline| deadline.at > now)?.ttl;
        self.grant(id, ttl, now);
        Some(ttl)
    }

    /// Whole seconds that a lease still has.
    pub(crate) fn remaining(&self, id: i64, now: u64) -> Option<i64> {
        let left = self.deadlines.get(&id)?.at.saturating_sub(now);
        Some(i64::try_from(left / 1000).unwrap_or(i64::MAX))
    }

    /// Leases whose time is up, each told once.
    pub(crate) fn expired(&mut self, now: u64) -> Vec<i64> {
        let mut expired = Vec::new();
        while let Some(&Reverse((at, id))) = self.queue.peek() {
            if at > now {
                break;
            }
            self.queue.pop();
            if self.deadlines.get(&id).is_some_and(|deadline| deadline.at == at) {
                expired.push(id);
            }
        }
        self.compact_queue();
        expired
    }

    /// Renewals leave old entries behind; they may not outnumber the leases for ever.
    fn compact_queue(&mut self) {
        if self.queue.len() > 64 + 8 * self.deadlines.len() {
            self.queue = self.deadlines.iter().map(|(id, deadline)| Reverse((deadline.at, *id))).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_expires_once_at_its_time_and_not_before() {
        let mut clock = LeaseClock::default();
        clock.grant(7, 2, 1_000);
        assert_eq!(clock.expired(2_999), Vec::<i64>::new());
        assert_eq!(clock.remaining(7, 1_500), Some(1));
        assert_eq!(clock.expired(3_000), vec![7]);
        assert_eq!(clock.expired(9_000), Vec::<i64>::new());
        assert_eq!(clock.renew(7, 3_000), None, "a lease whose time was up does not come back");
    }

    #[test]
    fn renewal_moves_the_deadline_and_the_queue_stays_bounded() {
        let mut clock = LeaseClock::default();
        clock.grant(7, 10, 0);
        for now in (0..1_000_000).step_by(500) {
            assert_eq!(clock.renew(7, now), Some(10));
            assert_eq!(clock.expired(now), Vec::<i64>::new());
        }
        assert!(clock.queue.len() < 100, "{} entries for one lease", clock.queue.len());
        clock.forget(7);
        assert_eq!(clock.expired(u64::MAX), Vec::<i64>::new());
    }
}
