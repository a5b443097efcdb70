use async_trait::async_trait;

use crate::agent::{Failure, View};

/// Where the worker learns about its cluster and its membership: a Sui endpoint.
#[async_trait]
pub trait ChainSource: Send + Sync {
    /// Endpoint for people, without credentials.
    fn url(&self) -> &str;

    /// Whether [`Self::renew_token`] can work, that is whether a wallet is configured.
    fn can_renew_token(&self) -> bool;

    /// Cluster, enclave, token and stake as they are now.
    async fn view(&self) -> Result<View, Failure>;

    /// Renews the worker's token with the wallet; returns once the chain has executed it.
    async fn renew_token(&self) -> Result<(), Failure>;
}
