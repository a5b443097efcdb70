use master::MasterError;
use serde_json::json;

use super::Context;
use super::committee::member;
use crate::cli::Master;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

const OPENING: &str = "opening the master's identity";

/// `k3s-daas master`: runs until it is asked to stop.
pub(crate) async fn run(context: &Context, args: Master) -> Result<()> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let mut config = crate::parts::master(context, &deployment)?;
    config.anchor.accept_unanchored |= args.control_plane.accept_unanchored;
    if args.print_identity && args.new_cluster {
        return print_measured(config).await;
    }
    let obtained = obtain(context, &config, &args).await?;
    if args.print_identity {
        let printing = tokio::task::spawn_blocking(move || master::identity(&config, obtained));
        let identity = printing.await.context(OPENING)?.context(OPENING)?;
        let answer = json!({
            "platform": identity.platform.to_string(),
            "simulated": identity.simulated,
            "publicKey": hex::encode(identity.public_key),
            "caHash": hex::encode(identity.ca_hash),
            "measurements": hexadecimal(&identity.measurement),
        });
        return print(crate::cli::Output::Json, &answer, |_| String::new());
    }
    let master = match master::Master::start_with(config, obtained).await {
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

/// What this machine keeps, or is given, or makes for a new cluster; dealt to the holders that are named.
async fn obtain(context: &Context, config: &master::Config, args: &Master) -> Result<master::Obtained> {
    let committee = match args.threshold {
        None => None,
        Some(threshold) => {
            let members = args.holders.iter().map(|text| member(text)).collect::<Result<Vec<_>>>()?;
            Some(master::Committee { threshold, members })
        }
    };
    let (obtained, dealing) = match (args.new_cluster, committee) {
        (true, None) => {
            return Err(Failure::usage(
                "--new-cluster is for a platform that seals nothing: name with --holder and --threshold who shall hold the cluster's secret",
            ));
        }
        (true, Some(committee)) => master::found(config, committee).await.context("beginning the cluster")?,
        (false, None) => return master::obtain(config).await.context("getting the master's keys"),
        (false, Some(committee)) => {
            let obtained = master::obtain(config).await.context("getting the master's keys")?;
            let dealt = master::deal_before_serving(config, &obtained, committee).await;
            (obtained, dealt.context("dealing the cluster's secret")?)
        }
    };
    let path = context.state.path("committee.cbor");
    tee::write_durably(&path, &dealing.encode()).context(format_args!("writing {}", path.display()))?;
    let (threshold, holders) = (dealing.threshold(), dealing.holders().len());
    say(format_args!(
        "√ any {threshold} of {holders} holders can give this master its keys when it starts again"
    ));
    Ok(obtained)
}

/// What has to be allowed on chain before a cluster can begin on a platform that seals nothing: its keys are made later.
async fn print_measured(config: master::Config) -> Result<()> {
    let opening = tokio::task::spawn_blocking(move || master::open_platform(&config));
    let platform = opening.await.context(OPENING)?.context(OPENING)?;
    let answer = json!({
        "platform": platform.kind().to_string(),
        "simulated": platform.is_simulated(),
        "publicKey": null,
        "caHash": null,
        "measurements": hexadecimal(&platform.measurement()),
    });
    print(crate::cli::Output::Json, &answer, |_| String::new())
}

fn hexadecimal(measured: &tee::Measurements) -> serde_json::Map<String, serde_json::Value> {
    measured.iter().map(|(name, value)| (name.clone(), hex::encode(value).into())).collect()
}
