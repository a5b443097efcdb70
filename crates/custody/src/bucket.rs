/// A token bucket: `burst` at once, then `per_second`. The clock is passed in.
#[derive(Clone, Debug)]
pub struct Bucket {
    per_second: u64,
    burst: u64,
    /// In thousandths, so that short waits count.
    level_milli: u64,
    last_ms: u64,
}

impl Bucket {
    /// Full.
    #[must_use]
    pub fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst, level_milli: burst.saturating_mul(1000), last_ms: 0 }
    }

    /// Takes one if there is one.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let waited = now_ms.saturating_sub(self.last_ms);
        self.last_ms = self.last_ms.max(now_ms);
        let filled = self.level_milli.saturating_add(waited.saturating_mul(self.per_second));
        self.level_milli = filled.min(self.burst.saturating_mul(1000));
        match self.level_milli.checked_sub(1000) {
            Some(rest) => {
                self.level_milli = rest;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_the_rate() {
        let mut bucket = Bucket::new(10, 3);
        let now = 1_000_000;
        assert_eq!((0..5).filter(|_| bucket.take(now)).count(), 3);
        assert!(!bucket.take(now + 99));
        assert!(bucket.take(now + 100));
        assert!(!bucket.take(now), "a clock that goes back gives nothing");
        assert_eq!((0..9).filter(|_| bucket.take(now + 60_000)).count(), 3);
    }
}
