//! What the tests on real machines share: running commands, and playing scenarios one after the other. The scenarios
//! themselves are in `scenarios/`, here and in `tests/hosts`.
#![forbid(unsafe_code)]
// It is a test runner and prints as one.
#![allow(clippy::print_stdout, reason = "a test harness of our own prints its report")]

pub mod command;
mod stage;

pub use stage::{Outcome, Scenario, play};
