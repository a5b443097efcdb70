/// So many requests a second, and so many at once; the clock is passed in.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u64,
    burst: u64,
    level_milli: u64,
    last_ms: u64,
}

impl Rate {
    pub(crate) fn new(per_second: u64, burst: u64) -> Self {
        Self { per_second, burst, level_milli: burst.saturating_mul(1000), last_ms: 0 }
    }

    /// Takes one if there is one.
    pub(crate) fn take(&mut self, now_ms: u64) -> bool {
        let waited = now_ms.saturating_sub(self.last_ms);
        self.last_ms = self.last_ms.max(now_ms);
        let filled = self.level_milli.saturating_add(waited.saturating_mul(self.per_second));
        self.level_milli = filled.min(self.burst.saturating_mul(1000));
        let taken = self.level_milli.checked_sub(1000);
        self.level_milli = taken.unwrap_or(self.level_milli);
        taken.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_a_burst_and_then_the_rate() {
        let mut rate = Rate::new(10, 3);
        assert_eq!((0..5).filter(|_| rate.take(1_000_000)).count(), 3);
        assert!(!rate.take(1_000_099));
        assert!(rate.take(1_000_100));
        assert!(!rate.take(1_000_000), "a clock that goes back gives nothing");
    }
}
