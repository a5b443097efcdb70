use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// `enclave::Registry`: what a cluster trusts. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster it belongs to.
    pub cluster: Address,
    /// Whether enclaves of the simulated platform are accepted.
    pub allow_simulated: bool,
    /// Code that may be a master.
    pub allowed: Vec<Measurement>,
    /// When each of them counts no longer, milliseconds since the Unix epoch; the largest number when that is
    /// not planned.
    pub retires_ms: Vec<u64>,
    /// ed25519 public keys of those who verify evidence.
    pub verifiers: Vec<Vec<u8>>,
    /// How many of them have to sign.
    pub threshold: u64,
    /// What platforms are held to, beyond the code; at most once each.
    pub bounds: Vec<TcbBounds>,
    /// Code that a worker may prove; it makes no master.
    pub worker_code: Vec<Measurement>,
}

impl Registry {
    /// Whether code with this measurement may be trusted at `now_ms`.
    pub fn allows(&self, measurement: &Measurement, now_ms: u64) -> bool {
        let at = self.allowed.iter().position(|allowed| allowed == measurement);
        at.is_some_and(|at| self.retires_ms.get(at).is_none_or(|retires_ms| now_ms < *retires_ms))
    }
}

/// `tcb::Bounds`: what a cluster asks of a platform's trusted computing base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcbBounds {
    /// Platform name, e.g. `sev-snp`.
    pub platform: String,
    /// Components with security version numbers, ascending.
    pub components: Vec<String>,
    /// The lowest number that counts, for each of them.
    pub minimums: Vec<u64>,
    /// Statuses that count besides `UpToDate`, as the platform's maker spells them; ascending.
    pub statuses: Vec<String>,
    /// Whether every advisory counts; `advisories` is not looked at then.
    pub any_advisory: bool,
    /// Advisories that count, ascending.
    pub advisories: Vec<String>,
    /// How old evidence may be, milliseconds.
    pub max_age_ms: u64,
}

impl TcbBounds {
    /// Advisories that count; none when every one does.
    pub fn tolerated_advisories(&self) -> Option<&[String]> {
        (!self.any_advisory).then_some(&self.advisories)
    }
}

/// `enclave::Measurement`: what a platform measures of its code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Measurement {
    /// Platform name, e.g. `simulated`.
    pub platform: String,
    /// Names of the values, ascending.
    pub names: Vec<String>,
    /// The values, in the order of the names.
    pub values: Vec<Vec<u8>>,
}

impl Measurement {
    /// From values by name, as `tee` has them.
    pub fn new(platform: impl Into<String>, values: &BTreeMap<String, Vec<u8>>) -> Measurement {
        Measurement {
            platform: platform.into(),
            names: values.keys().cloned().collect(),
            values: values.values().cloned().collect(),
        }
    }

    /// The values by name.
    pub fn to_map(&self) -> BTreeMap<String, Vec<u8>> {
        self.names.iter().cloned().zip(self.values.iter().cloned()).collect()
    }
}

/// `enclave::Enclave`: one registered enclave. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclave {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster it serves.
    pub cluster: Address,
    /// Its ed25519 public key, 32 bytes.
    pub public_key: Vec<u8>,
    /// The code that it runs.
    pub measurement: Measurement,
    /// When its registration ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// When it was registered, milliseconds since the Unix epoch. Its statements move money only when the
    /// timelock has passed since.
    pub registered_ms: u64,
    /// Time of the latest statement accepted, by intent.
    pub latest_ms: Vec<u64>,
}

impl Enclave {
    /// Whether the contracts would accept its statements: not expired, of this registry's cluster, and
    /// its measurement still allowed.
    pub fn in_standing(&self, registry: &Registry, now_ms: u64) -> bool {
        self.cluster == registry.cluster
            && now_ms < self.expires_ms
            && registry.allows(&self.measurement, now_ms)
    }
}
