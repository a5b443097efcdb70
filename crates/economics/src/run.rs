//! One agent on one path of the price: what it ends with.

use rand::Rng;

use crate::assumptions::Assumptions;
use crate::conduct::{Conduct, Tampers};
use crate::params::{DAY_MS, MIST_PER_SUI, Params};

/// What a run came to, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    /// Rewards and gains, less machines, capital and penalties.
    pub(crate) profit: f64,
    /// Work that the agent made for governance.
    pub(crate) governance: f64,
}

/// Plays `conduct` day by day over `prices` (US dollars per SUI), each stake at `deposit` MIST.
pub(crate) fn run(
    params: &Params,
    assumed: &Assumptions,
    conduct: &Conduct,
    deposit: u64,
    prices: &[f64],
    rng: &mut impl Rng,
) -> Outcome {
    let mut run = Run {
        params,
        assumed,
        conduct,
        deposit,
        stakes: vec![Stake::new(deposit); conduct.stakes as usize],
        tampered: false,
        outcome: Outcome::default(),
    };
    for (day, price) in prices.iter().enumerate() {
        run.day(day, *price, prices[0], rng);
    }
    // What is proposed and not yet executed is still taken: a frozen stake does not leave.
    if let Some(price) = prices.last() {
        run.execute(usize::MAX, *price);
    }
    run.outcome
}

struct Run<'a> {
    params: &'a Params,
    assumed: &'a Assumptions,
    conduct: &'a Conduct,
    deposit: u64,
    stakes: Vec<Stake>,
    tampered: bool,
    outcome: Outcome,
}

#[derive(Clone)]
struct Stake {
    balance: u64,
    /// Earns: its token is live.
    live: bool,
    /// The cap's period: the day it began, what the stake held then, what was frozen since.
    period: (usize, u64, u64),
    cases: Vec<Case>,
}

/// A penalty that was proposed: its amount is frozen, and taken when it is executed.
#[derive(Clone, Copy)]
struct Case {
    amount: u64,
    executed_on: usize,
}

impl Stake {
    fn new(balance: u64) -> Self {
        Self { balance, live: true, period: (0, balance, 0), cases: Vec::new() }
    }
}

impl Run<'_> {
    fn day(&mut self, day: usize, price: f64, first_price: f64, rng: &mut impl Rng) {
        self.pay_for_machines_and_capital(price);
        self.earn(price);
        if self.conduct.uptime * 10_000.0 < f64::from(self.params.uptime_bps) {
            for at in 0..self.stakes.len() {
                if self.stakes[at].live {
                    self.accuse(at, self.params.downtime_bps, day);
                }
            }
        }
        self.oversell(day, rng);
        if self.tampers_today(day, price, first_price) {
            self.tamper(day, rng);
        }
        self.execute(day, price);
    }

    fn pay_for_machines_and_capital(&mut self, price: f64) {
        let machines = f64::from(self.conduct.machines) * self.conduct.uptime;
        self.outcome.profit -= machines * self.assumed.machine_usd_per_day;
        let locked: u64 = self.stakes.iter().map(|stake| stake.balance).sum();
        self.outcome.profit -= usd(locked, price) * self.assumed.capital_rate / 365.0;
    }

    fn earn(&mut self, price: f64) {
        let live = self.stakes.iter().filter(|stake| stake.live).count() as f64;
        self.outcome.profit += live * self.conduct.uptime * usd(self.params.reward_per_day, price);
    }

    /// Nodes beyond the machines there are get found out one by one, and lose their tokens.
    fn oversell(&mut self, day: usize, rng: &mut impl Rng) {
        let live = (0..self.stakes.len()).filter(|at| self.stakes[*at].live);
        let beyond: Vec<usize> = live.skip(self.conduct.machines as usize).collect();
        for at in beyond {
            if rng.random::<f64>() < self.assumed.overselling_found_per_day {
                self.stakes[at].live = false;
                self.accuse(at, self.params.attestation_bps, day);
            }
        }
    }

    fn tampers_today(&self, day: usize, price: f64, first_price: f64) -> bool {
        match self.conduct.tampers {
            Tampers::Never => false,
            Tampers::AtOnce => !self.tampered,
            Tampers::WhenSuiFallsTo(share) => !self.tampered && price <= share * first_price,
            Tampers::Monthly => day.is_multiple_of(30),
        }
    }

    /// From the last stake; where that one was found out before, from a new one of the smallest size.
    fn tamper(&mut self, day: usize, rng: &mut impl Rng) {
        if self.stakes.last().is_none_or(|stake| !stake.live) {
            self.stakes.push(Stake::new(self.deposit));
        }
        let last = self.stakes.len() - 1;
        self.tampered = true;
        self.outcome.profit += self.assumed.tampering_gain_usd;
        if rng.random::<f64>() < self.assumed.tampering_found {
            self.stakes[last].live = false;
            self.accuse(last, self.params.tampering_bps, day);
        }
    }

    fn accuse(&mut self, at: usize, bps: u16, day: usize) {
        let mut wait = self.params.contest_ms;
        if self.conduct.contests {
            wait += self.params.extension_ms;
            self.outcome.governance += self.assumed.review_usd;
        }
        let stake = &mut self.stakes[at];
        if (day - stake.period.0) as u64 * DAY_MS >= self.params.cap_period_ms {
            stake.period = (day, stake.balance, 0);
        }
        let (_, base, frozen) = stake.period;
        let amount = share(base, bps).min(share(base, self.params.cap_bps) - frozen);
        stake.period.2 += amount;
        stake.cases.push(Case { amount, executed_on: day + wait.div_ceil(DAY_MS) as usize });
    }

    fn execute(&mut self, day: usize, price: f64) {
        for stake in &mut self.stakes {
            let due = stake.cases.extract_if(.., |case| case.executed_on <= day);
            let taken = due.map(|case| case.amount).sum::<u64>().min(stake.balance);
            stake.balance -= taken;
            self.outcome.profit -= usd(taken, price);
            if self.conduct.reports_itself {
                self.outcome.profit += usd(share(taken, self.params.reporter_bps), price);
            }
        }
    }
}

/// `bps` of `amount`, rounded down.
pub(crate) fn share(amount: u64, bps: u16) -> u64 {
    (u128::from(amount) * u128::from(bps.min(10_000)) / 10_000) as u64
}

/// MIST in US dollars at `price` per SUI.
pub(crate) fn usd(mist: u64, price: f64) -> f64 {
    mist as f64 / MIST_PER_SUI * price
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A world without chance: SUI at $1, everything is found out.
    fn certain() -> (Params, Assumptions, [f64; 40]) {
        let params = Params { node_minimum: 1_000_000_000_000, ..Params::recommended() };
        let assumed = Assumptions {
            sui_usd: 1.0,
            machine_usd_per_day: 0.0,
            capital_rate: 0.0,
            overselling_found_per_day: 1.0,
            tampering_found: 1.0,
            ..Assumptions::default()
        };
        (params, assumed, [1.0; 40])
    }

    fn profit(params: &Params, assumed: &Assumptions, conduct: &Conduct, prices: &[f64]) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        run(params, assumed, conduct, params.node_minimum, prices, &mut rng).profit
    }

    #[test]
    fn an_honest_node_earns_its_reward_less_machine_and_capital() {
        let (params, _, prices) = certain();
        let assumed = Assumptions { machine_usd_per_day: 0.5, capital_rate: 0.365, ..certain().1 };
        let earned = profit(&params, &assumed, &Conduct::HONEST, &prices);
        // A day: 0.999 of (1 SUI - 0.5), less 1000 SUI at 0.1 %.
        assert!((earned - 40.0 * (0.999 * 0.5 - 1.0)).abs() < 1e-6, "{earned}");
    }

    #[test]
    fn tampering_that_is_found_costs_its_share_and_every_later_reward() {
        let (mut params, assumed, prices) = certain();
        params.tampering_bps = 4_000;
        let conduct = Conduct { tampers: Tampers::AtOnce, ..Conduct::HONEST };
        let earned = profit(&params, &assumed, &conduct, &prices);
        assert!((earned - (0.999 + 500.0 - 400.0)).abs() < 1e-6, "{earned}");
    }

    #[test]
    fn the_cap_holds_within_a_period_and_not_beyond() {
        let (mut params, assumed, prices) = certain();
        (params.cap_bps, params.downtime_bps) = (100, 50);
        params.reward_per_day = 0;
        let conduct = Conduct { uptime: 0.5, ..Conduct::HONEST };
        // The first period takes 1 % of 1000 SUI; the second, from day 30, 1 % of the 990 that were left.
        let earned = profit(&params, &assumed, &conduct, &prices);
        assert!((earned + 10.0 + 9.9).abs() < 1e-6, "{earned}");
    }

    #[test]
    fn nine_of_ten_nodes_on_one_machine_are_found_on_the_first_day() {
        let (params, assumed, prices) = certain();
        let conduct = Conduct { stakes: 10, ..Conduct::HONEST };
        let earned = profit(&params, &assumed, &conduct, &prices);
        assert!((earned - (40.0 * 0.999 + 9.0 * 0.999 - 9.0 * 200.0)).abs() < 1e-6, "{earned}");
    }

    #[test]
    fn an_accomplice_hands_back_only_the_reporters_share() {
        let (mut params, assumed, prices) = certain();
        params.reporter_bps = 2_500;
        let alone = Conduct { tampers: Tampers::AtOnce, ..Conduct::HONEST };
        let together = Conduct { reports_itself: true, ..alone };
        let gained =
            profit(&params, &assumed, &together, &prices) - profit(&params, &assumed, &alone, &prices);
        assert!((gained - 250.0).abs() < 1e-6, "{gained}");
    }

    #[test]
    fn a_penalty_still_open_at_the_end_is_taken() {
        let (mut params, assumed, _) = certain();
        params.contest_ms = 90 * DAY_MS;
        let conduct = Conduct { tampers: Tampers::AtOnce, ..Conduct::HONEST };
        let earned = profit(&params, &assumed, &conduct, &[1.0; 5]);
        assert!((earned - (0.999 + 500.0 - 1_000.0)).abs() < 1e-6, "{earned}");
    }

    #[test]
    fn a_new_stake_after_each_slash_is_slashed_again() {
        let (params, assumed, prices) = certain();
        let conduct = Conduct { tampers: Tampers::Monthly, ..Conduct::HONEST };
        let earned = profit(&params, &assumed, &conduct, &prices);
        assert!((earned - 2.0 * (0.999 + 500.0 - 1_000.0)).abs() < 1e-3 + 0.999, "{earned}");
    }
}
