use master::MasterError;
use serde_json::json;

use super::Context;
use crate::cli::Master;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// `k3s-daas master`: runs until it is asked to stop.
pub(crate) async fn run(context: &Context, args: Master) -> Result<()> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let mut config = crate::parts::master(context, &deployment)?;
    config.anchor.accept_unanchored |= args.accept_unanchored;
    if args.print_identity {
        let identity = master::identity(&config).context("opening the master's identity")?;
        let measurements: serde_json::Map<_, _> = identity
            .measurement
            .iter()
            .map(|(name, value)| (name.clone(), hex::encode(value).into()))
            .collect();
        let answer = json!({
            "platform": identity.platform.to_string(),
            "simulated": identity.platform == tee::PlatformKind::Simulated,
            "publicKey": hex::encode(identity.public_key),
            "caHash": hex::encode(identity.ca_hash),
            "measurements": measurements,
        });
        return print(crate::cli::Output::Json, &answer, |_| String::new());
    }
    let master = match master::Master::start(config).await {
        // Not an accident: this state may not be served.
        Err(refused @ (MasterError::Refused(_) | MasterError::Unanchored { .. })) => {
            return Err(Failure::refused(refused));
        }
        started => started.context("starting the master")?,
    };
    say("the master runs");
    tokio::select! {
        () = super::asked_to_stop() => {}
        failure = master.failed() => say(format_args!("the master cannot go on: {failure}")),
    }
    master.shutdown().await;
    Ok(())
}
