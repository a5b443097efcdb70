//! Puts the cluster on chain, each step remembered, so that a later run goes on where an earlier one stopped.

use chain::{Address, Admin, Client, EnclaveClaims, Event, Measurement, Tier};

use crate::commands::publish;
use crate::commands::stake::{Wish, ensure};
use crate::commands::{ADMIN, Context, OPERATOR, STAKER, now_ms};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{Step, say};
use crate::session::Session;
use crate::tokens::Token;
use crate::wallets::Wallets;

/// The key that vouches for the enclave's evidence on a cluster of one operator.
const VERIFIER: &str = "verifier";
/// Below this a development chain's faucet is asked, MIST.
const LOW: u64 = 2_000_000_000;
const DAY_MS: u64 = 86_400_000;
/// The administrator's token is renewed by `up` when it has less than this left.
const RENEW_BEFORE_MS: u64 = 10 * DAY_MS;
/// A registration is renewed by `up` when it has less than this left.
const REGISTER_BEFORE_MS: u64 = 7 * DAY_MS;
const REGISTER_FOR_MS: u64 = 29 * DAY_MS;

/// Package, cluster, trusted code and enclave; afterwards a master can serve.
pub(crate) async fn prepare(context: &Context, url: &str) -> Result<Session> {
    let client = crate::session::connect(url).await?;
    let info = client.service_info().await.context("asking the chain who it is")?;
    let mut deployment = Deployment::find(&context.state)?.unwrap_or_default();
    if !deployment.chain_id.is_empty() && deployment.chain_id != info.chain_id {
        return Err(Failure::refused(format!(
            "{url} is chain {}, but this state directory belongs to chain {}: give the right --chain, or begin anew \
             with `k3s-daas down --purge`",
            info.chain_id, deployment.chain_id
        )));
    }
    if info.is_public() && (context.settings.simulated_tee_allowed() || context.settings.mock_mode()) {
        return Err(Failure::refused(format!(
            "{url} is a public network ({}), where a simulated TEE is refused; a real platform is needed (see \
             `k3s-daas attest --explain`), and `mock_mode = false`",
            info.chain
        )));
    }
    deployment.chain_url = url.to_owned();
    deployment.chain_id = info.chain_id.clone();
    deployment.save(&context.state)?;

    let mut wallets = Wallets::open(&context.state)?;
    for name in [OPERATOR, STAKER, VERIFIER] {
        wallets.get_or_new(name)?;
    }
    if info.is_devnet() {
        for name in [OPERATOR, STAKER] {
            fill(&client, wallets.get(name)?.address()).await?;
        }
    }
    let operator = wallets.signer(OPERATOR)?;
    publish::package(context, &client, operator.as_ref(), &mut deployment).await?;
    let simulated = !info.is_public();
    publish::cluster(context, &client, operator.as_ref(), &mut deployment, "k3s-daas", simulated).await?;
    let mut session = Session::with(context, client, deployment)?;
    trust(context, &mut session).await?;
    Ok(session)
}

/// Renews the enclave's registration and the administrator's token, as far as they are due.
pub(crate) async fn renew(context: &Context) -> Result<()> {
    let mut session = Session::open(context).await?;
    trust(context, &mut session).await?;
    administrator(context, &session).await.map(drop)
}

/// The operator's own stake as administrator, and its right over the whole cluster.
pub(crate) async fn administrator(context: &Context, session: &Session) -> Result<Token> {
    let wish = Wish {
        name: ADMIN.to_owned(),
        wallet: OPERATOR.to_owned(),
        sponsor: None,
        tier: Tier::Admin,
        amount: None,
        node_name: None,
    };
    let token = ensure(context, session, &wish).await?;
    let operator = session.wallets.get(OPERATOR)?;
    let known = session.read().await?;
    let on_chain = token.token_id.and_then(|id| known.tokens.get(&id));
    if let Some(found) = on_chain.filter(|found| found.expires_ms < now_ms() + RENEW_BEFORE_MS) {
        crate::commands::token::extend(context, session, &token.name, found.expires_ms > now_ms()).await?;
    }
    let has = known.grants.values().any(|grant| {
        grant.grantee == operator.address() && grant.namespace.is_empty() && grant.role == "cluster-admin"
    });
    if !has {
        let draft =
            session.calls.grant(session.cluster, session.admin()?, operator.address(), "", "cluster-admin");
        session.execute(operator, &draft, "granting the operator the cluster").await?;
    }
    Ok(token)
}

/// The stake and token of this machine's worker.
pub(crate) async fn worker(context: &Context, session: &Session, node_name: &str) -> Result<Token> {
    let wish = Wish {
        name: node_name.to_owned(),
        wallet: STAKER.to_owned(),
        sponsor: None,
        tier: Tier::Node,
        amount: None,
        node_name: Some(node_name.to_owned()),
    };
    ensure(context, session, &wish).await
}

async fn fill(client: &Client, address: Address) -> Result<()> {
    let balance = client.balance(address).await.context("asking for a balance")?;
    if balance < LOW {
        client.faucet(address, None).await.context("asking the faucet")?;
    }
    Ok(())
}

/// Verifies this machine's evidence, allows its measurement and registers its enclave.
async fn trust(context: &Context, session: &mut Session) -> Result<()> {
    let step = Step::start("the enclave");
    let config = crate::parts::master(context, &session.deployment)?;
    let verifiers = config.registration.verifiers.clone();
    let opening = config.clone();
    let identity = tokio::task::spawn_blocking(move || master::identity(&opening, master::kept(&opening)?))
        .await
        .context("opening the master's identity")?
        .context("opening the master's identity")?;
    let simulated = identity.platform == tee::PlatformKind::Simulated;
    if simulated {
        say("  SIMULATED TEE: everything is verified as for real, but it proves nothing about hardware");
    }
    let admin = session.admin()?;
    let registry = session.registry()?;
    let measurement = Measurement::new(identity.platform.to_string(), &identity.measurement);
    if verifiers.is_empty() {
        say(
            "  the only verifier of its evidence is this state directory's own (1 of 1): nobody else vouches for it",
        );
        set_verifier(session, admin, registry).await?;
    }
    let known = session.read().await?;
    let allowed = known.registry.as_ref().is_some_and(|registry| registry.allowed.contains(&measurement));
    if !allowed {
        let draft = session.calls.allow_measurement(registry, admin, &measurement);
        let operator = session.wallets.get(OPERATOR)?;
        session.execute(operator, &draft, "allowing the measurement").await?;
    }
    let now = now_ms();
    let standing = known.enclaves.values().find(|enclave| {
        enclave.public_key == identity.public_key
            && enclave.measurement == measurement
            && enclave.expires_ms > now + REGISTER_BEFORE_MS
            && known.enclave_in_standing(&enclave.id, now)
    });
    let enclave = match standing {
        Some(enclave) => enclave.id,
        None if verifiers.is_empty() => register(session, registry, &identity, measurement, now).await?,
        None => register_by(session, config, verifiers, &identity, now).await?,
    };
    session.deployment.enclave = Some(enclave);
    session.deployment.ca_hash = Some(hex::encode(identity.ca_hash));
    session.deployment.save(&context.state)?;
    step.done(format_args!("{} registered as {enclave}", identity.platform));
    Ok(())
}

async fn set_verifier(session: &Session, admin: Admin, registry: Address) -> Result<()> {
    let verifier = session.wallets.get(VERIFIER)?.public_key();
    let known = session.read().await?;
    if known.registry.as_ref().is_some_and(|registry| registry.verifiers.iter().any(|key| key == &verifier)) {
        return Ok(());
    }
    let draft = session.calls.set_verifiers(registry, admin, &[verifier], 1);
    session.execute(session.wallets.get(OPERATOR)?, &draft, "naming the verifier").await.map(|_| ())
}

/// Has the enclave verified by the services that are configured.
async fn register_by(
    session: &Session,
    config: master::Config,
    verifiers: Vec<String>,
    identity: &master::Identity,
    now: u64,
) -> Result<Address> {
    let opened = tokio::task::spawn_blocking(move || master::Newcomer::open(&config));
    let newcomer = opened.await.context("opening the platform")?.context("opening the platform")?;
    let clock: custody::Clock = std::sync::Arc::new(now_ms);
    let registrar = custody::Registrar { platform: newcomer.platform, verifiers, clock };
    let what = custody::Registration {
        cluster: session.cluster,
        public_key: identity.public_key,
        ca_hash: identity.ca_hash,
        expires_ms: now + REGISTER_FOR_MS,
    };
    let registry = session.read().await?.registry;
    let registry = registry.ok_or_else(|| Failure::not_ready("the cluster has no registry yet"))?;
    let verified = registrar.collect(&what, &registry).await.context("having the enclave verified")?;
    submit(session, registry.id, &verified).await
}

/// Acts as the verifier: looks at the evidence, and only then signs the claims.
async fn register(
    session: &Session,
    registry: Address,
    identity: &master::Identity,
    measurement: Measurement,
    now: u64,
) -> Result<Address> {
    let evidence = tee::Evidence::decode(&identity.evidence).context("reading the evidence")?;
    let trusted: chain::Registry =
        session.client.read(session.calls.package(), registry).await.context("reading the registry")?;
    let policy = tee::Policy {
        allowed: vec![(identity.platform, identity.measurement.clone())],
        allow_simulated: identity.platform == tee::PlatformKind::Simulated,
        ..tee::Policy::default()
    }
    .bounded(custody::tcb_bounds(&trusted));
    let report_data = tee::report_data(&identity.nonce, &identity.public_key, &identity.ca_hash);
    tee::verify(&evidence, &policy, &report_data, now)
        .map_err(|refusals| Failure::refused(format!("this machine's evidence is refused: {refusals}")))?;
    let claims = EnclaveClaims {
        cluster: session.cluster,
        measurement,
        public_key: identity.public_key.to_vec(),
        expires_ms: now + REGISTER_FOR_MS,
    };
    let verified = claims.sign_all(&[session.wallets.get(VERIFIER)?], now).context("signing the claims")?;
    submit(session, registry, &verified).await
}

async fn submit(session: &Session, registry: Address, verified: &chain::VerifiedClaims) -> Result<Address> {
    let draft = session.calls.register_enclave(registry, verified);
    let receipt = session.execute(session.wallets.get(OPERATOR)?, &draft, "registering the enclave").await?;
    receipt
        .events_of(session.calls.package())
        .into_iter()
        .find_map(|event| match event {
            Event::EnclaveRegistered(registered) => Some(registered.enclave),
            _ => None,
        })
        .ok_or_else(|| Failure::failed("the chain registered no enclave"))
}
