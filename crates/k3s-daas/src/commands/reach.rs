//! Every entry function of the contracts can be called from the command line.

use std::path::Path;

fn text(directory: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let mut text = String::new();
    let mut left = vec![root];
    while let Some(path) = left.pop() {
        for entry in std::fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    text
}

/// `chain` tests that there is a call for each entry function of the compiled contracts; here each call is used.
#[test]
fn every_call_of_the_contracts_has_a_command() {
    let commands = text("src");
    let calls = text("../chain/src/calls");
    let mut count = 0;
    for (at, found) in calls.match_indices("    pub fn ") {
        let name = calls[at + found.len()..].split('(').next().unwrap();
        // Key servers of Seal run `seal_approve` for whoever recovers: `custody` makes it for them.
        if ["new", "package", "seal_approve"].contains(&name) {
            continue;
        }
        count += 1;
        assert!(commands.contains(&format!(".{name}(")), "no command calls {name}");
    }
    assert!(count >= 60, "{count}");
    for kind in calls.split("pub enum Migrating {").nth(1).unwrap().split('}').next().unwrap().lines() {
        if let Some(kind) = kind.trim().strip_suffix("(Address),") {
            assert!(commands.contains(&format!("Migrating::{kind}")), "{kind} is not migrated");
        }
    }
}
