use serde_json::json;

use super::Context;
use crate::cli::Anchor;
use crate::failure::{Context as _, Result};
use crate::output::print;

/// `k3s-daas anchor`: the state as it is now is on chain when this returns.
pub(crate) async fn run(context: &Context, args: Anchor) -> Result<()> {
    let url = endpoint(context, args.endpoint);
    let revision = store::anchor(&url).await.context("anchoring the state")?;
    print(context.global.output, &json!({ "revision": revision }), |_| {
        format!("the state is anchored up to revision {revision}: no older copy of it will be served")
    })
}

/// The store that was named, or that of this state directory's master.
pub(super) fn endpoint(context: &Context, named: Option<String>) -> String {
    named.unwrap_or_else(|| format!("unix://{}", context.state.path("master/store.sock").display()))
}
