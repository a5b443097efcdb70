use std::time::Duration;

/// Which endpoint is asked next, without IO: all of them in order, those that may recover again after a pause, a few rounds.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// By index; those that are worth another attempt.
    hopeful: Vec<usize>,
    next: usize,
    round: u32,
    rounds: u32,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Ask(usize),
    Pause(Duration),
    GiveUp,
}

/// The pause before the second round; it doubles for each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Attempts {
    pub(crate) fn new(endpoints: usize, rounds: u32) -> Self {
        Self { hopeful: (0..endpoints).collect(), next: 0, round: 1, rounds }
    }

    /// After `Ask`, tell with [`Self::failed`] how it went; success needs no telling.
    pub(crate) fn next(&mut self) -> Next {
        if let Some(&endpoint) = self.hopeful.get(self.next) {
            self.next += 1;
            return Next::Ask(endpoint);
        }
        if self.hopeful.is_empty() || self.round >= self.rounds {
            return Next::GiveUp;
        }
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.round - 1);
        self.round += 1;
        self.next = 0;
        Next::Pause(pause)
    }

    /// The endpoint that was asked last failed, and `may_pass` says whether it is asked again.
    pub(crate) fn failed(&mut self, may_pass: bool) {
        if !may_pass {
            self.next -= 1;
            self.hopeful.remove(self.next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_liar_is_not_asked_again_and_who_was_busy_is() {
        let mut attempts = Attempts::new(3, 2);
        assert_eq!(attempts.next(), Next::Ask(0));
        attempts.failed(true);
        assert_eq!(attempts.next(), Next::Ask(1));
        attempts.failed(false);
        assert_eq!(attempts.next(), Next::Ask(2));
        attempts.failed(true);
        assert_eq!(attempts.next(), Next::Pause(FIRST_PAUSE));
        assert_eq!(attempts.next(), Next::Ask(0));
        attempts.failed(true);
        assert_eq!(attempts.next(), Next::Ask(2));
        attempts.failed(true);
        assert_eq!(attempts.next(), Next::GiveUp);
    }

    #[test]
    fn nobody_left_means_no_pause() {
        let mut attempts = Attempts::new(1, 5);
        assert_eq!(attempts.next(), Next::Ask(0));
        attempts.failed(false);
        assert_eq!(attempts.next(), Next::GiveUp);
        assert_eq!(Attempts::new(0, 5).next(), Next::GiveUp);
    }
}
