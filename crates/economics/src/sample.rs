//! What many runs of one agent came to.

/// Mean and spread of a set of outcomes, in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The mean.
    pub mean: f64,
    /// Half the width of the mean's 95 % confidence interval.
    pub error: f64,
    /// Share of the runs that ended above zero, 0 to 1.
    pub winning: f64,
}

impl Sample {
    /// Summarises `outcomes`; an empty set is all zero.
    #[must_use]
    pub fn of(outcomes: &[f64]) -> Self {
        let count = outcomes.len().max(1) as f64;
        let mean = outcomes.iter().sum::<f64>() / count;
        let variance = outcomes.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        let winning = outcomes.iter().filter(|one| **one > 0.0).count() as f64 / count;
        Self { mean, error: 1.96 * (variance / count).sqrt(), winning }
    }

    /// Whether it has to be expected to pay: the mean is not below zero beyond its error. What never happened, and
    /// so is zero in every run, does not pay.
    #[must_use]
    pub fn pays(&self) -> bool {
        let never_happened = self.mean == 0.0 && self.error == 0.0;
        self.mean + self.error >= 0.0 && !never_happened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_within_its_error_of_zero_pays() {
        assert!(Sample::of(&[-1.0, 1.2, -1.1, 1.0]).pays());
        assert!(!Sample::of(&[-1.0, -1.2, -1.1, -1.0]).pays());
        assert!(Sample::of(&[3.0]).pays());
    }

    #[test]
    fn what_never_happened_does_not_pay() {
        assert!(!Sample::of(&[0.0, 0.0]).pays());
        assert!(!Sample::of(&[]).pays());
    }
}
