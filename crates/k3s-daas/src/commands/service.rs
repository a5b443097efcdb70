//! What custodian and verifier have in common.

use std::sync::Arc;

use custody::{Clock, CollateralSource, Listener, OnChain};
use tee::{Anchors, Collateral, Evidence, Material, Policy};
use tokio_util::sync::CancellationToken;

use super::{Context, now_ms, verify};
use crate::cli::{Service, Sources};
use crate::deployment::Deployment;
use crate::failure::{Failure, Result};
use crate::input::{id, read};

/// The chain, and the cluster that is asked for or deployed here.
pub(crate) async fn on_chain(
    context: &Context,
    package: Option<&str>,
    cluster: Option<&str>,
) -> Result<OnChain> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let given = |text: Option<&str>| text.map(id).transpose();
    let missing =
        |flag: &str| Failure::usage(format!("nothing is deployed here: give --{flag}, and --chain"));
    let package = given(package)?.or(deployment.package).ok_or_else(|| missing("package"))?;
    let cluster = given(cluster)?.or(deployment.cluster).ok_or_else(|| missing("cluster"))?;
    let client = crate::session::connect(&context.settings.chain_url(&deployment)).await?;
    Ok(OnChain::new(client, package, cluster))
}

pub(super) fn policy(service: &Service) -> Result<Policy> {
    service.policy.as_deref().map_or_else(|| Ok(Policy::default()), verify::policy_in)
}

/// Roots and keys that are trusted because they were given.
pub(super) fn anchors(sources: &Sources) -> Result<Anchors> {
    let mut anchors = Anchors::default();
    for path in &sources.certs {
        let items = tee::read_material(&read(path)?)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        for item in items {
            match item {
                Material::Certificate(der) if tee::is_self_signed(&der) => anchors.roots.push(der),
                Material::Key(key) => anchors.keys.push(key),
                _ => {}
            }
        }
    }
    Ok(anchors)
}

/// Collateral as `verify` gets it: given, kept, or fetched.
pub(super) fn collateral(context: &Context, sources: &Sources) -> CollateralSource {
    let (context, sources) = (Arc::new(context.clone()), Arc::new(sources.clone()));
    Arc::new(move |evidence: Evidence| {
        let (context, sources) = (context.clone(), sources.clone());
        Box::pin(async move {
            match verify::material(&context, &sources, &evidence, now_ms()).await {
                Ok((collateral, _)) => collateral,
                Err(failure) => {
                    tracing::warn!("goes on without collateral: {failure}");
                    Collateral::default()
                }
            }
        })
    })
}

pub(super) fn clock() -> Clock {
    Arc::new(now_ms)
}

/// Serves until it is asked to stop.
pub(super) async fn serve(listener: Listener, router: axum::Router) {
    let stop = CancellationToken::new();
    let serving = tokio::spawn(listener.serve(router, stop.clone()));
    super::asked_to_stop().await;
    stop.cancel();
    // It ends at once; what it answers is cut off with the process.
    let _ = serving.await;
}
