//! Where a node takes the time from.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The system's clock, which a test may push forward.
#[derive(Debug, Default)]
pub struct Clock {
    offset_ms: AtomicI64,
}

impl Clock {
    /// Milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        let system = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let system = i64::try_from(system.as_millis()).unwrap_or(i64::MAX);
        let shifted = system.saturating_add(self.offset_ms.load(Ordering::Relaxed));
        u64::try_from(shifted).unwrap_or(0)
    }

    /// Pushes the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let _ = self
            .offset_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |offset| Some(offset.saturating_add(by)));
    }

    /// Makes sure that the clock is not behind `ms`: a chain that was pushed forward and is opened
    /// again goes on from where it was.
    pub fn catch_up(&self, ms: u64) {
        let now = self.now_ms();
        if now < ms {
            self.advance(Duration::from_millis(ms - now));
        }
    }
}
