//! The price of SUI over time: a random walk with crashes.

use rand::Rng;

use crate::assumptions::Assumptions;

/// One path of the price, in US dollars per SUI, a value per day.
///
/// Geometric Brownian motion without drift (nobody is paid by this model for holding SUI) plus crashes: on a
/// day of a crash the price falls by [`Assumptions::crash_depth`] and does not come back by itself.
pub(crate) fn path(assumed: &Assumptions, days: usize, rng: &mut impl Rng) -> Vec<f64> {
    let sigma = assumed.volatility / 365f64.sqrt();
    let mut price = assumed.sui_usd;
    let mut path = Vec::with_capacity(days);
    for _ in 0..days {
        path.push(price);
        price *= (sigma * normal(rng) - sigma * sigma / 2.0).exp();
        if rng.random::<f64>() < assumed.crashes_per_year / 365.0 {
            price *= 1.0 - assumed.crash_depth;
        }
    }
    path
}

/// A standard normal value (Box and Muller, 1958).
fn normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_walk_has_no_drift_and_the_volatility_asked_for() {
        let assumed = Assumptions { crashes_per_year: 0.0, ..Assumptions::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let ends: Vec<f64> =
            (0..4_000).map(|_| path(&assumed, 366, &mut rng)[365] / assumed.sui_usd).collect();
        let mean = ends.iter().sum::<f64>() / ends.len() as f64;
        assert!((mean - 1.0).abs() < 0.1, "{mean}");
        let logs: Vec<f64> = ends.iter().map(|end| end.ln()).collect();
        let centre = logs.iter().sum::<f64>() / logs.len() as f64;
        let spread = (logs.iter().map(|log| (log - centre).powi(2)).sum::<f64>() / logs.len() as f64).sqrt();
        assert!((spread / assumed.volatility - 1.0).abs() < 0.05, "{spread}");
    }

    #[test]
    fn a_crash_takes_the_share_that_was_assumed() {
        let assumed = Assumptions {
            volatility: 0.0,
            crashes_per_year: 365.0,
            crash_depth: 0.5,
            ..Assumptions::default()
        };
        let path = path(&assumed, 3, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(path, [assumed.sui_usd, assumed.sui_usd / 2.0, assumed.sui_usd / 4.0]);
    }
}
