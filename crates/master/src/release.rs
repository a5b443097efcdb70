//! `POST /v1-daas/nonce` and `POST /v1-daas/key-release`: the cluster's secret, for a registered enclave of code that the chain allows.

use std::sync::Arc;

use custody::{OnChain, Releaser};
use tee::custody::Answer;
use tee::{ClusterSecret, Trusted};

use crate::shared::Shared;

/// Gives `secret` and counts each decision; evidence is verified with what `trust` has.
pub(crate) fn releaser(
    shared: &Shared,
    chain: OnChain,
    secret: ClusterSecret,
    trust: Trusted,
) -> Arc<Releaser> {
    let Trusted { policy, anchors, collateral } = trust;
    let counter = shared.metrics.key_releases.clone();
    Releaser::new(
        chain,
        move |request| Answer::secret(request, &secret),
        true,
        policy.unwrap_or_default(),
        anchors,
        Arc::new(move |_| Box::pin(std::future::ready(collateral.clone()))),
        shared.clock.clone(),
        Arc::new(move |refused| {
            counter.get_or_create(&[("result", refused.unwrap_or("released"))]).inc();
        }),
    )
}
