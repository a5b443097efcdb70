use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

/// An enclave has encrypted the cluster's secret to key servers of Seal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretSealed {
    /// The cluster.
    pub cluster: Address,
    /// The anchor object, on which it lies.
    pub anchor: Address,
    /// The enclave that encrypted it.
    pub enclave: Address,
    /// Seal's `EncryptedObject`, in BCS.
    pub object: Vec<u8>,
    /// When, milliseconds since the Unix epoch.
    pub sealed_ms: u64,
}
