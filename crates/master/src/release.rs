//! `POST /v1-daas/nonce` and `POST /v1-daas/key-release`: the cluster's secret, for a registered enclave of code that the chain allows.

use std::sync::Arc;

use custody::{OnChain, Releaser, no_collateral};
use tee::custody::Answer;
use tee::{Anchors, ClusterSecret, Policy};

use crate::shared::Shared;

/// Gives `secret` and counts each decision. Evidence has to bring its collateral along.
pub(crate) fn releaser(shared: &Shared, chain: OnChain, secret: ClusterSecret) -> Arc<Releaser> {
    let counter = shared.metrics.key_releases.clone();
    Releaser::new(
        chain,
        move |request| Answer::secret(request, &secret),
        true,
        Policy::default(),
        Anchors::default(),
        no_collateral(),
        shared.clock.clone(),
        Arc::new(move |refused| {
            counter.get_or_create(&[("result", refused.unwrap_or("released"))]).inc();
        }),
    )
}
