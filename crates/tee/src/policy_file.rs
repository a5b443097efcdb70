use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::{Measurements, PlatformKind, Policy, TcbStatus, TeeError};

/// The largest policy in TOML: 256 KiB.
const MAX_BYTES: usize = 256 << 10;

impl Policy {
    /// Reads a policy in TOML. What a key leaves out is as in [`Policy::default`].
    ///
    /// ```
    /// let policy = tee::Policy::from_toml(r#"
    ///     max_age_seconds = 120
    ///     require_revocation_check = true
    ///
    ///     [[allow]]
    ///     platform = "sev-snp"
    ///     measurements = { measurement = "00112233" }
    ///
    ///     [tcb]
    ///     statuses = ["SWHardeningNeeded"]
    ///     advisories = ["INTEL-SA-00334"]   # or "any"
    ///
    ///     [tcb.minimum.sev-snp]
    ///     bootloader = 3
    ///     microcode = 115
    /// "#).unwrap();
    /// assert_eq!(policy.max_age_ms, 120_000);
    /// ```
    ///
    /// # Errors
    ///
    /// [`TeeError::Policy`] with the place and the reason; unknown keys are errors, so that a clause is never
    /// lost to a spelling mistake.
    pub fn from_toml(text: &str) -> Result<Self, TeeError> {
        if text.len() > MAX_BYTES {
            return Err(TeeError::Policy(format!("{} bytes, at most {MAX_BYTES} are read", text.len())));
        }
        let file: File = toml::from_str(text).map_err(|error| TeeError::Policy(error.to_string()))?;
        file.into_policy().map_err(TeeError::Policy)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    allow: Vec<Allow>,
    #[serde(default)]
    any_code: bool,
    #[serde(default)]
    allow_simulated: bool,
    #[serde(default)]
    allow_simulated_debug: bool,
    max_age_seconds: Option<u64>,
    max_clock_skew_seconds: Option<u64>,
    #[serde(default)]
    require_revocation_check: bool,
    #[serde(default)]
    tcb: Tcb,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Allow {
    platform: String,
    measurements: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tcb {
    #[serde(default)]
    statuses: Vec<String>,
    #[serde(default)]
    advisories: Advisories,
    #[serde(default)]
    minimum: BTreeMap<String, BTreeMap<String, u64>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Advisories {
    Listed(BTreeSet<String>),
    Word(String),
}

impl Default for Advisories {
    fn default() -> Self {
        Self::Listed(BTreeSet::new())
    }
}

impl File {
    fn into_policy(self) -> Result<Policy, String> {
        let default = Policy::default();
        let milliseconds = |seconds: Option<u64>, otherwise| match seconds {
            Some(seconds) => seconds.saturating_mul(1000),
            None => otherwise,
        };
        let tolerated_advisories = match self.tcb.advisories {
            Advisories::Listed(ids) => Some(ids),
            Advisories::Word(word) if word == "any" => None,
            Advisories::Word(word) => {
                return Err(format!("tcb.advisories is {word:?}; use \"any\" or a list of advisory ids"));
            }
        };
        let mut minimum_tcb = BTreeMap::new();
        for (platform, versions) in self.tcb.minimum {
            minimum_tcb.insert(platform_kind(&platform)?, versions);
        }
        Ok(Policy {
            allowed: self.allow.into_iter().map(Allow::into_entry).collect::<Result<_, _>>()?,
            any_code: self.any_code,
            allow_simulated: self.allow_simulated,
            allow_debug: self.allow_simulated_debug,
            max_age_ms: milliseconds(self.max_age_seconds, default.max_age_ms),
            max_clock_skew_ms: milliseconds(self.max_clock_skew_seconds, default.max_clock_skew_ms),
            tolerated_statuses: self
                .tcb
                .statuses
                .iter()
                .map(|name| name.parse::<TcbStatus>())
                .collect::<Result<_, _>>()?,
            tolerated_advisories,
            minimum_tcb,
            require_revocation_check: self.require_revocation_check,
            bounds_decide: false,
            ..default
        })
    }
}

impl Allow {
    fn into_entry(self) -> Result<(PlatformKind, Measurements), String> {
        if self.measurements.is_empty() {
            return Err(format!(
                "an entry of platform {} names no measurement and would fit nothing",
                self.platform
            ));
        }
        let mut measurements = Measurements::new();
        for (name, value) in self.measurements {
            let value = hex::decode(&value).map_err(|error| format!("measurement {name:?}: {error}"))?;
            measurements.insert(name, value);
        }
        Ok((platform_kind(&self.platform)?, measurements))
    }
}

fn platform_kind(name: &str) -> Result<PlatformKind, String> {
    name.parse().map_err(|error: TeeError| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_said_is_the_default() {
        let policy = Policy::from_toml("").unwrap();
        let written = Policy { bounds_decide: false, ..Policy::default() };
        assert_eq!(format!("{policy:?}"), format!("{written:?}"));
    }

    #[test]
    fn everything_said_is_kept() {
        let policy = Policy::from_toml(
            r#"
            any_code = true
            allow_simulated = true
            allow_simulated_debug = true
            max_age_seconds = 7
            max_clock_skew_seconds = 8
            require_revocation_check = true
            allow = [{ platform = "tdx", measurements = { mrtd = "0a0b" } }]
            [tcb]
            statuses = ["OutOfDate", "SWHardeningNeeded"]
            advisories = "any"
            minimum = { sgx = { isvsvn = 3 } }
            "#,
        )
        .unwrap();
        assert!(policy.any_code && policy.allow_simulated && policy.allow_debug);
        assert!(policy.require_revocation_check);
        assert_eq!((policy.max_age_ms, policy.max_clock_skew_ms), (7_000, 8_000));
        let mrtd = Measurements::from([("mrtd".to_owned(), vec![10, 11])]);
        assert_eq!(policy.allowed, [(PlatformKind::Tdx, mrtd)]);
        assert_eq!(
            policy.tolerated_statuses,
            BTreeSet::from([TcbStatus::OutOfDate, TcbStatus::SwHardeningNeeded])
        );
        assert_eq!(policy.tolerated_advisories, None);
        assert_eq!(policy.minimum_tcb[&PlatformKind::Sgx]["isvsvn"], 3);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("allow_simulatd = true", "allow_simulatd"),
            ("[tcb]\nstatuses = [\"Fine\"]", "unknown TCB status \"Fine\""),
            ("[tcb]\nadvisories = \"all\"", "use \"any\" or a list"),
            ("[tcb.minimum.abacus]\nx = 1", "\"abacus\""),
            ("[[allow]]\nplatform = \"tdx\"\nmeasurements = {}", "names no measurement"),
            ("[[allow]]\nplatform = \"tdx\"\nmeasurements = { mrtd = \"0g\" }", "measurement \"mrtd\""),
            ("max_age_seconds = -1", "max_age_seconds"),
        ] {
            let error = Policy::from_toml(text).unwrap_err().to_string();
            assert!(error.starts_with("not an attestation policy: ") && error.contains(word), "{error}");
        }
        assert!(Policy::from_toml(&" ".repeat(MAX_BYTES + 1)).is_err());
    }
}
