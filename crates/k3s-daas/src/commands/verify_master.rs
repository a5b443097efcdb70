use chain::{Enclave, Registry};
use serde_json::{Value, json};
use tee::{PlatformKind, Policy};

use super::verify::{claimed, policy_in, rfc3339, summary};
use super::{Context, now_ms};
use crate::cli::{Sources, Verify};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{paint, print, say};
use crate::pin::Pin;
use crate::prove::{Expected, Objection, Proven, prove};
use crate::session::Session;
use crate::tokens::bytes32;

/// Who says what the master has to be.
#[derive(Clone, Copy)]
struct Sayers {
    ca: Option<&'static str>,
    enclave: Option<&'static str>,
    code: Option<&'static str>,
}

/// `k3s-daas verify https://HOST:PORT`: what the master there proves, and whether it is the cluster's.
pub(crate) async fn run(context: &Context, url: &str, args: &Verify) -> Result<()> {
    let policy = args.policy.as_deref().map(policy_in).transpose()?;
    let (expected, sayers) = expected(context, url, policy, args.ca_hash.as_deref()).await?;
    let verdict = prove(context, &args.sources, &expected).await?;
    let answer = match &verdict {
        Ok(proven) => accepted(url, proven, sayers),
        Err(objections) => refused(url, objections),
    };
    print(context.global.output, &answer, summary)?;
    let proven = verdict.map_err(|objections| refusal(url, &objections))?;
    warn_if_simulated(&proven);
    if args.pin {
        Pin::new(&expected.gateway, &proven).save(&context.state)?;
        say(
            "pinned; `k3s-daas kubeconfig` writes it, and no credential is made for a master that proves another code",
        );
    }
    Ok(())
}

/// The master that the chain vouches for at the deployment's gateway, asked for its proof.
pub(crate) async fn pin(context: &Context, deployment: &Deployment) -> Result<Pin> {
    let gateway = deployment.gateway.as_deref().ok_or_else(|| {
        Failure::not_ready(
            "the cluster has no gateway yet: wait until `k3s-daas up` says that the master runs",
        )
    })?;
    let (expected, _) = expected(context, gateway, None, None).await?;
    let proven = prove(context, &Sources::makers(), &expected).await?;
    let proven = proven.map_err(|objections| refusal(gateway, &objections))?;
    warn_if_simulated(&proven);
    Ok(Pin::new(gateway, &proven))
}

/// Has the pinned master prove that it still is what was pinned.
pub(crate) async fn check_pin(context: &Context, pin: &Pin) -> Result<()> {
    let expected = pin.expected()?;
    match prove(context, &Sources::makers(), &expected).await? {
        Ok(_) => Ok(()),
        Err(objections) => Err(Failure::refused(format!(
            "{}; if the cluster's code was changed on purpose, look at it with `k3s-daas verify {gateway}` and pin it \
             again with `k3s-daas kubeconfig --pin`",
            refusal(&expected.gateway, &objections),
            gateway = expected.gateway
        ))),
    }
}

/// By the CA hash that was given, else by the chain of the deployment, else by nothing.
async fn expected(
    context: &Context,
    url: &str,
    policy: Option<Policy>,
    ca_hash: Option<&str>,
) -> Result<(Expected, Sayers)> {
    let gateway = url.trim_end_matches('/').to_owned();
    let given = ca_hash.map(|hash| bytes32(hash, "CA hash")).transpose();
    let given = given.map_err(|failure| Failure::usage(format!("--ca-hash: {failure}")))?;
    if given.is_none() && Deployment::find(&context.state)?.is_some_and(|known| known.cluster.is_some()) {
        return on_chain(context, gateway, policy).await;
    }
    let sayers =
        Sayers { ca: given.map(|_| "--ca-hash"), enclave: None, code: policy.as_ref().map(|_| "--policy") };
    if sayers.ca.is_none() {
        say(
            "no deployment in --state-dir and no --ca-hash: the CA that it shows is for you to compare with the chain",
        );
    }
    if sayers.code.is_none() {
        say("no --policy: any code that is genuine is accepted; what it is, is for you to compare");
    }
    let policy = policy.unwrap_or_else(|| Policy {
        allow_simulated: context.settings.simulated_tee_allowed(),
        max_age_ms: Policy::default().max_age_ms,
        ..Policy::genuine()
    });
    Ok((Expected { gateway, ca_hash: given, enclave_key: None, policy }, sayers))
}

/// CA, enclave and code as the chain has them; a policy narrows that down.
async fn on_chain(context: &Context, gateway: String, policy: Option<Policy>) -> Result<(Expected, Sayers)> {
    let session = Session::open(context).await?;
    let cluster = session.on_chain().await?;
    let enclave = cluster
        .enclave
        .ok_or_else(|| Failure::not_ready("the cluster's master has not announced itself on chain yet"))?;
    let package = session.calls.package();
    let registry: Registry =
        session.client.read(package, cluster.registry).await.context("reading the registry of enclaves")?;
    let enclave: Enclave =
        session.client.read(package, enclave).await.context("reading the cluster's enclave")?;
    let now_ms = session.now_ms().await?;
    if !registry.allows(&enclave.measurement, now_ms) {
        return Err(Failure::refused("the measurement of the cluster's enclave was retired on chain"));
    }
    if now_ms >= enclave.expires_ms {
        return Err(Failure::refused("the registration of the cluster's enclave on chain has ended"));
    }
    let platform: PlatformKind =
        enclave.measurement.platform.parse().context("reading the enclave's platform on chain")?;
    let fixed = |bytes: &[u8], what: &str| {
        <[u8; 32]>::try_from(bytes)
            .map_err(|_| Failure::not_ready(format!("the {what} on chain is not 32 bytes")))
    };
    let code = (platform, enclave.measurement.to_map());
    let allow_simulated = registry.allow_simulated && context.settings.simulated_tee_allowed();
    let base = policy.unwrap_or_else(|| Policy { allow_simulated: true, ..Policy::default() });
    let fits = base.rules_in(code.0, &code.1);
    let policy = Policy {
        allowed: if fits { vec![code] } else { Vec::new() },
        any_code: false,
        allow_simulated: allow_simulated && base.allow_simulated,
        ..base
    }
    .bounded(custody::tcb_bounds(&registry));
    let expected = Expected {
        gateway,
        ca_hash: Some(fixed(&cluster.ca_hash, "cluster's CA hash")?),
        enclave_key: Some(fixed(&enclave.public_key, "enclave's key")?),
        policy,
    };
    Ok((expected, Sayers { ca: Some("chain"), enclave: Some("chain"), code: Some("chain") }))
}

fn accepted(url: &str, proven: &Proven, sayers: Sayers) -> Value {
    let mut answer = claimed(&proven.claims);
    let more = json!({
        "accepted": true,
        "url": url,
        "ca": { "sha256": hex::encode(proven.ca_hash), "comparedWith": sayers.ca },
        "tlsKey": { "sha256": hex::encode(proven.tls_key), "boundToEvidence": true },
        "enclave": { "publicKey": hex::encode(proven.enclave_key), "comparedWith": sayers.enclave },
        "code": { "comparedWith": sayers.code },
        "fresh": true,
        "verifiedAt": rfc3339(now_ms()),
    });
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    answer
}

fn refused(url: &str, objections: &[Objection]) -> Value {
    let refusals: Vec<Value> =
        objections.iter().map(|one| json!({ "reason": one.reason, "message": one.message })).collect();
    json!({ "accepted": false, "url": url, "refusals": refusals, "verifiedAt": rfc3339(now_ms()) })
}

fn refusal(url: &str, objections: &[Objection]) -> Failure {
    let all: Vec<&str> = objections.iter().map(|one| one.message.as_str()).collect();
    Failure::refused(format!("{url} is not proven: {}", all.join("; ")))
}

fn warn_if_simulated(proven: &Proven) {
    if proven.claims.simulated {
        say(format_args!(
            "{} the TEE is simulated: this proves nothing about hardware, and whoever reads its secret can say the same",
            paint("33", "SIMULATED:")
        ));
    }
}
