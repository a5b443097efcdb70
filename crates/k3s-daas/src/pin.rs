use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tee::{PlatformKind, Policy};

use crate::failure::{Context as _, Failure, Result};
use crate::prove::{Expected, Proven};
use crate::state_dir::StateDir;
use crate::tokens::bytes32;

pub(crate) const FILE: &str = "pin.json";
/// The largest pin that is taken from a kubeconfig, bytes.
const MAX_BYTES: usize = 64 << 10;

/// What a master proved when it was pinned; it has to prove the same before a credential is made for it. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Pin {
    /// Gateway URL.
    gateway: String,
    /// SHA-256 of the cluster CA's DER, hexadecimal.
    ca_sha256: String,
    /// The enclave's ed25519 key, hexadecimal.
    enclave_key: String,
    /// Platform name.
    platform: String,
    /// Whether that proves nothing about hardware.
    simulated: bool,
    /// Everything that was measured of the code, hexadecimal.
    measurements: BTreeMap<String, String>,
}

impl Pin {
    pub(crate) fn new(gateway: &str, proven: &Proven) -> Self {
        let claims = &proven.claims;
        Self {
            gateway: gateway.to_owned(),
            ca_sha256: hex::encode(proven.ca_hash),
            enclave_key: hex::encode(proven.enclave_key),
            platform: claims.platform.to_string(),
            simulated: claims.simulated,
            measurements: claims
                .measurements
                .iter()
                .map(|(n, value)| (n.clone(), hex::encode(value)))
                .collect(),
        }
    }

    /// Reads a pin in JSON, as a kubeconfig carries it.
    pub(crate) fn from_json(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(Failure::usage(format!("the pin is larger than {MAX_BYTES} bytes")));
        }
        serde_json::from_str(text).context("reading the pin in the kubeconfig")
    }

    /// The pin of this state directory, if there is one.
    pub(crate) fn find(state: &StateDir) -> Result<Option<Self>> {
        state.read_json(FILE)
    }

    pub(crate) fn save(&self, state: &StateDir) -> Result<()> {
        state.write_json(FILE, self)
    }

    /// What the master has to prove again: the same code under the same keys.
    pub(crate) fn expected(&self) -> Result<Expected> {
        let platform: PlatformKind = self.platform.parse().context("reading the pin")?;
        let value = |(name, value): (&String, &String)| -> Result<_> {
            Ok((name.clone(), hex::decode(value).context(format_args!("reading the pinned {name}"))?))
        };
        let measurements = self.measurements.iter().map(value).collect::<Result<_>>()?;
        Ok(Expected {
            gateway: self.gateway.clone(),
            ca_hash: Some(bytes32(&self.ca_sha256, "pinned CA")?),
            enclave_key: Some(bytes32(&self.enclave_key, "pinned enclave key")?),
            policy: Policy {
                allowed: vec![(platform, measurements)],
                any_code: false,
                allow_simulated: self.simulated,
                max_age_ms: Policy::default().max_age_ms,
                ..Policy::genuine()
            },
        })
    }
}
