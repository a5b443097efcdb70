use chain::Address;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};
use crate::state_dir::StateDir;

const FILE: &str = "deployment.json";

/// What is on chain and where the cluster is, as `up` found or made it. Written after each step, so that a
/// later `up` goes on where an earlier one stopped. Nothing in it is secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Deployment {
    /// Sui endpoint.
    pub(crate) chain_url: String,
    /// Genesis checkpoint digest, base58.
    pub(crate) chain_id: String,
    /// Checkpoint that holds the package: nothing of ours happened before it.
    pub(crate) since_checkpoint: u64,
    /// Package of the contracts.
    pub(crate) package: Option<Address>,
    /// Cluster object.
    pub(crate) cluster: Option<Address>,
    /// Governance of the cluster.
    pub(crate) governance: Option<Address>,
    /// Capability of the operator over the cluster.
    pub(crate) cap: Option<Address>,
    /// Registry of measurements, verifiers and enclaves.
    pub(crate) registry: Option<Address>,
    /// Registry of node names.
    pub(crate) names: Option<Address>,
    /// The right to upgrade the package, once it is behind a timelock.
    pub(crate) upgrader: Option<Address>,
    /// The master's enclave.
    pub(crate) enclave: Option<Address>,
    /// SHA-256 of the cluster CA's DER, hexadecimal.
    pub(crate) ca_hash: Option<String>,
    /// Gateway URL.
    pub(crate) gateway: Option<String>,
    /// kube-apiserver URL.
    pub(crate) apiserver: Option<String>,
}

impl Deployment {
    pub(crate) fn load(state: &StateDir) -> Result<Self> {
        Self::find(state)?.ok_or_else(|| {
            Failure::usage(format!(
                "nothing is deployed in {}: run `k3s-daas up`, or give the right --state-dir",
                state.root().display()
            ))
        })
    }

    pub(crate) fn find(state: &StateDir) -> Result<Option<Self>> {
        state.read_json(FILE)
    }

    pub(crate) fn save(&self, state: &StateDir) -> Result<()> {
        state.write_json(FILE, self)
    }

    /// The audience of this cluster's seal proofs.
    pub(crate) fn audience(&self) -> Result<[u8; 32]> {
        match &self.ca_hash {
            Some(hash) => crate::tokens::bytes32(hash, "CA hash"),
            None => Err(Failure::not_ready(
                "the master has no CA yet: wait until `k3s-daas up` says that it runs",
            )),
        }
    }
}
