//! The table of what calls cost, in `docs/gas.md`: what the sequences cost must be what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::world::Counts;

/// The line before the table.
const MARK: &str = "<!-- calls -->\n";
/// Set to write the table anew.
const WRITE: &str = "INVARIANTS_WRITE_GAS";
/// How far a figure may be off before the table is out of date, in percent.
const TOLERANCE: u64 = 10;

/// The public functions of the contracts that change something: those that give nothing back, and the upgrade's ticket.
pub(crate) fn entries() -> BTreeSet<String> {
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/sources");
    let mut entries = BTreeSet::new();
    for file in std::fs::read_dir(sources).unwrap() {
        let path = file.unwrap().path();
        let module = path.file_stem().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        for function in text.split("\npublic fun ").skip(1) {
            let head = function.split_once('{').unwrap().0;
            let name = head.split(['(', '<']).next().unwrap();
            let changes = !head.contains("):") || head.contains("): UpgradeTicket");
            if changes && !name.starts_with("check") {
                entries.insert(format!("{module}::{name}"));
            }
        }
    }
    entries
}

pub(crate) fn check(counts: &Counts) {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/gas.md"));
    let text = std::fs::read_to_string(path).unwrap();
    let (before, table) = text.split_once(MARK).expect("docs/gas.md has a place for the table");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(path, format!("{before}{MARK}{}", render(counts))).unwrap();
        return;
    }
    let written: BTreeMap<&str, (u64, i64)> = table.lines().skip(3).filter_map(row).collect();
    for (function, count) in counts {
        let found = written.get(function.as_str()).copied().unwrap_or_default();
        let near = found.1.abs_diff(count.mist) * 100 <= count.mist.unsigned_abs() * TOLERANCE;
        assert!(
            near && found.0 == count.units,
            "docs/gas.md says {found:?} of {function}, it costs {:?}; write it anew with {WRITE}=1",
            (count.units, count.mist)
        );
    }
    assert_eq!(written.len(), counts.len(), "docs/gas.md names a function that is not called");
}

fn render(counts: &Counts) -> String {
    let mut table = "\n| function | units | MIST |\n|---|---:|---:|\n".to_owned();
    for (function, count) in counts {
        table += &format!("| `{function}` | {} | {} |\n", count.units, count.mist);
    }
    table
}

fn row(line: &str) -> Option<(&str, (u64, i64))> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    let function = cells.next()?.trim_matches('`');
    Some((function, (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?)))
}
