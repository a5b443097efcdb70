use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::Measurement;

/// A cluster's registry of trusted code was created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryCreated {
    /// The cluster.
    pub cluster: Address,
    /// The registry.
    pub registry: Address,
    /// Whether it accepts the simulated platform.
    pub allow_simulated: bool,
}

/// Code with this measurement may be a master from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementAllowed {
    /// The cluster.
    pub cluster: Address,
    /// The measurement.
    pub measurement: Measurement,
}

/// Code with this measurement may no longer be a master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasurementRetired {
    /// The cluster.
    pub cluster: Address,
    /// The measurement.
    pub measurement: Measurement,
}

/// Who verifies evidence, and how many of them it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifiersSet {
    /// The cluster.
    pub cluster: Address,
    /// ed25519 public keys.
    pub verifiers: Vec<Vec<u8>>,
    /// Signatures needed.
    pub threshold: u64,
}

/// An enclave was registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclaveRegistered {
    /// The cluster.
    pub cluster: Address,
    /// The enclave object.
    pub enclave: Address,
    /// Its ed25519 public key.
    pub public_key: Vec<u8>,
    /// The code that it runs.
    pub measurement: Measurement,
    /// When the registration ends, milliseconds since the Unix epoch.
    pub expires_ms: u64,
    /// When it was registered, milliseconds since the Unix epoch.
    pub registered_ms: u64,
}
