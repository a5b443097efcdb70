//! The attacks, each with what it is compared to.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::assumptions::Assumptions;
use crate::conduct::{Conduct, Tampers};
use crate::params::Params;
use crate::price;
use crate::run::{self, Outcome, share, usd};
use crate::sample::Sample;

/// How long one run lasts, in days.
pub const DAYS: usize = 90;

/// A way to make more money than an honest staker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attack {
    /// Lazy: the machine is off for a tenth of the day.
    Lazy,
    /// Over-selling: ten nodes on one machine.
    OverSelling,
    /// Reads or changes what runs on its node, once.
    Tampering,
    /// Waits until SUI is worth half before it tampers.
    TamperingAfterAFall,
    /// Sybil: twenty stakes, tampers from one so that the rest is not at risk.
    Sybil,
    /// Sybil in time: tampers every month and comes back with a new stake after each slash.
    Whitewashing,
    /// Colluding reporter: an accomplice reports the tampering first and hands the reporter's share back.
    SelfReporting,
    /// Colluding reporters with a broken enclave: accuse everybody of an attestation failure.
    FalseAccusations,
    /// Griefing contester: over-sells, and contests every slash.
    Griefing,
}

impl Attack {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::Lazy,
        Self::OverSelling,
        Self::Tampering,
        Self::TamperingAfterAFall,
        Self::Sybil,
        Self::Whitewashing,
        Self::SelfReporting,
        Self::FalseAccusations,
        Self::Griefing,
    ];

    /// A name in words.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lazy => "lazy",
            Self::OverSelling => "over-selling",
            Self::Tampering => "tampering",
            Self::TamperingAfterAFall => "tampering after a fall",
            Self::Sybil => "Sybil",
            Self::Whitewashing => "whitewashing",
            Self::SelfReporting => "self-reporting",
            Self::FalseAccusations => "false accusations",
            Self::Griefing => "griefing contester",
        }
    }

    /// What it earns beyond the honest conduct that it is compared to: `runs` runs of [`DAYS`] days from `seed`,
    /// each pair on the same path of the price. US dollars.
    #[must_use]
    pub fn advantage(self, params: &Params, assumed: &Assumptions, runs: u32, seed: u64) -> Sample {
        self.outcomes(params, assumed, runs, seed).0
    }

    /// What it costs governance in work, the mean of the same runs. US dollars.
    #[must_use]
    pub fn governance_work(self, params: &Params, assumed: &Assumptions, runs: u32, seed: u64) -> f64 {
        self.outcomes(params, assumed, runs, seed).1.mean
    }

    fn outcomes(self, params: &Params, assumed: &Assumptions, runs: u32, seed: u64) -> (Sample, Sample) {
        let mut profits = Vec::new();
        let mut work = Vec::new();
        for at in 0..runs {
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (u64::from(at) << 20));
            let prices = price::path(assumed, DAYS, &mut rng);
            let outcome = self.one(params, assumed, &prices, &mut rng);
            profits.push(outcome.profit);
            work.push(outcome.governance);
        }
        (Sample::of(&profits), Sample::of(&work))
    }

    fn one(self, params: &Params, assumed: &Assumptions, prices: &[f64], rng: &mut impl Rng) -> Outcome {
        let Some((attack, honest)) = self.conducts() else {
            return false_accusations(params, assumed, prices, rng);
        };
        let deposit = params.node_minimum;
        let attacked = run::run(params, assumed, &attack, deposit, prices, rng);
        let behaved = run::run(params, assumed, &honest, deposit, prices, rng);
        Outcome {
            profit: attacked.profit - behaved.profit,
            governance: attacked.governance - behaved.governance,
        }
    }

    /// The attack and what the same machines earn honestly.
    fn conducts(self) -> Option<(Conduct, Conduct)> {
        let honest = Conduct::HONEST;
        let over_selling = Conduct { stakes: 10, ..honest };
        let tampering = Conduct { tampers: Tampers::AtOnce, ..honest };
        let twenty = Conduct { stakes: 20, machines: 20, ..honest };
        Some(match self {
            Self::Lazy => (Conduct { uptime: 0.9, ..honest }, honest),
            Self::OverSelling => (over_selling, honest),
            Self::Tampering => (tampering, honest),
            Self::TamperingAfterAFall => {
                (Conduct { tampers: Tampers::WhenSuiFallsTo(0.5), ..honest }, honest)
            }
            Self::Sybil => (Conduct { tampers: Tampers::AtOnce, ..twenty }, twenty),
            Self::Whitewashing => (Conduct { tampers: Tampers::Monthly, ..honest }, honest),
            Self::SelfReporting => (Conduct { reports_itself: true, ..tampering }, honest),
            Self::Griefing => (Conduct { contests: true, ..over_selling }, honest),
            Self::FalseAccusations => return None,
        })
    }
}

/// One wave against all nodes: those that do not contest are slashed, and the first contested case that governance
/// sees through retires the enclave and dismisses what is still open. Compared with doing nothing.
fn false_accusations(params: &Params, assumed: &Assumptions, prices: &[f64], rng: &mut impl Rng) -> Outcome {
    let price = prices.first().copied().unwrap_or_default();
    let bps = params.attestation_bps.min(params.cap_bps);
    let reward = usd(share(share(params.node_minimum, bps), params.reporter_bps), price);
    let mut outcome = Outcome { profit: -assumed.enclave_break_usd, governance: 0.0 };
    let mut upheld = 0u32;
    let mut seen = false;
    for _ in 0..assumed.victims {
        if rng.random::<f64>() < assumed.victims_contest {
            outcome.governance += assumed.review_usd;
            seen |= rng.random::<f64>() < assumed.governance_sees;
        } else {
            upheld += 1;
        }
    }
    // Governance acts within the contest window, and dismisses the uncontested cases of that enclave too.
    if !seen {
        outcome.profit += f64::from(assumed.victims) * reward;
    } else if params.contest_ms < crate::params::DAY_MS {
        outcome.profit += f64::from(upheld) * reward;
    }
    outcome
}
