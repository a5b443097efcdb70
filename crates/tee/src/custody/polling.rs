use std::fmt::Write;

/// Pause before somebody who did not answer is asked again, milliseconds; doubled each time up to 32 times.
const PAUSE_MS: u64 = 500;
const MOST_DOUBLINGS: u32 = 5;

/// Whom to ask when, of several of whom some suffice. Without IO.
#[derive(Debug)]
pub(super) struct Polling {
    deadline_ms: u64,
    holders: Vec<HolderState>,
}

/// What is known of one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HolderState {
    /// To be asked at this time, milliseconds since the Unix epoch, after so many failures.
    Waiting {
        /// When.
        at_ms: u64,
        /// Failures so far.
        failures: u32,
        /// Why it failed last.
        last: Option<String>,
    },
    /// Asked; no answer yet.
    Asked {
        /// Failures so far.
        failures: u32,
        /// Why it failed last.
        last: Option<String>,
    },
    /// Gave what it holds.
    Gave,
    /// Says that it will not; asking again is of no use.
    Refuses(String),
    /// Gave something else than what it holds.
    Lies,
}

/// What to do next.
pub(super) enum Poll {
    /// Ask these.
    Ask(Vec<usize>),
    /// Nothing before this time or the next answer.
    Wait(u64),
    /// There will not be enough.
    Over,
}

impl Polling {
    pub(super) fn new(count: usize, now_ms: u64, deadline_ms: u64) -> Self {
        let waiting = HolderState::Waiting { at_ms: now_ms, failures: 0, last: None };
        Self { deadline_ms, holders: vec![waiting; count] }
    }

    /// What to do now, while fewer than `threshold` gave. Whom it names are taken to be asked.
    pub(super) fn poll(&mut self, now_ms: u64, threshold: usize) -> Poll {
        let possible = |state: &&HolderState| !matches!(state, HolderState::Refuses(_) | HolderState::Lies);
        if self.holders.iter().filter(possible).count() < threshold || now_ms >= self.deadline_ms {
            return Poll::Over;
        }
        let mut ask = Vec::new();
        let mut until_ms = self.deadline_ms;
        for (at, state) in self.holders.iter_mut().enumerate() {
            let HolderState::Waiting { at_ms, failures, last } = state else { continue };
            if *at_ms > now_ms {
                until_ms = until_ms.min(*at_ms);
                continue;
            }
            *state = HolderState::Asked { failures: *failures, last: last.take() };
            ask.push(at);
        }
        if ask.is_empty() { Poll::Wait(until_ms) } else { Poll::Ask(ask) }
    }

    /// Whether an answer is waited for: a second one changes nothing, neither for the better nor for the worse.
    pub(super) fn is_asked(&self, at: usize) -> bool {
        matches!(self.holders.get(at), Some(HolderState::Asked { .. }))
    }

    /// It answered.
    pub(super) fn answered(&mut self, at: usize, state: HolderState) {
        if self.is_asked(at) {
            self.holders[at] = state;
        }
    }

    /// It could not be reached, or could not answer now; it is asked again later.
    pub(super) fn failed(&mut self, at: usize, why: String, now_ms: u64) {
        let Some(HolderState::Asked { failures, .. }) = self.holders.get(at) else { return };
        let failures = *failures;
        let at_ms = now_ms.saturating_add(PAUSE_MS << failures.min(MOST_DOUBLINGS));
        self.holders[at] =
            HolderState::Waiting { at_ms, failures: failures.saturating_add(1), last: Some(why) };
    }

    pub(super) fn holders(&self) -> &[HolderState] {
        &self.holders
    }

    /// What each of `names` did with the `thing` that it holds.
    pub(super) fn describe<'a>(&self, names: impl Iterator<Item = &'a str>, thing: &str) -> String {
        let mut text = String::new();
        for (name, state) in names.zip(&self.holders) {
            let separator = if text.is_empty() { "" } else { "; " };
            // Writing to a String does not fail.
            let _ = write!(text, "{separator}{name}: ");
            let _ = match state {
                HolderState::Gave => write!(text, "gave its {thing}"),
                HolderState::Lies => write!(text, "gave something else than its {thing}"),
                HolderState::Refuses(why)
                | HolderState::Waiting { last: Some(why), .. }
                | HolderState::Asked { last: Some(why), .. } => write!(text, "{why}"),
                HolderState::Waiting { .. } | HolderState::Asked { .. } => write!(text, "did not answer"),
            };
        }
        text
    }
}
