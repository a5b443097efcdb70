//! Several machines, as network namespaces: a master and three workers, one of them behind NAT, from the real binary
//! and the commands that a staker uses.
//!
//! `cargo test -p hosts` runs all scenarios; `cargo test -p hosts -- NAME…` those whose name contains NAME. Needs root.
//! `HOSTS_KEEP_LOGS=1` copies the workers' logs to /tmp; `HOSTS_CLUSTER='flannel_backend = "vxlan"'` is put into
//! `[cluster]`.
#![forbid(unsafe_code)]
// It is its own test runner and prints as one.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a test harness of our own prints its report")]

mod attested;
mod crash;
mod disaster;
mod faults;
mod hosts;
mod lan;
mod leaving;
mod network;
mod pods;
mod reach;
mod slow;
mod storage;

use std::process::ExitCode;

use e2e::{Outcome, Scenario, command};
use hosts::Hosts;

/// In this order: each leaves the machines as the next one needs them.
const SCENARIOS: &[Scenario<Hosts>] = &[
    ("three_workers_are_ready_one_behind_nat", network::all_ready),
    ("pods_reach_each_other_by_address_service_and_name", network::pods_reach_each_other),
    ("pods_that_want_an_attested_node_run_on_it_and_nowhere_else", attested::attested),
    ("a_volume_survives_its_pod_and_goes_with_its_claim", storage::volume_survives),
    ("a_service_answers_at_the_addresses_of_nodes", network::load_balancer),
    ("logs_and_exec_reach_the_node_behind_nat", network::logs_and_exec),
    ("port_forward_reaches_the_node_behind_nat", reach::port_forward),
    ("cp_reaches_the_node_behind_nat", reach::copy),
    ("a_webhook_behind_nat_is_asked", reach::webhook),
    ("kubectl_top_shows_nodes_and_pods", network::metrics),
    ("an_exec_behind_nat_arrives_though_packets_are_lost", faults::loss),
    (DELAY, slow::delay),
    ("kill_9_of_a_worker_needs_no_hand", crash::worker),
    ("kill_9_of_the_master_stops_no_workload", crash::master),
    (PARTITION, faults::partition),
    ("a_lost_master_comes_back_at_another_endpoint_with_5000_objects", disaster::lost_master),
    ("nodes_that_prove_nothing_are_emptied_where_proof_is_required", attested::required),
    ("a_node_leaves_in_order_and_what_it_served_is_served_on", leaving::in_order),
];

/// These take minutes, so they run when they are named, or with `HOSTS_LONG=1`.
const LONG: [&str; 2] = [DELAY, PARTITION];
const DELAY: &str = "half_a_second_of_delay_is_borne";
const PARTITION: &str = "an_exec_ends_with_its_tunnel_which_comes_back";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let [_, word, ports @ ..] = &args[..]
        && word == slow::PROXY
    {
        return slow::proxy(ports);
    }
    let filters: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    // What others build on always runs.
    let chosen: Vec<&Scenario<Hosts>> = SCENARIOS
        .iter()
        .enumerate()
        .filter(|(at, (name, _))| {
            let all =
                filters.is_empty() && (!LONG.contains(name) || std::env::var_os("HOSTS_LONG").is_some());
            *at < 2 || all || filters.iter().any(|filter| name.contains(filter.as_str()))
        })
        .map(|(_, scenario)| scenario)
        .collect();
    if !rustix::process::geteuid().is_root() {
        println!("SKIPPED, ALL OF THEM: network namespaces and kubelets need root: run `sudo make test`");
        return ExitCode::SUCCESS;
    }
    e2e::play(SCENARIOS.len(), &chosen, Hosts::start, |hosts| hosts.log_tail("master", 60))
}
