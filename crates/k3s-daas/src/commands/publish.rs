use std::path::Path;

use chain::{Client, Config, DryRun, Economics, Parties, Receipt, Signer, Tier, TierTerms};
use serde::Deserialize;
use serde_json::json;

use super::act::net_gas;
use super::{Context, now_ms};
use crate::cli::Publish;
use crate::deployment::Deployment;
use crate::economics_check;
use crate::failure::{Context as _, Failure, Result};
use crate::input::read_toml;
use crate::output::{Step, print, say};
use crate::pending;
use crate::session::{Session, connect, refusal};
use crate::wallets::Wallets;

const HOUR_MS: u64 = 3_600_000;
/// Below this a development chain's faucet is asked, MIST.
const LOW: u64 = 2_000_000_000;

/// `--params`: what differs from what a new cluster demands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Params {
    tiers: Tiers,
    unbonding_hours: Option<u64>,
    token_hours: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Tiers {
    node: Terms,
    user: Terms,
    admin: Terms,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Terms {
    /// Smallest stake, MIST.
    minimum: Option<u64>,
    /// A stake stays at least this long.
    lock_hours: Option<u64>,
}

/// `k3s-daas publish`: each step is remembered, so a run after a crash goes on where the one before stopped.
pub(crate) async fn run(context: &Context, args: Publish) -> Result<()> {
    let params: Params = args.params.as_deref().map(read_toml).transpose()?.unwrap_or_default();
    let mut deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let url = context.settings.chain_url(&deployment);
    let client = connect(&url).await?;
    let info = client.service_info().await.context("asking the chain who it is")?;
    check_chain(&deployment, &info, &url, args.allow_simulated)?;
    let mut wallets = Wallets::open(&context.state)?;
    if wallets.address(&args.wallet).is_err() {
        let address = wallets.create(&args.wallet)?;
        say(format_args!("made the wallet {:?}: {address}", args.wallet));
    }
    let signer = wallets.signer(&args.wallet)?;
    fund(&client, signer.address(), info.is_devnet()).await?;
    if args.dry_run {
        return dry_run(context, &client, signer.as_ref(), &params, args.assumptions.as_deref()).await;
    }
    deployment.chain_url = url;
    deployment.chain_id = info.chain_id;
    deployment.save(&context.state)?;
    package(context, &client, signer.as_ref(), &mut deployment).await?;
    cluster(context, &client, signer.as_ref(), &mut deployment, &args.name, args.allow_simulated).await?;
    let session = Session::with(context, client, deployment)?;
    configure(&session, signer.as_ref(), &params).await?;
    let known = session.read().await?;
    if let (Some(cluster), Some(economics)) = (&known.cluster, &known.money.economics) {
        warn(&cluster.config, economics, args.assumptions.as_deref())?;
    }
    let file = context.state.path("deployment.json");
    print(context.global.output, &session.deployment, |deployment| {
        let id = |id: Option<chain::Address>| id.map(|id| id.to_string()).unwrap_or_default();
        format!("package {}\ncluster {}", id(deployment.package), id(deployment.cluster))
    })?;
    say(format_args!("written to {}: the other commands read it", file.display()));
    Ok(())
}

fn check_chain(
    deployment: &Deployment,
    info: &chain::ServiceInfo,
    url: &str,
    allow_simulated: bool,
) -> Result<()> {
    if !deployment.chain_id.is_empty() && deployment.chain_id != info.chain_id {
        return Err(Failure::refused(format!(
            "{url} is chain {}, but this state directory belongs to chain {}: give another --state-dir",
            info.chain_id, deployment.chain_id
        )));
    }
    if info.is_public() && allow_simulated {
        return Err(Failure::refused(format!(
            "{url} is a public network ({}), where a simulated TEE is refused: leave out --allow-simulated",
            info.chain
        )));
    }
    Ok(())
}

async fn fund(client: &Client, address: chain::Address, is_devnet: bool) -> Result<()> {
    let balance = client.balance(address).await.context("asking for the balance")?;
    if is_devnet && balance < LOW {
        client.faucet(address, None).await.context("asking the faucet")?;
    } else if balance == 0 {
        return Err(Failure::not_ready(format!(
            "{address} has no SUI: send it about 1 SUI (on testnet: https://faucet.sui.io), then run this again"
        )));
    }
    Ok(())
}

/// Publishes the contracts, at most once.
pub(crate) async fn package(
    context: &Context,
    client: &Client,
    signer: &dyn Signer,
    deployment: &mut Deployment,
) -> Result<()> {
    const PENDING: &str = "publish";
    if deployment.package.is_none() {
        let step = Step::start("the contracts");
        let draft = chain::package::bundled().publish(signer.address());
        let doing = "publishing the contracts";
        let receipt = pending::once(&context.state, client, signer.into(), &draft, PENDING, doing).await?;
        let package = receipt.package().ok_or_else(|| Failure::failed("the chain published no package"))?;
        deployment.package = Some(package);
        deployment.since_checkpoint = receipt.checkpoint.unwrap_or_default();
        deployment.save(&context.state)?;
        step.done(format_args!("published as {package}"));
    }
    pending::forget(&context.state, PENDING)
}

/// Makes the cluster, at most once.
pub(crate) async fn cluster(
    context: &Context,
    client: &Client,
    signer: &dyn Signer,
    deployment: &mut Deployment,
    name: &str,
    allow_simulated: bool,
) -> Result<()> {
    const PENDING: &str = "cluster";
    let Some(package) = deployment.package else { return Ok(()) };
    if deployment.cluster.is_none() {
        let step = Step::start("the cluster on chain");
        let draft = chain::Calls::new(package).create_cluster(name, allow_simulated);
        let doing = "creating the cluster";
        let receipt = pending::once(&context.state, client, signer.into(), &draft, PENDING, doing).await?;
        remember(deployment, package, &receipt);
        let cluster = deployment.cluster.ok_or_else(|| Failure::failed("the chain created no cluster"))?;
        deployment.save(&context.state)?;
        step.done(cluster);
    }
    pending::forget(&context.state, PENDING)
}

fn remember(deployment: &mut Deployment, package: chain::Address, receipt: &Receipt) {
    if let Some((made, admin)) = receipt.founded(package) {
        deployment.cluster = Some(made.cluster);
        deployment.governance = Some(made.governance);
        deployment.registry = Some(made.registry);
        deployment.names = Some(made.names);
        deployment.cap = Some(admin.cap);
    }
}

/// Brings the configuration to what `--params` says, when it differs.
async fn configure(session: &Session, signer: &dyn Signer, params: &Params) -> Result<()> {
    let cluster = session.on_chain().await?;
    let wanted = params.over(&cluster.config)?;
    if wanted == cluster.config {
        return Ok(());
    }
    let step = Step::start("the configuration");
    let draft = session.calls.set_config(cluster.id, session.admin()?, &wanted);
    let doing = "changing the configuration";
    session.client.execute(signer, &draft).await.map_err(|error| refusal(error, doing))?;
    step.done("as --params says");
    Ok(())
}

impl Params {
    fn over(&self, present: &Config) -> Result<Config> {
        let tier = |tier: Tier, terms: &Terms| -> Result<TierTerms> {
            let present =
                present.terms(tier).ok_or_else(|| Failure::failed(format!("there is no tier {tier}")))?;
            Ok(TierTerms {
                minimum: terms.minimum.unwrap_or(present.minimum),
                lock_ms: terms.lock_hours.map_or(present.lock_ms, |hours| hours.saturating_mul(HOUR_MS)),
            })
        };
        let hours = |hours: Option<u64>, present: u64| hours.map_or(present, |h| h.saturating_mul(HOUR_MS));
        Ok(Config {
            tiers: vec![
                tier(Tier::Node, &self.tiers.node)?,
                tier(Tier::User, &self.tiers.user)?,
                tier(Tier::Admin, &self.tiers.admin)?,
            ],
            unbonding_ms: hours(self.unbonding_hours, present.unbonding_ms),
            token_lifetime_ms: hours(self.token_hours, present.token_lifetime_ms),
        })
    }
}

/// Says where the parameters do not deter.
fn warn(config: &Config, economics: &Economics, assumptions: Option<&Path>) -> Result<()> {
    let warnings = economics_check::deterrence_warnings(config, economics, assumptions)?;
    if warnings.is_empty() {
        say("under the assumptions, every attack that was played loses money");
        return Ok(());
    }
    say(
        "WARNING: under the assumptions, these attacks pay with these parameters, or are not certain to lose:",
    );
    warnings.iter().for_each(|warning| say(format_args!("  {warning}")));
    say("see docs/economics.md for parameters that deter, and `k3s-daas simulate economics`");
    Ok(())
}

async fn dry_run(
    context: &Context,
    client: &Client,
    signer: &dyn Signer,
    params: &Params,
    assumptions: Option<&Path>,
) -> Result<()> {
    let contracts = chain::package::bundled();
    let draft = contracts.publish(signer.address());
    let dry: DryRun = client
        .dry_run(signer.address(), Parties::from(signer).payer().address(), &draft)
        .await
        .map_err(|error| refusal(error, "publishing the contracts"))?;
    let gas = net_gas(&dry.receipt);
    let data = json!({ "dryRun": true, "modules": contracts.modules.len(), "gasMist": gas,
        "digest": hex::encode(contracts.digest()), "atMs": now_ms() });
    print(context.global.output, &data, |_| {
        format!("{} modules would be published for {gas} MIST of gas", contracts.modules.len())
    })?;
    let config = params.over(&Config::default())?;
    warn(&config, &Economics::default(), assumptions)?;
    say("nothing was published, this was a dry run");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_change_what_they_name() {
        let params: Params = toml::from_str("unbonding_hours = 2\n[tiers.node]\nminimum = 7").unwrap();
        let config = params.over(&Config::default()).unwrap();
        assert_eq!(config.unbonding_ms, 2 * HOUR_MS);
        assert_eq!(config.terms(Tier::Node).unwrap().minimum, 7);
        assert_eq!(config.terms(Tier::User), Config::default().terms(Tier::User));
        assert!(toml::from_str::<Params>("[tiers.root]\nminimum = 7").is_err());
    }
}
