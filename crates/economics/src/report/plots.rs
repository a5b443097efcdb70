//! The report's plots.

use super::{Curve, worlds};
use crate::assumptions::Assumptions;
use crate::attack::Attack;
use crate::deter::curve;
use crate::params::{MIST_PER_SUI, Params};
use crate::plot::{Line, Plot};
use crate::sample::Sample;

pub(super) fn stake_plot(curves: &[Curve]) -> String {
    let lines = curves
        .iter()
        .filter(|curve| curve.attack != Attack::FalseAccusations && curve.attack != Attack::Griefing)
        .map(|curve| line(curve.attack.name(), &curve.points))
        .collect();
    plot("US$ beyond honest work in 90 days, by node stake", lines)
}

pub(super) fn swings_plot(params: &Params, assumed: &Assumptions, runs: u32, seed: u64) -> String {
    let lines = worlds(assumed)
        .iter()
        .map(|(name, world)| line(name, &curve(Attack::TamperingAfterAFall, params, world, runs, seed)))
        .collect();
    plot("Tampering after a fall of SUI: US$ beyond honest work, by node stake", lines)
}

pub(super) fn penalty_plot(params: &Params, assumed: &Assumptions, runs: u32, seed: u64) -> String {
    let lines = [500, 1_000, 2_500, 5_000, 10_000]
        .into_iter()
        .map(|bps| {
            let params = Params { tampering_bps: bps, ..*params };
            let name = format!("penalty {} %", bps / 100);
            line(&name, &curve(Attack::Tampering, &params, assumed, runs, seed))
        })
        .collect();
    plot("Tampering: US$ beyond honest work, by node stake and penalty", lines)
}

fn line(name: &str, points: &[(u64, Sample)]) -> Line {
    let points = points.iter().map(|(stake, sample)| (*stake as f64 / MIST_PER_SUI, sample.mean));
    Line { name: name.to_owned(), points: points.collect() }
}

fn plot(title: &str, lines: Vec<Line>) -> String {
    Plot { title, x: "node stake, SUI", low: -2_000.0, high: 2_000.0, lines }.svg()
}
