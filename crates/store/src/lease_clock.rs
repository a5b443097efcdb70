use std::collections::{BTreeSet, HashMap};

use crate::EtcdError;
use crate::mvcc::Reply;

/// When leases expire. Sans-IO: every call brings the time, in milliseconds of any clock that only moves on.
///
/// Kept apart from the state machine, which must not know the time: an expired lease leaves the state through a
/// logged revocation. After a restart every lease gets its full time again, so none ends early.
#[derive(Debug, Default)]
pub struct LeaseClock {
    deadlines: HashMap<i64, Deadline>,
    /// What was not told yet, as (time, lease).
    queue: BTreeSet<(u64, i64)>,
}

#[derive(Clone, Copy, Debug)]
struct Deadline {
    at: u64,
    ttl: i64,
    /// Its time was up; `at` says when that is told again.
    over: bool,
}

impl LeaseClock {
    /// Starts the time of all leases of a state, as (id, seconds): after a restart nobody knows how much of it had passed.
    pub fn start(leases: impl Iterator<Item = (i64, i64)>, now: u64) -> Self {
        let mut clock = Self::default();
        leases.for_each(|(id, ttl)| clock.begin(id, ttl, now));
        clock
    }

    /// Takes note of what became of a command; `revoked` is the lease that it was to end, if that was its purpose.
    pub fn applied(&mut self, answer: &Result<Reply, EtcdError>, revoked: Option<i64>, now: u64) {
        match (answer, revoked) {
            (Ok(Reply::LeaseGrant(granted)), _) => self.begin(granted.id, granted.ttl, now),
            (Ok(Reply::LeaseRevoke(_)) | Err(EtcdError::LeaseNotFound), Some(id)) => {
                self.forget(id);
            }
            _ => {}
        }
    }

    /// Starts a lease's time again and returns its seconds; `None` when it is unknown or its time was up.
    pub fn renew(&mut self, id: i64, now: u64) -> Option<i64> {
        let ttl = self.deadlines.get(&id).filter(|deadline| !deadline.over && deadline.at > now)?.ttl;
        self.begin(id, ttl, now);
        Some(ttl)
    }

    /// Whole seconds that a lease still has.
    pub fn remaining(&self, id: i64, now: u64) -> Option<i64> {
        let deadline = self.deadlines.get(&id)?;
        let left = if deadline.over { 0 } else { deadline.at.saturating_sub(now) };
        Some(i64::try_from(left / 1000).unwrap_or(i64::MAX))
    }

    /// A lease whose time is up could not be ended: it is told once more in a second, and not renewed until then.
    pub fn retry(&mut self, id: i64, now: u64) {
        if let Some(deadline) = self.deadlines.get(&id).copied() {
            self.set(id, Deadline { at: now.saturating_add(1000), over: true, ..deadline });
        }
    }

    /// Leases whose time is up, each told once.
    pub fn expired(&mut self, now: u64) -> Vec<i64> {
        let mut expired = Vec::new();
        while let Some((_, id)) = self.queue.first().copied().filter(|(at, _)| *at <= now) {
            self.queue.pop_first();
            expired.push(id);
        }
        expired
    }

    fn begin(&mut self, id: i64, ttl: i64, now: u64) {
        let at = now.saturating_add(u64::try_from(ttl).unwrap_or(0).saturating_mul(1000));
        self.set(id, Deadline { at, ttl, over: false });
    }

    fn set(&mut self, id: i64, deadline: Deadline) {
        self.forget(id);
        self.deadlines.insert(id, deadline);
        self.queue.insert((deadline.at, id));
    }

    fn forget(&mut self, id: i64) {
        if let Some(deadline) = self.deadlines.remove(&id) {
            self.queue.remove(&(deadline.at, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_expires_once_at_its_time_and_not_before() {
        let mut clock = LeaseClock::default();
        clock.begin(7, 2, 1_000);
        assert_eq!(clock.expired(2_999), Vec::<i64>::new());
        assert_eq!(clock.remaining(7, 1_500), Some(1));
        assert_eq!(clock.expired(3_000), vec![7]);
        assert_eq!(clock.expired(9_000), Vec::<i64>::new());
        assert_eq!(clock.renew(7, 3_000), None, "a lease whose time was up does not come back");
    }

    #[test]
    fn renewal_moves_the_deadline() {
        let mut clock = LeaseClock::default();
        clock.begin(7, 10, 0);
        for now in (0..1_000_000).step_by(500) {
            assert_eq!(clock.renew(7, now), Some(10));
            assert_eq!(clock.expired(now), Vec::<i64>::new());
        }
        assert_eq!(clock.queue.len(), 1, "one lease, one entry");
        clock.applied(&Err(EtcdError::LeaseNotFound), Some(7), 0);
        assert_eq!(clock.expired(u64::MAX), Vec::<i64>::new());
    }
}
