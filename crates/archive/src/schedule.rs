use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 24 * 3_600_000;
/// Pause after a post that failed; doubles up to [`LAST_RETRY_MS`].
const FIRST_RETRY_MS: u64 = 5_000;
const LAST_RETRY_MS: u64 = 300_000;
/// What an anchor is taken to cost before one has been paid, in MIST.
const GUESS_MIST: u64 = 2_000_000;

/// When anchors are posted, and what that may cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnchorConfig {
    /// A change is anchored after this time at the latest, milliseconds; unless money or chain are missing.
    pub interval_ms: u64,
    /// While only `quiet` keys change, the pause doubles up to this, milliseconds.
    pub idle_interval_ms: u64,
    /// What anchors may cost in 24 hours, in MIST. Anchors are spread so that it lasts.
    pub max_mist_per_day: u64,
    /// Keys whose changes alone need no quick anchor, by prefix: heartbeats that are worth nothing in a minute.
    pub quiet: Vec<String>,
    /// Serve though the chain cannot be reached and nobody can say whether this is the latest state. Said in log and
    /// status.
    pub accept_unanchored: bool,
    /// How long the chain is waited for at start before that decides, milliseconds.
    pub patience_ms: u64,
}

impl Default for AnchorConfig {
    fn default() -> Self {
        Self {
            interval_ms: 60_000,
            idle_interval_ms: 3_600_000,
            max_mist_per_day: 5_000_000_000,
            quiet: ["/registry/leases/", "/registry/masterleases/", "/registry/events/"]
                .map(str::to_owned)
                .into(),
            accept_unanchored: false,
            patience_ms: 30_000,
        }
    }
}

impl AnchorConfig {
    /// Finds what cannot be meant.
    ///
    /// # Errors
    /// A sentence with the field.
    pub fn check(&self) -> Result<(), String> {
        if self.interval_ms < 1_000 {
            return Err("anchor.interval_ms is less than a second (1000)".to_owned());
        }
        if self.idle_interval_ms < self.interval_ms {
            return Err("anchor.idle_interval_ms is less than anchor.interval_ms".to_owned());
        }
        if self.quiet.iter().any(String::is_empty) {
            return Err("anchor.quiet has an empty prefix, and that is every key".to_owned());
        }
        Ok(())
    }
}

/// What is not anchored yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pending {
    /// Nothing.
    Nothing,
    /// Changes of quiet keys only.
    Quiet,
    /// Others too.
    Loud,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Post now.
    Now,
    /// Not before this time, milliseconds; earlier if something else changes.
    At(u64),
    /// Not before this time, because no more money may be spent.
    Unpaid(u64),
    /// When there is something.
    Never,
}

/// Decides when an anchor is posted. Time comes in with each call, in milliseconds that only grow.
#[derive(Clone, Debug)]
pub struct Schedule {
    config: AnchorConfig,
    /// When the last one was posted; what the chain says, so that starting anew posts nothing early.
    posted_ms: u64,
    /// The pause while only quiet keys change.
    pause_ms: u64,
    /// Somebody asked for one.
    asked: bool,
    failures: u32,
    /// Not before this, after a failure.
    retry_ms: u64,
    /// What the last one cost.
    cost: u64,
    /// What was spent in the last 24 hours, and when.
    spent: VecDeque<(u64, u64)>,
}

impl Schedule {
    /// Begins when the last anchor was posted at `posted_ms`, or 0.
    pub fn new(config: AnchorConfig, posted_ms: u64) -> Self {
        let pause_ms = config.interval_ms;
        Self {
            config,
            posted_ms,
            pause_ms,
            asked: false,
            failures: 0,
            retry_ms: 0,
            cost: GUESS_MIST,
            spent: VecDeque::new(),
        }
    }

    /// Somebody wants one now.
    pub fn ask(&mut self) {
        self.asked = true;
        self.retry_ms = 0;
    }

    /// Whether somebody waits for one.
    pub fn asked(&self) -> bool {
        self.asked
    }

    /// What is to be done at `now_ms`.
    pub fn due(&mut self, now_ms: u64, pending: Pending) -> Due {
        if pending == Pending::Nothing {
            self.asked = false;
            return Due::Never;
        }
        if let Some(until) = self.broke_until(now_ms) {
            return Due::Unpaid(until);
        }
        let pause = match pending {
            _ if self.asked => 0,
            Pending::Loud => self.config.interval_ms.max(self.pace_ms()),
            Pending::Quiet | Pending::Nothing => self.pause_ms.max(self.pace_ms()),
        };
        let at = self.posted_ms.saturating_add(pause).max(self.retry_ms);
        if at <= now_ms { Due::Now } else { Due::At(at) }
    }

    /// One was posted and cost `mist`; `pending` is what it anchored.
    pub fn posted(&mut self, now_ms: u64, pending: Pending, mist: u64) {
        self.posted_ms = now_ms;
        self.pause_ms = match pending {
            Pending::Loud => self.config.interval_ms,
            _ => self.pause_ms.saturating_mul(2).min(self.config.idle_interval_ms),
        };
        (self.asked, self.failures, self.retry_ms) = (false, 0, 0);
        self.cost = mist;
        self.spent.push_back((now_ms, mist));
    }

    /// One could not be posted; `mist` is what that cost.
    pub fn failed(&mut self, now_ms: u64, mist: u64) {
        let pause = FIRST_RETRY_MS.saturating_mul(1 << self.failures.min(10)).min(LAST_RETRY_MS);
        self.failures = self.failures.saturating_add(1);
        (self.asked, self.retry_ms) = (false, now_ms.saturating_add(pause));
        if mist > 0 {
            self.spent.push_back((now_ms, mist));
        }
    }

    /// What was spent in the 24 hours before `now_ms`, in MIST.
    pub fn spent(&mut self, now_ms: u64) -> u64 {
        while self.spent.front().is_some_and(|(at, _)| at.saturating_add(DAY_MS) <= now_ms) {
            self.spent.pop_front();
        }
        self.spent.iter().fold(0, |sum, (_, mist)| sum.saturating_add(*mist))
    }

    /// The longest time that a change which is not quiet waits for its anchor, milliseconds.
    pub fn window_ms(&self) -> u64 {
        self.config.interval_ms.max(self.pace_ms())
    }

    /// What a day costs when something changes all the time, in MIST.
    pub fn day_mist(&self) -> u64 {
        (DAY_MS / self.window_ms()).saturating_mul(self.cost)
    }

    /// The pause at which the money of a day lasts for a day.
    fn pace_ms(&self) -> u64 {
        let pace = u128::from(DAY_MS) * u128::from(self.cost);
        let pace = pace.div_ceil(u128::from(self.config.max_mist_per_day.max(1)));
        u64::try_from(pace).unwrap_or(u64::MAX)
    }

    /// Until when one more would cost more than is allowed.
    fn broke_until(&mut self, now_ms: u64) -> Option<u64> {
        let max = self.config.max_mist_per_day;
        if self.cost > max {
            return Some(u64::MAX);
        }
        let mut spent = self.spent(now_ms);
        let mut until = None;
        for (at, mist) in &self.spent {
            if spent.saturating_add(self.cost) <= max {
                break;
            }
            spent = spent.saturating_sub(*mist);
            until = Some(at.saturating_add(DAY_MS));
        }
        until
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn config(max_mist_per_day: u64) -> AnchorConfig {
        AnchorConfig { max_mist_per_day, ..AnchorConfig::default() }
    }

    #[test]
    fn the_pause_grows_while_only_heartbeats_come_and_shrinks_at_the_first_change() {
        let mut schedule = Schedule::new(config(u64::MAX), 0);
        let (mut now, mut posts) = (60_000, Vec::new());
        while now < 12 * 3_600_000 {
            match schedule.due(now, Pending::Quiet) {
                Due::Now => {
                    schedule.posted(now, Pending::Quiet, 1_000_000);
                    posts.push(now);
                }
                Due::At(at) => now = at,
                other => panic!("{other:?}"),
            }
        }
        let pauses: Vec<u64> = posts.windows(2).map(|pair| (pair[1] - pair[0]) / 60_000).collect();
        assert_eq!(pauses[..7], [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(schedule.due(now + 60_000, Pending::Loud), Due::Now);
        schedule.posted(now, Pending::Loud, 1_000_000);
        assert_eq!(schedule.due(now, Pending::Quiet), Due::At(now + 60_000));
    }

    #[test]
    fn asked_for_is_at_once_but_not_for_nothing_and_not_beyond_the_money() {
        let mut schedule = Schedule::new(config(3_000_000), 1_000);
        schedule.ask();
        assert_eq!(schedule.due(2_000, Pending::Nothing), Due::Never);
        schedule.ask();
        assert_eq!(schedule.due(2_000, Pending::Quiet), Due::Now);
        schedule.posted(2_000, Pending::Quiet, 2_000_000);
        schedule.ask();
        assert_eq!(schedule.due(3_000, Pending::Loud), Due::Unpaid(2_000 + DAY_MS));
        assert_eq!(schedule.due(2_000 + DAY_MS, Pending::Loud), Due::Now);
        let mut poor = Schedule::new(config(1), 0);
        assert_eq!(poor.due(5, Pending::Loud), Due::Unpaid(u64::MAX));
    }

    #[test]
    fn a_failure_is_tried_again_later_and_later() {
        let mut schedule = Schedule::new(config(u64::MAX), 0);
        let mut now = 100_000;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            assert_eq!(schedule.due(now, Pending::Loud), Due::Now);
            schedule.failed(now, 0);
            let Due::At(at) = schedule.due(now, Pending::Loud) else { panic!("at once") };
            pauses.push((at - now) / 1000);
            now = at;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }

    proptest! {
        #[test]
        fn no_day_costs_more_than_allowed_and_no_change_waits_longer_than_said(
            max in 10_000_000_u64..400_000_000,
            steps in proptest::collection::vec((1_u64..1_200_000, 0_u8..8, 500_000_u64..3_000_000), 1..400),
        ) {
            let mut schedule = Schedule::new(config(max), 0);
            let mut paid: Vec<(u64, u64)> = Vec::new();
            let (mut now, mut loud_since) = (0_u64, None);
            for (pause, what, cost) in steps {
                now += pause;
                let pending = match what {
                    0 => Pending::Nothing,
                    1..=3 => Pending::Quiet,
                    _ => Pending::Loud,
                };
                if what == 7 {
                    schedule.ask();
                }
                let due = schedule.due(now, pending);
                if pending == Pending::Loud {
                    let since = *loud_since.get_or_insert(now);
                    if due != Due::Now && !matches!(due, Due::Unpaid(_)) {
                        prop_assert!(now - since < schedule.window_ms(), "waits since {since}");
                    }
                }
                prop_assert!(due != Due::Now || pending != Pending::Nothing);
                if due == Due::Now && what == 4 {
                    schedule.failed(now, 0);
                    loud_since = None;
                } else if due == Due::Now {
                    // What one costs is known only afterwards: the bound holds up to the difference to the one before.
                    let surprise = cost.saturating_sub(schedule.cost);
                    schedule.posted(now, pending, cost);
                    paid.push((now, cost));
                    loud_since = None;
                    let day: u64 = paid.iter().filter(|(at, _)| at + DAY_MS > now).map(|(_, cost)| cost).sum();
                    prop_assert!(day <= max + surprise, "{day} of {max}");
                } else if pending != Pending::Loud {
                    loud_since = None;
                }
                if let Due::Unpaid(until) = due {
                    prop_assert!(until > now);
                }
            }
        }
    }
}
