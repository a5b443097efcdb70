use api::RewardStatus;

/// After a start the first look comes within this time, so that a worker that was just started shows something soon, milliseconds.
const FIRST_MS: u64 = 60_000;
/// A look that failed is repeated so many times as often.
const RETRIES: u64 = 12;

/// When there is a look at the stake's rewards, and what is known of them. Without IO; the time is given.
pub(crate) struct Watch {
    interval_ms: u64,
    /// Where in an interval this worker looks: spread by its token's id, so that not all ask at once.
    offset: u64,
    next_ms: u64,
    known: Option<RewardStatus>,
}

impl Watch {
    pub(crate) fn new(token: [u8; 32], interval_ms: u64, now_ms: u64) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = token;
        let offset = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let first = offset % FIRST_MS.min(interval_ms);
        Self { interval_ms, offset: offset % interval_ms, next_ms: now_ms.saturating_add(first), known: None }
    }

    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.next_ms
    }

    /// What is known; none before the first look.
    pub(crate) fn known(&self) -> Option<&RewardStatus> {
        self.known.as_ref()
    }

    /// A look has ended at `now_ms`. One that failed changes nothing of what is known but the reason why it may be old.
    pub(crate) fn looked(&mut self, now_ms: u64, found: Result<RewardStatus, api::ErrorBody>) {
        let failed = found.is_err();
        match found {
            Ok(status) => {
                self.known = Some(RewardStatus { checked_ms: Some(now_ms), problem: None, ..status });
            }
            Err(problem) => self.known.get_or_insert_default().problem = Some(problem),
        }
        let every = if failed { (self.interval_ms / RETRIES).max(1) } else { self.interval_ms };
        let since = now_ms.saturating_sub(self.offset % every) % every;
        self.next_ms = now_ms.saturating_add(every.saturating_sub(since));
    }
}

#[cfg(test)]
mod tests {
    use api::RewardState;

    use super::*;

    const HOUR: u64 = 3_600_000;

    fn token(first: u64) -> [u8; 32] {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&first.to_be_bytes());
        id
    }

    fn paid(epoch: u64) -> RewardStatus {
        RewardStatus { epoch: Some(epoch), state: Some(RewardState::Claimable), ..RewardStatus::default() }
    }

    #[test]
    fn ten_thousand_workers_do_not_ask_at_once() {
        let start = 1_900_000_000_000;
        let mut watches: Vec<_> = (0..10_000u64)
            .map(|i| Watch::new(token(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)), HOUR, start))
            .collect();
        let mut most = 0;
        let mut total = 0;
        for second in 0..7_260 {
            let now_ms = start + second * 1_000;
            let due = watches.iter_mut().filter(|watch| watch.is_due(now_ms));
            let asked = due.map(|watch| watch.looked(now_ms, Ok(paid(1)))).count();
            // All begin within a minute; afterwards an hour is theirs.
            most = if second > 60 { most.max(asked) } else { most };
            total += asked;
        }
        assert!(most <= 20, "{most} in one second");
        assert!((29_000..=31_000).contains(&total), "{total} looks in two hours and a minute");
    }

    #[test]
    fn what_is_known_stays_when_a_look_fails_and_says_that_it_may_be_old() {
        let mut watch = Watch::new(token(5), HOUR, 1_000);
        assert!(watch.known().is_none() && !watch.is_due(1_000));
        assert!(watch.is_due(61_000));
        let problem = api::ErrorBody { reason: "unreachable".into(), message: "no answer".into() };
        watch.looked(61_000, Err(problem.clone()));
        let known = watch.known().unwrap();
        assert_eq!((known.epoch, known.checked_ms, known.problem.as_ref()), (None, None, Some(&problem)));
        assert!(
            !watch.is_due(62_000) && watch.is_due(61_000 + HOUR / RETRIES),
            "sooner than after a success"
        );
        watch.looked(400_000, Ok(paid(3)));
        assert!(!watch.is_due(401_000) && watch.is_due(400_000 + HOUR));
        watch.looked(HOUR, Err(problem.clone()));
        let known = watch.known().unwrap();
        assert_eq!(
            (known.epoch, known.checked_ms, known.problem.as_ref()),
            (Some(3), Some(400_000), Some(&problem))
        );
    }
}
