//! From which stake on an attack loses money.

use crate::assumptions::Assumptions;
use crate::attack::{Attack, DAYS};
use crate::params::Params;
use crate::sample::Sample;

/// Node stakes from 100 MIST to a million SUI, three a decade.
#[must_use]
pub fn stakes() -> Vec<u64> {
    let steps = (2 * 3..=15 * 3).map(|third| 10f64.powf(f64::from(third) / 3.0));
    steps.map(|mist| mist.round() as u64).collect()
}

/// The advantage of an attack at each of [`stakes`], all else as in `params`.
#[must_use]
pub fn curve(
    attack: Attack,
    params: &Params,
    assumed: &Assumptions,
    runs: u32,
    seed: u64,
) -> Vec<(u64, Sample)> {
    let at = |stake| {
        let params = Params { node_minimum: stake, ..*params };
        (stake, attack.advantage(&params, assumed, runs, seed))
    };
    stakes().into_iter().map(at).collect()
}

/// The first stake of a curve from which on the attack loses money at every larger one too, in MIST.
#[must_use]
pub fn deterred_from(curve: &[(u64, Sample)]) -> Option<u64> {
    let paying = curve.iter().rposition(|(_, sample)| sample.pays());
    curve.get(paying.map_or(0, |at| at + 1)).map(|(stake, _)| *stake)
}

/// One sentence for each attack that these parameters do not deter; empty when all lose money. Seeded, and the
/// same for the same input.
#[must_use]
pub fn warnings(params: &Params, assumed: &Assumptions) -> Vec<String> {
    const RUNS: u32 = 300;
    const SEED: u64 = 1;
    let mut found = Vec::new();
    for attack in Attack::ALL {
        let advantage = attack.advantage(params, assumed, RUNS, SEED);
        if advantage.pays() {
            found.push(format!(
                "{}: {:+.2} US$ (± {:.2}) against honest work in {} days, with a node stake of {} MIST",
                attack.name(),
                advantage.mean,
                advantage.error,
                DAYS,
                params.node_minimum,
            ));
        }
    }
    found
}
