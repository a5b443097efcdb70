use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use super::Tier;

/// `k8s_gateway::Cluster`: a cluster's face on chain. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// Name for people.
    pub name: String,
    /// URL of the gateway; empty until an enclave has set it.
    pub gateway: String,
    /// URL of kube-apiserver; empty until an enclave has set it.
    pub apiserver: String,
    /// SHA-256 of the cluster CA's DER; empty until an enclave has set it.
    pub ca_hash: Vec<u8>,
    /// The enclave that set the place last.
    pub enclave: Option<Address>,
    /// What stakes and tokens are held to.
    pub config: Config,
    /// The cluster's [`Governance`](crate::Governance).
    pub governance: Address,
    /// The cluster's [`Registry`](crate::Registry).
    pub registry: Address,
    /// The cluster's [`Names`].
    pub names: Address,
    /// The cluster's `anchor::Anchor`.
    pub anchor: Address,
    /// The cluster's `rewards::Pool`.
    pub pool: Address,
    /// The cluster's `insurance::Insurance`.
    pub insurance: Address,
    /// No new stakes, penalties and escrows until then, milliseconds since the Unix epoch; zero when it was
    /// never paused.
    pub paused_until_ms: u64,
}

/// `k8s_gateway::Config`: what stakes and tokens of a cluster are held to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// By [`Tier::index`].
    pub tiers: Vec<TierTerms>,
    /// From asking for a stake back to having it, in milliseconds.
    pub unbonding_ms: u64,
    /// A seal token lives this long unless renewed, in milliseconds.
    pub token_lifetime_ms: u64,
}

/// `k8s_gateway::Tier`: what one tier demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierTerms {
    /// Smallest stake, in MIST.
    pub minimum: u64,
    /// A stake stays at least this long, in milliseconds.
    pub lock_ms: u64,
}

const DAY_MS: u64 = 86_400_000;

impl Default for Config {
    /// What a new cluster begins with (`k8s_gateway::default_config`).
    fn default() -> Config {
        Config {
            tiers: vec![
                TierTerms { minimum: 100, lock_ms: 7 * DAY_MS },
                TierTerms { minimum: 1_000, lock_ms: DAY_MS },
                TierTerms { minimum: 10_000, lock_ms: 7 * DAY_MS },
            ],
            unbonding_ms: 7 * DAY_MS,
            token_lifetime_ms: 30 * DAY_MS,
        }
    }
}

impl Config {
    /// What a tier demands; `None` when the chain knows fewer tiers.
    pub fn terms(&self, tier: Tier) -> Option<TierTerms> {
        self.tiers.get(usize::from(tier.index())).copied()
    }
}

/// `k8s_gateway::Names`: the node names of a cluster. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// Object id of the table from names to stakes; see [`Client::pinned_stake`](crate::Client::pinned_stake).
    pub table: Address,
    /// Number of names.
    pub size: u64,
}

/// `k8s_gateway::Grant`: a role of an address. Shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its object id.
    pub id: Address,
    /// Version of its layout.
    pub version: u64,
    /// The cluster.
    pub cluster: Address,
    /// Who has the role.
    pub grantee: Address,
    /// Where; empty for the whole cluster.
    pub namespace: String,
    /// `view`, `edit`, `admin` or `cluster-admin`.
    pub role: String,
}
