use serde_json::json;

use super::Context;
use crate::cli::{Anchor, StoreEndpoint};
use crate::failure::{Context as _, Result};
use crate::output::print;

/// `k3s-daas anchor`: the state as it is now is on chain when this returns.
pub(crate) async fn run(context: &Context, args: Anchor) -> Result<()> {
    let (url, files) = endpoint(context, args.store);
    let revision = store::anchor(&url, files.as_ref()).await.context("anchoring the state")?;
    print(context.global.output, &json!({ "revision": revision }), |_| {
        format!("the state is anchored up to revision {revision}: no older copy of it will be served")
    })
}

/// The store that was named and what it is asked with, or that of this state directory's master.
pub(super) fn endpoint(context: &Context, named: StoreEndpoint) -> (String, Option<store::ClientFiles>) {
    let files = match (named.cacert, named.cert, named.key) {
        (Some(cacert), Some(cert), Some(key)) => Some(store::ClientFiles { cacert, cert, key }),
        _ => None,
    };
    (named.endpoint.unwrap_or_else(|| super::snapshot::store_url(context)), files)
}
