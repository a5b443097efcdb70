use super::step::Failure;

/// Waits between attempts: doubling from `min_ms` to `max_ms`, each shortened at random by up to half so that
/// a thousand workers do not return in the same instant.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// First wait, milliseconds.
    pub min_ms: u64,
    /// Longest wait, milliseconds.
    pub max_ms: u64,
}

impl Backoff {
    /// How long to wait after `failures` failures in a row (0 for none) before the next try, milliseconds.
    pub(crate) fn wait_ms(&self, failures: u32, random: u64) -> u64 {
        let doubled = self.min_ms.saturating_mul(1 << failures.min(20));
        let wait_ms = doubled.min(self.max_ms).max(1);
        wait_ms - random % (wait_ms / 2 + 1)
    }
}

/// Something that does one step at a time and retries with backoff.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) busy: bool,
    failures: u32,
    retry_at_ms: u64,
    pub(super) failure: Option<Failure>,
}

impl Lane {
    pub(super) fn free(&self, now_ms: u64) -> bool {
        !self.busy && now_ms >= self.retry_at_ms
    }

    /// When the lane itself next needs attention; `None` while a step is under way.
    pub(super) fn wake_at_ms(&self) -> Option<u64> {
        (!self.busy).then_some(self.retry_at_ms)
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    pub(super) fn failed(&mut self, failure: Failure, now_ms: u64, backoff: Backoff, random: u64) {
        self.busy = false;
        self.retry_at_ms = now_ms.saturating_add(backoff.wait_ms(self.failures, random));
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(failure);
    }

    /// Forget the wait, not the failure: something changed that may make the next attempt succeed.
    pub(super) fn retry_now(&mut self) {
        self.retry_at_ms = 0;
        self.failures = 0;
    }
}
