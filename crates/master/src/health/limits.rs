use serde::{Deserialize, Serialize};

/// When a node counts as what; milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthLimits {
    /// How often a worker is asked to send a heartbeat.
    pub interval_ms: u64,
    /// Time without a good sign (a heartbeat that says ready, and Kubernetes not denying it) after which a node
    /// is suspect.
    pub suspect_after_ms: u64,
    /// The same, after which a node is down: its pods are moved.
    pub down_after_ms: u64,
    /// Time down after which what is left on the node is given up, also what must run once at most.
    pub evict_after_ms: u64,
    /// How long signs have to be good without a break before a node that was suspect or worse is ready again.
    pub ready_after_ms: u64,
    /// Time from certificates to the first good sign after which a node is down.
    pub join_within_ms: u64,
    /// How far a worker's clock may be off.
    pub max_clock_skew_ms: u64,
    /// How long a removed node is still listed.
    pub list_removed_ms: u64,
    /// How long before an announced maintenance, and before the end of a token, a node is drained.
    pub drain_before_ms: u64,
    /// How much announced maintenance counts for nothing in an epoch; more of it counts as down.
    pub max_maintenance_ms: u64,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            interval_ms: 5_000,
            suspect_after_ms: 12_000,
            down_after_ms: 30_000,
            evict_after_ms: 300_000,
            ready_after_ms: 10_000,
            join_within_ms: 120_000,
            max_clock_skew_ms: 60_000,
            list_removed_ms: 3_600_000,
            drain_before_ms: 60_000,
            max_maintenance_ms: 4 * 3_600_000,
        }
    }
}

/// The longest of these times: a day.
const MAX_MS: u64 = 86_400_000;

impl HealthLimits {
    /// What is wrong with these limits, if anything, by the name of the field.
    ///
    /// # Errors
    /// The problem, for people.
    pub fn check(&self) -> Result<(), String> {
        let ordered = [
            ("health.interval_ms", self.interval_ms),
            ("health.suspect_after_ms", self.suspect_after_ms),
            ("health.down_after_ms", self.down_after_ms),
        ];
        if !(100..=300_000).contains(&self.interval_ms) {
            return Err("health.interval_ms is not between 100 and 300000".to_owned());
        }
        for pair in ordered.windows(2) {
            if pair[0].1 >= pair[1].1 {
                return Err(format!("{} has to be more than {}", pair[1].0, pair[0].0));
            }
        }
        let bounded = [
            ("health.down_after_ms", self.down_after_ms),
            ("health.evict_after_ms", self.evict_after_ms),
            ("health.ready_after_ms", self.ready_after_ms),
            ("health.join_within_ms", self.join_within_ms),
            ("health.drain_before_ms", self.drain_before_ms),
            ("health.max_maintenance_ms", self.max_maintenance_ms),
        ];
        if let Some((name, _)) = bounded.iter().find(|(_, value)| *value > MAX_MS) {
            return Err(format!("{name} is more than a day ({MAX_MS})"));
        }
        if self.max_clock_skew_ms > 300_000 {
            return Err("health.max_clock_skew_ms is more than five minutes (300000)".to_owned());
        }
        Ok(())
    }
}
