use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::{Measurement, TcbBounds};

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

/// What a platform is held to has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcbBoundsSet {
    /// The cluster.
    pub cluster: Address,
    /// The bounds now.
    pub bounds: TcbBounds,
}

/// A platform has no bounds any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcbBoundsCleared {
    /// The cluster.
    pub cluster: Address,
    /// The platform.
    pub platform: String,
}

/// Workers may prove code with this measurement from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerMeasurementAllowed {
    /// The cluster.
    pub cluster: Address,
    /// The measurement.
    pub measurement: Measurement,
}

/// Workers may no longer prove code with this measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerMeasurementRetired {
    /// The cluster.
    pub cluster: Address,
    /// The measurement.
    pub measurement: Measurement,
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

/// A measurement counts until a time and not from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetirementPlanned {
    /// The cluster.
    pub cluster: Address,
    /// The measurement.
    pub measurement: Measurement,
    /// It counts until then, milliseconds since the Unix epoch.
    pub at_ms: u64,
}

/// An enclave has lost its standing for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclaveRevoked {
    /// The cluster.
    pub cluster: Address,
    /// The enclave that says so.
    pub enclave: Address,
}

/// A statement of an enclave was used up: none of its intent with this time or an earlier one is accepted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementAccepted {
    /// The cluster.
    pub cluster: Address,
    /// The enclave.
    pub enclave: Address,
    /// What kind of statement it was.
    pub intent: u8,
    /// When it was signed, milliseconds since the Unix epoch.
    pub timestamp_ms: u64,
}
