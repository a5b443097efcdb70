use async_trait::async_trait;

use crate::agent::{Failure, View};

/// A share of an epoch, as the master tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedShare {
    /// Number of the epoch.
    pub number: u64,
    /// Its object on chain.
    pub epoch: chain::Address,
    /// The object of the share's shard, once somebody has opened it.
    pub shard: Option<chain::Address>,
    /// Weight of the share.
    pub weight: u64,
    /// Its place in the shard.
    pub index: u8,
}

/// What the chain has of such an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// What all shares have together, in MIST.
    pub budget: u64,
    /// Sum of all weights.
    pub weight: u64,
    /// Until then shares can be claimed, milliseconds since the Unix epoch.
    pub deadline_ms: u64,
    /// Whether the share in question was.
    pub claimed: bool,
}

/// Where the worker learns about its cluster and its membership: a Sui endpoint.
#[async_trait]
pub trait ChainSource: Send + Sync {
    /// Endpoint for people, without credentials.
    fn url(&self) -> &str;

    /// Whether [`Self::renew_token`] can work, that is whether a wallet is configured.
    fn can_renew_token(&self) -> bool;

    /// Cluster, enclave, token and stake as they are now.
    async fn view(&self) -> Result<View, Failure>;

    /// The epoch of a share, if it is there and this cluster's.
    async fn epoch(&self, share: &PostedShare) -> Result<Option<Epoch>, Failure>;

    /// Renews the worker's token with the wallet; returns once the chain has executed it.
    async fn renew_token(&self) -> Result<(), Failure>;
}
