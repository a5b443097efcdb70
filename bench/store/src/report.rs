//! Results as Markdown.

use std::fmt::Write as _;

use crate::result::{Figure, Goal, RowResult};
use crate::server::Kind;
use crate::stats::{median, spread};

/// Why goals were not reached, which no harness knows: kept by hand.
const NOT_REACHED: &str = include_str!("../../NOT-REACHED.md");

/// The figures of these rows as one table: medians, with smallest and largest run.
pub(crate) fn table(results: &[RowResult]) -> String {
    let mut out = "| load | figure | etcd | k3s-daas | ratio | goal | reached | kine |\n\
        |---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for result in results {
        for (index, figure) in result.figures.iter().enumerate() {
            let load = if index == 0 { result.title.as_str() } else { "" };
            let ratio = ratio(figure).map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}×"));
            let goal = figure.goal.map_or_else(String::new, |goal| goal_text(goal, &figure.unit));
            let reached = match (figure.goal, reached(figure)) {
                (Some(_), Some(true)) => "yes",
                (Some(_), Some(false)) => "**no**",
                _ => "",
            };
            let [etcd, ours, kine] =
                [Kind::Etcd, Kind::Ours, Kind::Kine].map(|kind| samples_text(figure, kind));
            let name = unit_text(figure);
            let _infallible = writeln!(
                out,
                "| {load} | {name} | {etcd} | {ours} | {ratio} | {goal} | {reached} | {kine} |"
            );
        }
    }
    out
}

/// The whole of `bench/RESULTS.md`.
pub(crate) fn document(results: &[RowResult]) -> String {
    let mut out = "# The store beside its peers\n\n\
        Written by `make bench-store`; [README.md](README.md) says what each row means and what bounds it. Medians, with\n\
        the smallest and the largest run in brackets; ratio is k3s-daas to etcd. Servers take turns, run by run, on the\n\
        same machine, which the load generator shares with them. Encryption and fsync are on. CPU is the server's, user\n\
        and system, until it is quiet again after the load; written bytes are those of the server process.\n\n"
        .to_owned();
    out += &table(results);
    out += "\n| row | command | runs | date (UTC) | took |\n|---|---|---|---|---|\n";
    for result in results {
        let _infallible = writeln!(
            out,
            "| {} | `make bench-store ROWS={} RUNS={}` | {} | {} | {:.0} s |",
            result.title, result.row, result.runs, result.runs, result.date, result.seconds
        );
    }
    let mut measured: Vec<&String> =
        results.iter().flat_map(|result| result.versions.iter().chain([&result.machine])).collect();
    measured.sort();
    measured.dedup();
    out += "\nMeasured: ";
    out += &measured.into_iter().map(String::as_str).collect::<Vec<_>>().join("; ");
    out += ".\n\n";
    out + NOT_REACHED
}

fn ratio(figure: &Figure) -> Option<f64> {
    let etcd = median(figure.samples.get(&Kind::Etcd)?);
    let ours = median(figure.samples.get(&Kind::Ours)?);
    (etcd > 0.0).then(|| ours / etcd)
}

fn reached(figure: &Figure) -> Option<bool> {
    Some(match figure.goal? {
        Goal::RatioAtLeast(least) => ratio(figure)? >= least,
        Goal::RatioAtMost(most) => ratio(figure)? <= most,
        Goal::AtMost(most) => median(figure.samples.get(&Kind::Ours)?) <= most,
    })
}

fn goal_text(goal: Goal, unit: &str) -> String {
    match goal {
        Goal::RatioAtLeast(least) => format!("≥ {least:.2}×"),
        Goal::RatioAtMost(most) => format!("≤ {most:.2}×"),
        Goal::AtMost(most) => format!("≤ {most} {unit}"),
    }
}

fn unit_text(figure: &Figure) -> String {
    if figure.unit.is_empty() { figure.name.clone() } else { format!("{}, {}", figure.name, figure.unit) }
}

fn samples_text(figure: &Figure, kind: Kind) -> String {
    let Some(samples) = figure.samples.get(&kind) else { return "–".to_owned() };
    let (low, high) = spread(samples);
    if samples.len() == 1 {
        return number(low);
    }
    format!("{} ({}–{})", number(median(samples)), number(low), number(high))
}

/// Three digits are all that a run of seconds can say.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => {
            let digits = format!("{value:.0}");
            let (head, tail) = digits.split_at(digits.len() - 3);
            format!("{head} {tail}")
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(goal: Goal, etcd: &[f64], ours: &[f64]) -> Figure {
        Figure {
            name: "throughput".to_owned(),
            unit: "op/s".to_owned(),
            goal: Some(goal),
            samples: [(Kind::Etcd, etcd.to_vec()), (Kind::Ours, ours.to_vec())].into(),
        }
    }

    #[test]
    fn goals_are_judged_by_medians() {
        let runs = ([100.0, 90.0, 400.0], [200.0, 150.0, 150.0]);
        assert_eq!(reached(&figure(Goal::RatioAtLeast(1.5), &runs.0, &runs.1)), Some(true));
        assert_eq!(reached(&figure(Goal::RatioAtLeast(1.6), &runs.0, &runs.1)), Some(false));
        assert_eq!(reached(&figure(Goal::RatioAtMost(1.4), &runs.0, &runs.1)), Some(false));
        assert_eq!(reached(&figure(Goal::AtMost(150.0), &runs.0, &runs.1)), Some(true));
        assert_eq!(reached(&figure(Goal::RatioAtLeast(1.0), &[], &runs.1)), None);
    }

    #[test]
    fn what_was_not_reached_is_explained_below_the_table() {
        let document = document(&[]);
        assert!(document.contains("\nMeasured: "), "{document}");
        assert!(document.ends_with(NOT_REACHED) && NOT_REACHED.starts_with("## Not reached\n"), "{document}");
    }

    #[test]
    fn numbers_have_three_digits() {
        let shown = [12_345.6, 1_000.0, 123.4, 12.34, 1.234].map(number);
        assert_eq!(shown, ["12 346", "1 000", "123", "12.3", "1.23"]);
    }
}
