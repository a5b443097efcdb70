use std::collections::{BTreeMap, BTreeSet};

use crate::{Measurements, PlatformKind, TcbBounds, TcbStatus};

/// What a verifier accepts. Evaluation names every clause that evidence violates.
///
/// Debuggable environments never pass, whatever the policy says, unless the platform is the simulated one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Acceptable code, per platform. One entry must fit: same platform, and every measurement that the entry
    /// names present and equal. Measurements that an entry does not name are not looked at; an entry
    /// that names none fits nothing.
    pub allowed: Vec<(PlatformKind, Measurements)>,
    /// Accept any code on any platform: for showing what genuine evidence says, never for trusting it.
    pub any_code: bool,
    /// Whether evidence of the simulated platform, which proves nothing about hardware, may pass.
    pub allow_simulated: bool,
    /// Whether *simulated* evidence of a debuggable environment may pass.
    pub allow_debug: bool,
    /// How old evidence may be, milliseconds. Platforms without a clock are bound by their nonce alone.
    pub max_age_ms: u64,
    /// How far in the future evidence may claim to be made, milliseconds.
    pub max_clock_skew_ms: u64,
    /// TCB statuses that pass besides `UpToDate`; a revoked TCB never does.
    pub tolerated_statuses: BTreeSet<TcbStatus>,
    /// Advisories that pass; none means that every advisory does.
    pub tolerated_advisories: Option<BTreeSet<String>>,
    /// The lowest security version numbers, by platform and component; evidence without the component fails.
    pub minimum_tcb: BTreeMap<PlatformKind, BTreeMap<String, u64>>,
    /// What the cluster asks of platforms ([`Policy::bounded`]).
    pub bounds: BTreeMap<PlatformKind, TcbBounds>,
    /// Whether that replaces the clauses on TCB and age above, where there is any for the platform, instead of adding to them: so for
    /// default policies, and not for those of a file.
    pub bounds_decide: bool,
    /// Whether a current revocation list must have covered every certificate.
    pub require_revocation_check: bool,
}

impl Policy {
    /// Whether `code` has everything that one entry of [`Self::allowed`] names, so that a list narrows down what somebody else allows;
    /// an empty one rules nothing out.
    pub fn rules_in(&self, platform: PlatformKind, code: &Measurements) -> bool {
        self.allowed.is_empty() || self.lists(platform, code)
    }

    /// Whether `code` has everything that one entry of [`Self::allowed`] names.
    pub fn lists(&self, platform: PlatformKind, code: &Measurements) -> bool {
        let fits = |(kind, values): &(PlatformKind, Measurements)| {
            *kind == platform
                && !values.is_empty()
                && values.iter().all(|(name, value)| code.get(name) == Some(value))
        };
        self.allowed.iter().any(fits)
    }

    /// Accepts whatever is genuine: any code of any age on real hardware whose maker does not call it out of
    /// date or revoked. It tells what evidence says and is no ground for trust in the code.
    pub fn genuine() -> Self {
        Self {
            any_code: true,
            max_age_ms: u64::MAX,
            tolerated_statuses: BTreeSet::from([
                TcbStatus::SwHardeningNeeded,
                TcbStatus::ConfigurationNeeded,
                TcbStatus::ConfigurationAndSwHardeningNeeded,
                TcbStatus::TdRelaunchAdvised,
                TcbStatus::TdRelaunchAdvisedConfigurationNeeded,
            ]),
            tolerated_advisories: None,
            ..Self::default()
        }
    }
}

impl Default for Policy {
    /// Accepts nothing until `allowed` is filled; five minutes of age, one of clock skew, an up-to-date TCB
    /// without advisories.
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            any_code: false,
            allow_simulated: false,
            allow_debug: false,
            max_age_ms: 300_000,
            max_clock_skew_ms: 60_000,
            tolerated_statuses: BTreeSet::new(),
            tolerated_advisories: Some(BTreeSet::new()),
            minimum_tcb: BTreeMap::new(),
            bounds: BTreeMap::new(),
            bounds_decide: true,
            require_revocation_check: false,
        }
    }
}
