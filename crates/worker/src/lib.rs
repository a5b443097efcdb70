//! The staker's agent.
