//! What a cluster decides on chain, as far as money depends on it.

use serde::{Deserialize, Serialize};

/// One SUI in MIST.
pub const MIST_PER_SUI: f64 = 1e9;

/// A cluster's economic parameters. Amounts are MIST, times milliseconds, shares basis points of a stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Params {
    /// The smallest stake of a node.
    pub node_minimum: u64,
    /// The smallest stake of a user.
    pub user_minimum: u64,
    /// The smallest stake of an administrator.
    pub admin_minimum: u64,
    /// What a node that is up all day earns in a day.
    pub reward_per_day: u64,
    /// Uptime below this share of an epoch is a fault. `uptime_bps` on chain.
    pub uptime_bps: u16,
    /// Penalty for an epoch below the agreed uptime, as a share of the stake at the start of the cap's period.
    pub downtime_bps: u16,
    /// Penalty for failed attestation or a retired measurement.
    pub attestation_bps: u16,
    /// Penalty for two signed statements that contradict each other.
    pub contradiction_bps: u16,
    /// Penalty for proven tampering.
    pub tampering_bps: u16,
    /// At most this share of a stake is taken within one period.
    pub cap_bps: u16,
    /// The length of that period.
    pub cap_period_ms: u64,
    /// The reporter's share of what is taken.
    pub reporter_bps: u16,
    /// From the proposal of a penalty to its execution, when it can be contested.
    pub contest_ms: u64,
    /// How much later a contested penalty is executed.
    pub extension_ms: u64,
}

impl Params {
    /// The mission's stakes, 100, 1000 and 10000 MIST, and what else a new cluster has unless it is told otherwise
    /// (`economics::default` in the contracts). Enough to show every mechanism, and no deterrent.
    #[must_use]
    pub fn mission() -> Self {
        Self {
            node_minimum: 100,
            user_minimum: 1_000,
            admin_minimum: 10_000,
            reward_per_day: 1_000_000_000,
            uptime_bps: 9_500,
            downtime_bps: 100,
            attestation_bps: 1_000,
            contradiction_bps: 3_000,
            tampering_bps: 5_000,
            cap_bps: 5_000,
            cap_period_ms: 30 * DAY_MS,
            reporter_bps: 1_000,
            contest_ms: 2 * DAY_MS,
            extension_ms: 5 * DAY_MS,
        }
    }

    /// What `docs/economics.md` recommends for a network with real money, under
    /// [`Assumptions::default`](crate::Assumptions::default).
    #[must_use]
    pub fn recommended() -> Self {
        const SUI: u64 = 1_000_000_000;
        Self {
            node_minimum: 2_500 * SUI,
            user_minimum: 10 * SUI,
            admin_minimum: 5_000 * SUI,
            downtime_bps: 10,
            attestation_bps: 2_000,
            contradiction_bps: 5_000,
            tampering_bps: 10_000,
            cap_bps: 10_000,
            reporter_bps: 500,
            contest_ms: 3 * DAY_MS,
            extension_ms: 7 * DAY_MS,
            ..Self::mission()
        }
    }
}

/// A day in milliseconds.
pub(crate) const DAY_MS: u64 = 86_400_000;
