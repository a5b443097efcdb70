//! The whole product, end to end: one cluster from `k3s-daas up`, scenarios in order, real parts only.
//!
//! `cargo test -p e2e` runs them all; `cargo test -p e2e -- NAME…` runs those whose name contains NAME.
//! `E2E_KEEP=1` leaves the cluster and its state directory behind for a look.
#![forbid(unsafe_code)]
// It is its own test runner and prints as one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test harness of our own prints its report")]

mod bad_input;
mod chain_outage;
mod cluster;
mod crash;
mod node_client;
mod pod;
mod proofs;
mod proven;
mod removal;
mod rollback;
mod secrets;
mod snapshots;
mod users;
mod wrong_master;

use std::process::ExitCode;

use cluster::Cluster;
use e2e::{Outcome, Scenario, command};

/// In this order: each leaves the cluster as the next one needs it.
const SCENARIOS: &[Scenario<Cluster>] = &[
    ("up_ends_with_a_ready_node_within_60_seconds", pod::up_is_fast),
    ("a_pod_runs_and_its_logs_and_exec_work", pod::runs_logs_exec),
    ("the_master_proves_what_it_is_and_kubectl_can_pin_it", proven::verified_and_pinned),
    ("a_user_works_in_the_granted_namespace_and_nowhere_else", users::grant_for_one_namespace),
    ("an_unknown_wallet_gets_401", users::unknown_wallet),
    ("snapshots_go_to_a_simulated_walrus_and_are_whole", snapshots::saved_listed_checked),
    ("every_bad_proof_gets_401_and_its_own_reason", proofs::refusals),
    ("no_secret_is_readable_under_the_state_directory", secrets::nothing_in_clear),
    ("bad_input_to_every_listener_is_refused_without_a_panic", bad_input::every_listener),
    ("a_revoked_node_is_out_within_a_second", removal::revoked_node),
    ("an_unstaked_node_is_out_within_a_second", removal::unstaked_node),
    ("a_chain_outage_stops_new_joins_only", chain_outage::joined_go_on),
    ("a_worker_refuses_a_master_that_the_chain_does_not_know", wrong_master::refused),
    ("kill_9_of_everything_loses_nothing", crash::kill_everything),
    ("the_state_is_anchored_and_its_keys_are_proven", rollback::anchored_and_proven),
    (
        "an_old_copy_of_the_disk_is_refused_and_a_lost_one_recovered",
        rollback::old_copy_refused_and_lost_disk_recovered,
    ),
    ("down_leaves_nothing_behind", pod::down_cleans_up),
];

fn main() -> ExitCode {
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let chosen: Vec<&Scenario<Cluster>> = SCENARIOS
        .iter()
        .filter(|(name, _)| filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str())))
        .collect();
    // The HTTPS client takes whatever provider is installed; a second call finds it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    e2e::play(SCENARIOS.len(), &chosen, Cluster::up, |cluster| cluster.log_tail(200))
}
