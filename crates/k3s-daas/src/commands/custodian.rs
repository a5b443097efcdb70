use std::os::unix::fs::DirBuilderExt;

use custody::Listener;
use serde_json::json;

use super::{Context, service};
use crate::cli::{Custodian, Output};
use crate::failure::{Context as _, Result};
use crate::output::{print, say};

/// `k3s-daas custodian`: holds a share of a cluster's secret.
pub(crate) async fn run(context: &Context, args: Custodian) -> Result<()> {
    let dir = args.data_dir.unwrap_or_else(|| context.state.root().join("custodian"));
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.context(format_args!("creating {}", dir.display()))?;
    if args.print_key {
        let key =
            custody::open_holder_key(&dir.join("custodian.key")).context("opening the custodian's key")?;
        let answer = json!({ "publicKey": hex::encode(key.public_key()) });
        return match context.global.output {
            Output::Json => print(Output::Json, &answer, |_| String::new()),
            Output::Text => print(Output::Text, &hex::encode(key.public_key()), Clone::clone),
        };
    }
    let chain =
        service::on_chain(context, args.service.package.as_deref(), args.service.cluster.as_deref()).await?;
    let custodian = custody::Custodian::open(
        &dir,
        chain,
        service::policy(&args.service)?,
        service::anchors(&args.service.sources)?,
        service::collateral(context, &args.service.sources),
        service::clock(),
    )
    .context("opening the custodian's share")?;
    let listener = Listener::bind(args.listen).await.context("starting the custodian")?;
    say(format_args!("custodian {} at http://{}", hex::encode(custodian.public_key()), listener.address()));
    service::serve(listener, custodian.router()).await;
    Ok(())
}
