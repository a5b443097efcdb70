use crate::{Measurements, PlatformKind};

/// What a verifier accepts.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Acceptable code, per platform. One entry must fit: same platform, and every measurement that the entry
    /// names present and equal. Measurements that an entry does not name are not looked at; an entry
    /// that names none fits nothing.
    pub allowed: Vec<(PlatformKind, Measurements)>,
    /// Whether evidence of the simulated platform, which proves nothing about hardware, may pass.
    pub allow_simulated: bool,
    /// Whether evidence of a debuggable environment, whose memory its host can read, may pass.
    pub allow_debug: bool,
    /// How old evidence may be, milliseconds.
    pub max_age_ms: u64,
    /// How far in the future evidence may claim to be made, milliseconds.
    pub max_clock_skew_ms: u64,
}

impl Default for Policy {
    /// Accepts nothing until `allowed` is filled; five minutes of age, one of clock skew.
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            allow_simulated: false,
            allow_debug: false,
            max_age_ms: 300_000,
            max_clock_skew_ms: 60_000,
        }
    }
}
