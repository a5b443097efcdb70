use crate::agent::{Agent, Failure, FailureKind, Phase};
use crate::node_agent::NodeStatus;
use crate::shell::Shell;

/// Everything that the API shows, as it is at `now_ms`.
pub(crate) fn snapshot(agent: &Agent, shell: &Shell, node: &NodeStatus, now_ms: u64) -> api::WorkerStatus {
    let token = agent.view().and_then(|view| view.token.as_ref());
    let chain_error = agent.chain_failure().map(|failure| failure.message.clone());
    let reason = agent.node_failure().map(|failure| failure.message.clone());
    api::WorkerStatus {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        phase: agent.phase(now_ms).as_str().to_owned(),
        problem: problem(agent, node, now_ms),
        node_name: token.map(|token| token.node_name.clone()).unwrap_or_default(),
        cluster_id: shell.config.cluster_id.to_string(),
        token_id: shell.config.token_id.to_string(),
        chain: api::LinkStatus {
            url: shell.chain.url().to_owned(),
            reachable: agent.view().is_some() && chain_error.is_none(),
            error: chain_error,
        },
        gateway: gateway(agent, shell),
        node: api::NodeAgentStatus {
            ready: node.ready,
            reason: reason.or_else(|| node.reason.clone()).filter(|_| !node.ready),
            pods: node.pods,
        },
        token_expires_ms: token.map(|token| token.expires_ms),
        stake: token.and_then(|token| token.stake.clone()),
        rewards: shell.rewards.lock().known().cloned(),
        certificates_expire_ms: agent.certificates().map(|validity| validity.until_ms),
        last_heartbeat_ms: shell.memory.lock().last_heartbeat_ms,
        evidence: shell.evidence.as_ref().map(|evidence| {
            let problem = agent.evidence_failure().map(|failure| api::ErrorBody {
                reason: failure.reason.clone(),
                message: failure.message.clone(),
            });
            evidence.status(problem, now_ms)
        }),
    }
}

fn gateway(agent: &Agent, shell: &Shell) -> api::GatewayLink {
    let target = agent.view().and_then(|view| view.target.as_ref().ok());
    let failure = agent.gateway_failure();
    let silent = failure.is_some_and(|failure| failure.kind == FailureKind::Unreachable);
    let claims = shell.attested_platform().filter(|_| agent.attested());
    api::GatewayLink {
        link: api::LinkStatus {
            url: target.map(|target| target.endpoint.clone()).unwrap_or_default(),
            reachable: agent.attested() || (failure.is_some() && !silent),
            error: failure.map(|failure| failure.message.clone()),
        },
        attested: agent.attested(),
        platform: claims.as_ref().map(|claims| claims.platform.to_string()),
        simulated: claims.is_some_and(|claims| claims.simulated),
    }
}

/// What a person should look at first.
fn problem(agent: &Agent, node: &NodeStatus, now_ms: u64) -> Option<api::ErrorBody> {
    let body = |reason: &str, message: String| api::ErrorBody { reason: reason.to_owned(), message };
    let of = |failure: &Failure| body(&failure.reason, failure.message.clone());
    if let Some(gone) = agent.gone(now_ms) {
        // The chain's own words say which measurement.
        let lacking = agent.view().and_then(|view| view.target.as_ref().err());
        let same = lacking.filter(|lacking| lacking.reason == gone.reason()).cloned();
        return Some(same.unwrap_or_else(|| body(gone.reason(), gone.to_string())));
    }
    if agent.phase(now_ms) == Phase::ReadingChain {
        return agent.chain_failure().map(of);
    }
    match agent.view().map(|view| &view.target) {
        Some(Err(lacking)) => return Some(lacking.clone()),
        Some(Ok(target)) if now_ms >= target.enclave_expires_ms => {
            let message =
                "the registration of the cluster's enclave on chain has ended; its operator must renew it";
            return Some(body("enclave_expired", message.to_owned()));
        }
        _ => {}
    }
    let failures = [agent.gateway_failure(), agent.node_failure(), agent.renewal_failure()];
    if let Some(failure) = failures.into_iter().flatten().next() {
        return Some(of(failure));
    }
    let reason = node.reason.clone().filter(|_| !node.ready && agent.phase(now_ms) == Phase::Running)?;
    Some(body("node_not_ready", reason))
}
