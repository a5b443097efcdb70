use std::time::Duration;

/// The first pause before a failed endpoint is tried again, when another one works.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// Decides which of several endpoints of one chain is asked. No IO and no clock.
///
/// It stays with one as long as that one works, so that what was written can be read. When it fails the
/// next in the order of the configuration is taken, and the failed one is left alone for a growing pause.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    health: Vec<Health>,
    current: usize,
}

/// What is known of one endpoint.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    failures: u32,
    retry_at_ms: u64,
    /// It was found to serve the chain that the others serve, and has not failed since.
    admitted: bool,
}

impl Endpoints {
    /// `count` endpoints of which nothing is known; there is always at least one.
    pub(crate) fn new(count: usize) -> Endpoints {
        Endpoints { health: vec![Health::default(); count.max(1)], current: 0 }
    }

    /// The endpoint to ask now: the present one while it works, else the next whose pause is over, else the
    /// one whose pause is over first.
    pub(crate) fn choose(&mut self, now_ms: u64) -> usize {
        let count = self.health.len();
        let in_order = (0..count).map(|step| (self.current + step) % count);
        let rested = in_order.clone().find(|index| self.health[*index].retry_at_ms <= now_ms);
        let soonest = || in_order.min_by_key(|index| self.health[*index].retry_at_ms);
        self.current = rested.or_else(soonest).unwrap_or_default();
        self.current
    }

    /// The endpoint answered.
    pub(crate) fn worked(&mut self, index: usize) {
        if let Some(health) = self.health.get_mut(index) {
            *health = Health { admitted: health.admitted, ..Health::default() };
        }
    }

    /// The endpoint did not answer, lags, or serves something else. Another one is chosen next, if any is rested.
    pub(crate) fn failed(&mut self, index: usize, now_ms: u64) {
        let Some(health) = self.health.get_mut(index) else { return };
        let pause = FIRST_PAUSE.saturating_mul(1 << health.failures.min(6)).min(MAX_PAUSE);
        health.failures = health.failures.saturating_add(1);
        health.retry_at_ms = now_ms.saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        health.admitted = false;
    }

    /// The endpoint was found to serve the right chain.
    pub(crate) fn admit(&mut self, index: usize) {
        if let Some(health) = self.health.get_mut(index) {
            health.admitted = true;
        }
    }

    /// Whether it need not be asked for its chain again.
    pub(crate) fn admitted(&self, index: usize) -> bool {
        self.health.get(index).is_some_and(|health| health.admitted)
    }

    /// Failures since it last worked.
    pub(crate) fn failures(&self, index: usize) -> u32 {
        self.health.get(index).map_or(0, |health| health.failures)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_stays_with_what_works_and_comes_back_after_a_pause() {
        let mut endpoints = Endpoints::new(3);
        assert_eq!(endpoints.choose(0), 0);
        endpoints.admit(0);
        endpoints.failed(0, 0);
        assert!(!endpoints.admitted(0), "what failed may have become another chain");
        assert_eq!(endpoints.choose(0), 1);
        endpoints.worked(1);
        assert_eq!(endpoints.choose(1_000_000), 1, "no way back while this one works");
        endpoints.failed(1, 1_000_000);
        endpoints.failed(2, 1_000_000);
        assert_eq!(endpoints.choose(1_000_000), 0, "its pause is long over");
        endpoints.failed(0, 1_000_000);
        // Its second failure in a row: it rests for two seconds, the others for one.
        assert_eq!(endpoints.choose(1_000_001), 1, "all rest: the one that is rested first");
    }

    proptest! {
        #[test]
        fn an_endpoint_that_works_is_found_within_one_round(
            count in 1usize..6,
            good in any::<prop::sample::Index>(),
            storm in proptest::collection::vec((any::<prop::sample::Index>(), 0u64..5_000), 0..40),
        ) {
            let good = good.index(count);
            let mut endpoints = Endpoints::new(count);
            let mut now = 0;
            for (index, later) in storm {
                now += later;
                endpoints.failed(index.index(count), now);
            }
            let mut tried = vec![];
            // Everybody's pause may last: then the one rested first is tried, and fails, and rests longer.
            for _ in 0..200 {
                let index = endpoints.choose(now);
                if index == good { return Ok(()); }
                tried.push(index);
                endpoints.failed(index, now);
                now += 1_000;
            }
            prop_assert!(false, "never chose {good}: {tried:?}");
        }
    }
}
