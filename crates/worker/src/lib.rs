//! The staker's agent.
#![forbid(unsafe_code)]

pub mod agent;
