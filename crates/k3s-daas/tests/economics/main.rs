//! The economics and governance commands, as the binary, against a development chain.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and shows what it ran"
)]

mod cluster;
mod governance;
mod money;
mod penalties;
mod publishing;
mod stakers;
mod wallets;
mod world;

use std::process::Command;

/// What spends or changes nothing on chain has no dry run.
const READS: [&str; 13] = [
    "stake list",
    "rewards show",
    "escrow list",
    "slash list",
    "govern show",
    "govern economics show",
    "govern upgrade show",
    "cluster show",
    "enclave list",
    "grant list",
    "token list",
    "token mint",
    "token export",
];

/// The commands below `path` that do something, by what `--help` lists.
fn leaves(path: &[String]) -> Vec<Vec<String>> {
    let output = Command::new(env!("CARGO_BIN_EXE_k3s-daas")).args(path).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let below: Vec<String> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|name| name != "help")
        .collect();
    if below.is_empty() {
        return vec![path.to_vec()];
    }
    below.iter().flat_map(|name| leaves(&[path, std::slice::from_ref(name)].concat())).collect()
}

#[test]
fn every_command_is_run_here_after_its_dry_run() {
    let tests = [
        include_str!("cluster.rs"),
        include_str!("governance.rs"),
        include_str!("money.rs"),
        include_str!("penalties.rs"),
        include_str!("stakers.rs"),
        include_str!("world.rs"),
    ]
    .concat();
    let mut missing = Vec::new();
    let mut found = 0;
    for group in [
        "stake", "unstake", "withdraw", "rewards", "escrow", "slash", "govern", "cluster", "enclave",
        "grant", "token",
    ] {
        for leaf in leaves(&[group.to_owned()]) {
            let words = leaf.join(" ");
            if matches!(words.as_str(), "token mint" | "token export" | "token import") {
                continue;
            }
            found += 1;
            let quoted = format!("\"{}\"", leaf.join("\", \""));
            let asked = if READS.contains(&words.as_str()) {
                tests.contains(&format!("read(&[{quoted}"))
            } else {
                tests.contains(&quoted)
            };
            if !asked {
                missing.push(words);
            }
        }
    }
    assert!(found > 50, "{found}");
    assert!(missing.is_empty(), "never run: {missing:?}");
}
