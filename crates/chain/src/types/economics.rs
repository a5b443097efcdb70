use serde::{Deserialize, Serialize};

/// `economics::Economics`: what a cluster's money is held to. Shares are basis points, durations milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Economics {
    /// Penalty by reason (0 downtime, 1 attestation, 2 contradiction, 3 tampering), as a share of the stake at
    /// the start of its cap period.
    pub penalty_bps: Vec<u64>,
    /// All penalties of a stake in one cap period are at most this share of it.
    pub cap_bps: u64,
    /// Length of the cap period.
    pub cap_period_ms: u64,
    /// From the proposal of a penalty to its execution, when the staker may contest it.
    pub contest_ms: u64,
    /// How much later it is executed when it is contested.
    pub extension_ms: u64,
    /// A penalty that is not executed this long after it could be lapses.
    pub execute_ms: u64,
    /// A fault that is older than this is not punished any more.
    pub evidence_age_ms: u64,
    /// Share of a penalty that goes to who reported the fault.
    pub reporter_bps: u64,
    /// What a node agreed to be up.
    pub uptime_bps: u64,
    /// The shortest epoch of rewards, and the shortest time over which downtime is judged.
    pub epoch_ms: u64,
    /// Share of the pool that one epoch pays.
    pub payout_bps: u64,
    /// How long the rewards of an epoch can be claimed.
    pub claim_ms: u64,
    /// MIST for one unit of use and second.
    pub price: u64,
    /// How long an escrow is used on after it ran low.
    pub grace_ms: u64,
    /// From the proposal of what moves money to the earliest time that it takes effect.
    pub timelock_ms: u64,
}

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

impl Default for Economics {
    /// What a new cluster begins with (`economics::default`).
    fn default() -> Economics {
        Economics {
            penalty_bps: vec![100, 1_000, 3_000, 5_000],
            cap_bps: 5_000,
            cap_period_ms: 30 * DAY_MS,
            contest_ms: 2 * DAY_MS,
            extension_ms: 5 * DAY_MS,
            execute_ms: 7 * DAY_MS,
            evidence_age_ms: 7 * DAY_MS,
            reporter_bps: 1_000,
            uptime_bps: 9_500,
            epoch_ms: DAY_MS,
            payout_bps: 10_000,
            claim_ms: 30 * DAY_MS,
            price: 1,
            grace_ms: HOUR_MS,
            timelock_ms: DAY_MS,
        }
    }
}
