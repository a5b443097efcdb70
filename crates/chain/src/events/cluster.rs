use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::Config;

/// A cluster was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterCreated {
    /// The cluster.
    pub cluster: Address,
    /// Name for people.
    pub name: String,
    /// Who made it and holds its first capability.
    pub creator: Address,
    /// Its governance object.
    pub governance: Address,
    /// Its registry of trusted code.
    pub registry: Address,
    /// Its node names.
    pub names: Address,
    /// Its anchor of sealed state.
    pub anchor: Address,
    /// Its pool of rewards.
    pub pool: Address,
    /// Its insurance pool.
    pub insurance: Address,
    /// What stakes and tokens are held to.
    pub config: Config,
}

/// What stakes and tokens are held to has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChanged {
    /// The cluster.
    pub cluster: Address,
    /// From now on.
    pub config: Config,
}

/// An enclave said where the cluster is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceChanged {
    /// The cluster.
    pub cluster: Address,
    /// The enclave.
    pub enclave: Address,
    /// URL of the gateway.
    pub gateway: String,
    /// URL of kube-apiserver.
    pub apiserver: String,
    /// SHA-256 of the cluster CA's DER.
    pub ca_hash: Vec<u8>,
}

/// An address has a role from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// The cluster.
    pub cluster: Address,
    /// The grant object.
    pub grant: Address,
    /// Who has the role.
    pub grantee: Address,
    /// Where; empty for the whole cluster.
    pub namespace: String,
    /// `view`, `edit`, `admin` or `cluster-admin`.
    pub role: String,
}

/// An address no longer has a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRevoked {
    /// The cluster.
    pub cluster: Address,
    /// The grant object, which is gone.
    pub grant: Address,
    /// Who had the role.
    pub grantee: Address,
    /// Where; empty for the whole cluster.
    pub namespace: String,
    /// The role.
    pub role: String,
}

/// The cluster was paused, or the pause has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseChanged {
    /// The cluster.
    pub cluster: Address,
    /// No new stakes, penalties and escrows until then, milliseconds since the Unix epoch; zero when the pause has ended.
    pub paused_until_ms: u64,
}
