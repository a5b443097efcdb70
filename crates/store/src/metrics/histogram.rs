use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Most buckets a histogram has.
const MAX_BUCKETS: usize = 17;

/// Durations in buckets that double, as etcd's do.
#[derive(Debug)]
pub(crate) struct Histogram {
    /// Upper bound of the first bucket, in seconds.
    first: f64,
    buckets: usize,
    counts: [AtomicU64; MAX_BUCKETS],
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Histogram {
    /// Buckets up to `first`, twice that, and so on; at most [`MAX_BUCKETS`].
    pub(crate) fn new(first: f64, buckets: usize) -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        let buckets = buckets.min(MAX_BUCKETS);
        Self { first, buckets, counts, count: AtomicU64::new(0), nanoseconds: AtomicU64::new(0) }
    }

    pub(crate) fn observe(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        let place = self.bounds().position(|bound| seconds <= bound);
        if let Some(count) = place.and_then(|place| self.counts.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// (Upper bound in seconds, how many were not above it).
    pub(crate) fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let mut sum = 0;
        self.bounds().zip(&self.counts).map(move |(bound, count)| {
            sum += count.load(Ordering::Relaxed);
            (bound, sum)
        })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64()
    }

    fn bounds(&self) -> impl Iterator<Item = f64> + use<> {
        let first = self.first;
        (0..self.buckets).scan(first, |next, _| {
            let bound = *next;
            *next *= 2.0;
            Some(bound)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_up_to_each_bound() {
        let histogram = Histogram::new(0.001, 3);
        for millis in [1, 2, 3, 100] {
            histogram.observe(Duration::from_millis(millis));
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(0.001, 1), (0.002, 2), (0.004, 3)]);
        assert_eq!((histogram.count(), histogram.seconds()), (4, 0.106));
    }
}
