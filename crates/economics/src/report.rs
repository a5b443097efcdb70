//! The report as Markdown with its plots.

mod plots;

use std::fmt::Write;

use crate::assumptions::Assumptions;
use crate::attack::{Attack, DAYS};
use crate::deter::{curve, deterred_from};
use crate::params::{MIST_PER_SUI, Params};
use crate::sample::Sample;
use plots::{penalty_plot, stake_plot, swings_plot};

/// The finished report: a page, and the plots that it shows, by file name.
pub struct Report {
    /// Markdown.
    pub page: String,
    /// File name and SVG.
    pub plots: Vec<(&'static str, String)>,
}

/// Plays every attack `runs` times at every stake, and writes down what came out. The plots are linked below `plots_dir`.
#[must_use]
pub fn report(params: &Params, assumed: &Assumptions, runs: u32, seed: u64, plots_dir: &str) -> Report {
    let curves: Vec<Curve> = Attack::ALL
        .into_iter()
        .map(|attack| Curve { attack, points: curve(attack, params, assumed, runs, seed) })
        .collect();
    let mut page = String::new();
    head(&mut page, runs, seed);
    assumptions(&mut page, assumed);
    finders(&mut page, params, assumed, runs, seed);
    verdicts(&mut page, params, assumed, &curves, runs, seed);
    let _ = write!(page, "\n![advantage against stake]({plots_dir}/stake.svg)\n");
    swings(&mut page, params, assumed, runs, seed, plots_dir);
    levers(&mut page, params, assumed, runs, seed, plots_dir);
    recommended(&mut page, params);
    Report {
        page,
        plots: vec![
            ("stake.svg", stake_plot(&curves)),
            ("swings.svg", swings_plot(params, assumed, runs, seed)),
            ("penalty.svg", penalty_plot(params, assumed, runs, seed)),
        ],
    }
}

struct Curve {
    attack: Attack,
    points: Vec<(u64, Sample)>,
}

fn head(page: &mut String, runs: u32, seed: u64) {
    let _ = write!(
        page,
        "# Does an attack pay?\n\n\
         Made by `k3s-daas simulate economics --runs {runs} --seed {seed}`; a test keeps this page and the program the same. \
         It is a model of incentives over assumed prices and chances, and no forecast: put in your own with \
         `--assumptions FILE` and read your own page.\n\n\
         Each figure is the mean, over {runs} seeded paths of SUI's price, of what an agent has after {DAYS} days beyond an \
         honest one with the same machines on the same path: rewards and gains, less machines, the cost of locked money \
         and penalties. An attack *pays* unless that mean is below zero by more than the half-width of its 95 % confidence interval.\n"
    );
}

fn assumptions(page: &mut String, assumed: &Assumptions) {
    page.push_str("\n## Assumed\n\n| what | value |\n|---|---|\n");
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    let rows = [
        ("`sui_usd`: SUI at the start", format!("${:.2}", assumed.sui_usd)),
        ("`volatility`: of its price, a year", percent(assumed.volatility)),
        (
            "`crashes_per_year`, `crash_depth`: crashes, and how far down",
            format!("{}, {}", assumed.crashes_per_year, percent(assumed.crash_depth)),
        ),
        ("`machine_usd_per_day`: a machine that is on", format!("${:.2}", assumed.machine_usd_per_day)),
        ("`capital_rate`: what locked money could earn, a year", percent(assumed.capital_rate)),
        (
            "`overselling_found_per_day`: a node without a machine of its own is found out, a day",
            percent(assumed.overselling_found_per_day),
        ),
        (
            "`tampering_gain_usd`: what tampering with one node's pods brings",
            format!("${:.0}", assumed.tampering_gain_usd),
        ),
        ("`tampering_found`: it is proven", percent(assumed.tampering_found)),
        (
            "`enclave_break_usd`: making an enclave sign what is not true",
            format!("${:.0}", assumed.enclave_break_usd),
        ),
        ("`victims`: nodes that can be accused", assumed.victims.to_string()),
        ("`victims_contest`: a falsely accused staker contests in time", percent(assumed.victims_contest)),
        ("`governance_sees`: governance sees through one such case", percent(assumed.governance_sees)),
        ("`review_usd`: work on one contested case", format!("${:.0}", assumed.review_usd)),
    ];
    for (name, value) in rows {
        let _ = writeln!(page, "| {name} | {value} |");
    }
}

/// The chances that something is found are assumed; what a cluster finds by itself is not.
fn finders(page: &mut String, params: &Params, assumed: &Assumptions, runs: u32, seed: u64) {
    let blind = Assumptions { overselling_found_per_day: 0.0, tampering_found: 0.0, ..*assumed };
    let _ = write!(
        page,
        "\n## Who finds it\n\nThe chain punishes what is shown to it.\n\n| fault | who proposes its penalty |\n|---|---|\n\
         | downtime | the master, by itself |\n\
         | contradiction | the master, by itself; anybody who has both statements |\n\
         | attestation, tampering | nobody by themselves: the chain takes both from a mature enclave alone, and the \
         master's code observes and signs neither |\n\n\
         So the chances that over-selling (judged as failed attestation) and tampering are found stand for enclave code that \
         a cluster would have to add and allow. With the master as it is both are 0; all else as recommended, these \
         pay then: {}.\n",
        paying(params, &blind, runs, seed)
    );
}

fn verdicts(
    page: &mut String,
    params: &Params,
    assumed: &Assumptions,
    curves: &[Curve],
    runs: u32,
    seed: u64,
) {
    page.push_str(
        "\n## Each attack\n\nAs a new cluster is by default (100 MIST a node) and as recommended below; the stake from which it loses with all else as recommended.\n\n\
         | attack | what it does | by default | recommended | loses from a stake of | governance's work |\n\
         |---|---|---|---|---|---|\n",
    );
    let mission = Params::mission();
    for Curve { attack, points } in curves {
        let from = deterred_from(points).map_or("never".to_owned(), sui);
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {from} | ${:.0} |",
            attack.name(),
            describe(*attack),
            verdict(attack.advantage(&mission, assumed, runs, seed)),
            verdict(attack.advantage(params, assumed, runs, seed)),
            attack.governance_work(params, assumed, runs, seed),
        );
    }
}

fn describe(attack: Attack) -> &'static str {
    match attack {
        Attack::Lazy => "off for a tenth of the time",
        Attack::OverSelling => "ten nodes on one machine",
        Attack::Tampering => "reads or changes its pods once",
        Attack::TamperingAfterAFall => "waits until SUI is worth half, then tampers",
        Attack::Sybil => "twenty nodes, tampers from one",
        Attack::Whitewashing => "tampers monthly, each time with a new stake",
        Attack::SelfReporting => "tampers, and an accomplice collects the reporter's share",
        Attack::FalseAccusations => "breaks an enclave, accuses everybody, collects the reporter's share",
        Attack::Griefing => "over-sells and contests every slash",
    }
}

fn verdict(sample: Sample) -> String {
    let word = if sample.pays() { "**pays**" } else { "loses" };
    format!("{word}: ${:.2} ± {:.2}", sample.mean, sample.error)
}

fn swings(page: &mut String, params: &Params, assumed: &Assumptions, runs: u32, seed: u64, plots_dir: &str) {
    page.push_str(
        "\n## When SUI's price moves\n\nGains are worth dollars and penalties SUI, so a fall of SUI makes attacks cheaper. \
         The stake from which every attack loses:\n\n| price | every attack loses from |\n|---|---|\n",
    );
    for (name, world) in worlds(assumed) {
        let from = Attack::ALL
            .into_iter()
            .map(|attack| deterred_from(&curve(attack, params, &world, runs, seed)))
            .collect::<Option<Vec<u64>>>()
            .and_then(|all| all.into_iter().max());
        let _ = writeln!(page, "| {name} | {} |", from.map_or("never".to_owned(), sui));
    }
    let _ = write!(page, "\n![tampering, by price]({plots_dir}/swings.svg)\n");
}

/// The same world with other prices.
fn worlds(assumed: &Assumptions) -> [(&'static str, Assumptions); 4] {
    let still = Assumptions { volatility: 0.0, crashes_per_year: 0.0, ..*assumed };
    [
        ("does not move", still),
        ("as assumed", *assumed),
        (
            "twice the volatility, four crashes a year",
            Assumptions { volatility: assumed.volatility * 2.0, crashes_per_year: 4.0, ..*assumed },
        ),
        ("starts at a fifth", Assumptions { sui_usd: assumed.sui_usd / 5.0, ..*assumed }),
    ]
}

fn levers(page: &mut String, params: &Params, assumed: &Assumptions, runs: u32, seed: u64, plots_dir: &str) {
    page.push_str(
        "\n## Which parameter carries what\n\nOne parameter changed, all else as recommended: the attacks that then pay.\n\n\
         | changed | pays |\n|---|---|\n",
    );
    let changes = [
        ("`tampering_bps` 1 %", Params { tampering_bps: 100, ..*params }),
        ("`cap_bps` 5 %", Params { cap_bps: 500, ..*params }),
        ("`attestation_bps` 0.1 %", Params { attestation_bps: 10, ..*params }),
        (
            "`downtime_bps` 0, reward a tenth",
            Params { downtime_bps: 0, reward_per_day: params.reward_per_day / 10, ..*params },
        ),
        ("`reporter_bps` 50 %, the most there is", Params { reporter_bps: 5_000, ..*params }),
        (
            "`contest_ms` an hour, `attestation_bps` 100 %, `reporter_bps` 50 %, twice the stake",
            Params {
                contest_ms: 3_600_000,
                attestation_bps: 10_000,
                reporter_bps: 5_000,
                node_minimum: params.node_minimum * 2,
                ..*params
            },
        ),
    ];
    for (name, changed) in changes {
        let _ = writeln!(page, "| {name} | {} |", paying(&changed, assumed, runs, seed));
    }
    let _ = write!(page, "\n![tampering, by penalty]({plots_dir}/penalty.svg)\n");
}

/// The attacks that pay, in words.
fn paying(params: &Params, assumed: &Assumptions, runs: u32, seed: u64) -> String {
    let pays = |attack: &Attack| attack.advantage(params, assumed, runs, seed).pays();
    let names: Vec<&str> = Attack::ALL.into_iter().filter(pays).map(Attack::name).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

fn recommended(page: &mut String, params: &Params) {
    let mission = Params::mission();
    let percent = |bps: u16| format!("{} %", f64::from(bps) / 100.0);
    let days = |ms: u64| format!("{} d", ms / crate::params::DAY_MS);
    let _ = write!(
        page,
        "\n## Parameters\n\n| parameter | default | for real money, under these assumptions |\n|---|---|---|\n\
         | node stake | {} MIST | {} |\n| user stake | {} MIST | {} |\n| admin stake | {} MIST | {} |\n\
         | reward a day (an assumption: the pool decides) | {} | {} |\n| `uptime_bps` | {} | {} |\n\
         | `penalty_bps`: downtime, an epoch | {} | {} |\n| `penalty_bps`: attestation | {} | {} |\n\
         | `penalty_bps`: contradiction | {} | {} |\n| `penalty_bps`: tampering | {} | {} |\n\
         | `cap_bps` | {} | {} |\n| `cap_period_ms` | {} | {} |\n| `reporter_bps` | {} | {} |\n\
         | `contest_ms` | {} | {} |\n| `extension_ms` | {} | {} |\n\n\
         The defaults show every mechanism and deter nobody. Stakes of users and administrators are not modelled: a \
         user's makes throw-away identities cost something, and an administrator, who can do more than a node, has twice a node's. `k3s-daas publish` plays the attacks against the \
         parameters that it is about to set, and warns of each that pays.\n",
        mission.node_minimum,
        sui(params.node_minimum),
        mission.user_minimum,
        sui(params.user_minimum),
        mission.admin_minimum,
        sui(params.admin_minimum),
        sui(mission.reward_per_day),
        sui(params.reward_per_day),
        percent(mission.uptime_bps),
        percent(params.uptime_bps),
        percent(mission.downtime_bps),
        percent(params.downtime_bps),
        percent(mission.attestation_bps),
        percent(params.attestation_bps),
        percent(mission.contradiction_bps),
        percent(params.contradiction_bps),
        percent(mission.tampering_bps),
        percent(params.tampering_bps),
        percent(mission.cap_bps),
        percent(params.cap_bps),
        days(mission.cap_period_ms),
        days(params.cap_period_ms),
        percent(mission.reporter_bps),
        percent(params.reporter_bps),
        days(mission.contest_ms),
        days(params.contest_ms),
        days(mission.extension_ms),
        days(params.extension_ms),
    );
}

/// MIST as SUI in words.
fn sui(mist: u64) -> String {
    let value = mist as f64 / MIST_PER_SUI;
    if value < 0.01 { format!("{mist} MIST") } else { format!("{} SUI", (value * 100.0).round() / 100.0) }
}
