use std::collections::{BTreeMap, BTreeSet};

/// Decides which checkpoints to fetch and which to deliver, so that every one is delivered exactly once
/// and in order whatever the stream drops, repeats or swaps. No IO and no clock.
///
/// The shell tells it what arrived ([`Tracker::arrived`]), what it learned about the chain's height
/// ([`Tracker::height`]) and which fetches failed; it asks what to fetch ([`Tracker::fetch`]) and what to
/// deliver ([`Tracker::deliver`]).
#[derive(Debug)]
pub(crate) struct Tracker<T> {
    /// The next checkpoint to deliver.
    next: u64,
    /// The highest checkpoint known to exist, when any is.
    height: Option<u64>,
    /// Arrived and not yet delivered; all of them in `next .. next + window`.
    ready: BTreeMap<u64, T>,
    fetching: BTreeSet<u64>,
    window: u64,
}

impl<T> Tracker<T> {
    /// Starts at checkpoint `next`, holding at most `window` checkpoints out of order.
    pub(crate) fn new(next: u64, window: u64) -> Tracker<T> {
        Tracker {
            next,
            height: None,
            ready: BTreeMap::new(),
            fetching: BTreeSet::new(),
            window: window.max(1),
        }
    }

    /// The next checkpoint to deliver.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The chain has at least this checkpoint.
    pub(crate) fn height(&mut self, sequence: u64) {
        self.height = self.height.max(Some(sequence));
    }

    /// A fetch brought its checkpoint.
    pub(crate) fn fetched(&mut self, sequence: u64, checkpoint: T) {
        self.fetching.remove(&sequence);
        self.arrived(sequence, checkpoint);
    }

    /// The stream brought a checkpoint. What is old, repeated or too far ahead is dropped; the latter is
    /// fetched when its turn comes.
    pub(crate) fn arrived(&mut self, sequence: u64, checkpoint: T) {
        self.height(sequence);
        if sequence >= self.next && sequence - self.next < self.window {
            self.ready.entry(sequence).or_insert(checkpoint);
        }
    }

    /// A fetch came to nothing; it will be asked for again.
    pub(crate) fn fetch_failed(&mut self, sequence: u64) {
        self.fetching.remove(&sequence);
    }

    /// The connection is gone and with it every fetch.
    pub(crate) fn disconnected(&mut self) {
        self.fetching.clear();
    }

    /// Checkpoints to fetch now, so that at most `limit` fetches are under way.
    pub(crate) fn fetch(&mut self, limit: usize) -> Vec<u64> {
        let Some(height) = self.height else {
            return Vec::new();
        };
        let end = height.min(self.next.saturating_add(self.window - 1));
        let mut wanted = Vec::new();
        for sequence in self.next..=end {
            if self.fetching.len() >= limit {
                break;
            }
            if !self.ready.contains_key(&sequence) && self.fetching.insert(sequence) {
                wanted.push(sequence);
            }
        }
        wanted
    }

    /// Whether [`Tracker::deliver`] has something.
    pub(crate) fn has_next(&self) -> bool {
        self.ready.contains_key(&self.next)
    }

    /// The next checkpoint, if it is there.
    pub(crate) fn deliver(&mut self) -> Option<(u64, T)> {
        let checkpoint = self.ready.remove(&self.next)?;
        let sequence = self.next;
        self.next += 1;
        Some((sequence, checkpoint))
    }

    /// Passes over everything before `next`: it was delivered otherwise, or is not wanted.
    pub(crate) fn jump(&mut self, next: u64) {
        self.next = self.next.max(next);
        self.ready = self.ready.split_off(&self.next);
        self.fetching = self.fetching.split_off(&self.next);
    }

    /// The highest checkpoint known to exist.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.height
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_is_fetched_before_what_is_behind_it_is_delivered() {
        let mut tracker = Tracker::new(5, 10);
        tracker.arrived(7, "seven");
        assert_eq!(tracker.deliver(), None);
        assert_eq!(tracker.fetch(8), [5, 6]);
        assert!(tracker.fetch(8).is_empty(), "asked for once");
        tracker.fetched(6, "six");
        tracker.fetch_failed(5);
        assert_eq!(tracker.fetch(8), [5]);
        tracker.fetched(5, "five");
        assert_eq!(
            [tracker.deliver(), tracker.deliver(), tracker.deliver(), tracker.deliver()],
            [Some((5, "five")), Some((6, "six")), Some((7, "seven")), None]
        );
        assert_eq!(tracker.highest(), Some(7));
    }

    #[test]
    fn what_is_far_ahead_is_not_kept() {
        let mut tracker = Tracker::new(0, 4);
        for sequence in 1..1000 {
            tracker.arrived(sequence, ());
        }
        assert_eq!(tracker.ready.len(), 3);
        assert_eq!(tracker.fetch(100), [0]);
    }

    #[test]
    fn a_jump_forgets_what_is_behind_it() {
        let mut tracker = Tracker::new(0, 10);
        tracker.height(9);
        tracker.arrived(3, ());
        tracker.arrived(6, ());
        assert_eq!(tracker.fetch(2), [0, 1]);
        tracker.jump(6);
        assert_eq!(tracker.deliver(), Some((6, ())));
        assert_eq!(tracker.fetch(2), [7, 8]);
        tracker.jump(2);
        assert_eq!(tracker.next(), 7, "never back");
    }

    #[derive(Clone, Debug)]
    enum Act {
        /// The stream brings the checkpoint this far from the next one.
        Stream(i8),
        Height(u8),
        FetchOne(bool),
        Disconnect,
        Deliver,
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (-3i8..12).prop_map(Act::Stream),
            any::<u8>().prop_map(Act::Height),
            any::<bool>().prop_map(Act::FetchOne),
            Just(Act::Disconnect),
            Just(Act::Deliver),
        ]
    }

    proptest! {
        #[test]
        fn every_checkpoint_once_and_in_order(
            start in 0u64..1000,
            window in 1u64..12,
            limit in 1usize..6,
            acts in proptest::collection::vec(act(), 0..200),
        ) {
            let mut tracker = Tracker::new(start, window);
            let mut highest: Option<u64> = None;
            let mut delivered = vec![];
            let mut under_way: Vec<u64> = vec![];
            for act in acts {
                match act {
                    Act::Stream(offset) => if let Some(s) = tracker.next().checked_add_signed(offset.into()) {
                        highest = highest.max(Some(s));
                        tracker.arrived(s, s);
                    },
                    Act::Height(above) => {
                        let s = start + u64::from(above);
                        highest = highest.max(Some(s));
                        tracker.height(s);
                    }
                    Act::FetchOne(works) => {
                        under_way.extend(tracker.fetch(limit));
                        prop_assert!(under_way.len() <= limit);
                        if let Some(s) = under_way.pop() {
                            if works { tracker.fetched(s, s) } else { tracker.fetch_failed(s) }
                        }
                    }
                    Act::Disconnect => { under_way.clear(); tracker.disconnected(); }
                    Act::Deliver => delivered.extend(tracker.deliver()),
                }
                prop_assert!(tracker.ready.len() as u64 <= window);
            }
            // With working fetches it always comes to an end, and that is the known height.
            for _ in 0..2000 {
                under_way.extend(tracker.fetch(limit));
                for s in under_way.drain(..) { tracker.fetched(s, s); }
                while let Some(d) = tracker.deliver() { delivered.push(d); }
                if tracker.highest().is_none_or(|h| h < tracker.next()) { break; }
            }
            let end = highest.map_or(start, |h| (h + 1).max(start));
            let expected: Vec<_> = (start..end).map(|s| (s, s)).collect();
            prop_assert_eq!(delivered, expected);
        }
    }
}
