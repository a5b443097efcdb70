use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Context;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, table};
use crate::session::Session;
use crate::tokens::Token;
use crate::up::record::Record;

const LIMIT: Duration = Duration::from_secs(5);
const PROOF_MS: u64 = 60_000;

/// `k3s-daas status`: what runs here, what the master says, what the chain says; each may be missing.
pub(crate) async fn run(context: &Context) -> Result<()> {
    let deployment = Deployment::load(&context.state)?;
    let record = Record::running(&context.state)?;
    let (master, nodes, stakes) =
        tokio::join!(ask(context, "/api/v1/status"), ask(context, "/api/v1/nodes"), node_stakes(context));
    let or_error = |answer: &Result<Value>| match answer {
        Ok(value) => value.clone(),
        Err(failure) => json!({ "error": failure.to_string() }),
    };
    let status = json!({
        "chainUrl": deployment.chain_url,
        "chainId": deployment.chain_id,
        "clusterId": deployment.cluster,
        "caHash": deployment.ca_hash,
        "gateway": deployment.gateway,
        "apiserver": deployment.apiserver,
        "phase": record.as_ref().map(|record| record.phase),
        "processes": record.as_ref().map(|record| &record.processes),
        "nodeStakes": stakes.as_ref().ok(),
        "master": or_error(&master),
        "nodes": nodes.as_ref().map_or(Value::Null, |nodes| nodes["nodes"].clone()),
    });
    print(context.global.output, &status, text)
}

fn text(status: &Value) -> String {
    let show = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<12}{value}\n"));
    line("cluster", show(&status["clusterId"]));
    line("chain", format!("{} ({})", show(&status["chainId"]), show(&status["chainUrl"])));
    line("gateway", show(&status["gateway"]));
    line("apiserver", show(&status["apiserver"]));
    line("node stakes", show(&status["nodeStakes"]));
    let master = &status["master"];
    if let Some(error) = master["error"].as_str() {
        line("master", format!("does not answer: {error}"));
    } else {
        let tee = &master["tee"];
        let kind = show(&tee["platform"]);
        let marked = if tee["simulated"] == true {
            format!("{kind} (SIMULATED: proves nothing about hardware)")
        } else {
            kind
        };
        line("tee", marked);
        if tee["sealing"] == "none" {
            line("", "seals nothing: masters or the committee give its keys at each start".to_owned());
        }
        if let Some(problem) = master["tee"]["problem"].as_str() {
            line("", format!("SIGNS NOTHING: {problem}"));
        }
        if master["tee"]["memoryLocked"] == false {
            line("", "memory is not locked: keys may be written to swap (`k3s-daas check`)".to_owned());
        }
        let chain = &master["chain"];
        let reach = if chain["reachable"] == true {
            "reachable".to_owned()
        } else {
            format!("UNREACHABLE: {}", show(&chain["error"]))
        };
        line("followed", format!("checkpoint {}, {reach}", chain["checkpoint"]));
        line(
            "kubernetes",
            format!("{}, store revision {}", show(&master["kubernetesVersion"]), master["storeRevision"]),
        );
    }
    if let Some(network) = master["podNetwork"].as_str() {
        let how = match master["podNetworkEncrypted"].as_bool() {
            Some(true) => "encrypted",
            _ => "NOT ENCRYPTED between nodes",
        };
        line("pod network", format!("{network}, {how}"));
        let on = master["addons"].as_array().map(Vec::as_slice).unwrap_or_default();
        line("add-ons", on.iter().map(show).collect::<Vec<_>>().join(", "));
    }
    let anchor = &master["anchor"];
    if anchor.is_object() {
        line("anchored", anchored(anchor, &master["storeRevision"]));
        line("anchoring", anchor_cost(anchor));
        if let Some(why) = anchor["unanchored"].as_str() {
            line("", format!("SERVED UNANCHORED: nobody has said that this is the latest state ({why})"));
        }
        if let Some(starts) = anchor["undeclared"].as_u64().filter(|starts| *starts > 0) {
            line("", format!("{starts} starts that served unanchored are not declared on chain yet"));
        }
        if let Some(error) = anchor["error"].as_str() {
            line("", format!("NO ANCHOR IS POSTED: {error}"));
        }
    }
    let rows = |value: &Value, keys: &[&str]| -> Vec<Vec<String>> {
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|row| keys.iter().map(|key| show(&row[key])).collect()).collect()
    };
    text.push('\n');
    text.push_str(&table(
        &["NODE", "STATE", "ATTESTED", "STAKE"],
        &rows(&status["nodes"], &["name", "state", "attested", "stakeId"]),
    ));
    text.push('\n');
    let processes = rows(&status["processes"], &["name", "pid", "state", "restarts"]);
    text.push_str(&table(&["PROCESS", "PID", "STATE", "RESTARTS"], &processes));
    text
}

/// Up to where an older copy of the state would be refused, and how long what comes after waits for that.
fn anchored(anchor: &Value, store_revision: &Value) -> String {
    let known = anchor["revision"].as_i64().unwrap_or_default();
    let open = store_revision.as_i64().unwrap_or_default().saturating_sub(known).max(0);
    let seconds = |name: &str| anchor[name].as_u64().unwrap_or_default() / 1000;
    format!(
        "revision {known}; {open} later ones are not protected against an older copy yet: a change waits {} s at most, \
         heartbeats alone up to {} s",
        seconds("windowMs"),
        seconds("idleWindowMs")
    )
}

fn anchor_cost(anchor: &Value) -> String {
    let sui = |name: &str| anchor[name].as_u64().unwrap_or_default() as f64 / 1e9;
    let waits = if anchor["unpaid"] == true { "; THE NEXT WAITS FOR MONEY" } else { "" };
    format!(
        "costs {:.4} SUI in the last day, {:.4} on a busy one, {:.4} at most{waits}",
        sui("spentMist"),
        sui("dayMist"),
        sui("maxMistPerDay")
    )
}

/// Asks the gateway as the administrator.
async fn ask(context: &Context, path: &str) -> Result<Value> {
    ask_as(context, &Token::load(&context.state, super::ADMIN)?, path).await
}

/// Asks the gateway as the holder of `token`.
pub(crate) async fn ask_as(context: &Context, token: &Token, path: &str) -> Result<Value> {
    let deployment = Deployment::load(&context.state)?;
    let proof = token.mint(&context.state, deployment.audience()?, super::now_ms(), PROOF_MS)?;
    fetch(context, path, Some(proof.to_string())).await
}

/// Asks the master, without a proof for what is public.
async fn fetch(context: &Context, path: &str, proof: Option<String>) -> Result<Value> {
    let (status, body) = answer(context, path, proof).await?;
    if status.is_success() { Ok(body) } else { Err(refusal(status, &body)) }
}

/// What the master keeps under a public path, or none where it says that it keeps nothing there; that it answers nothing, or something
/// else, says nothing about what it keeps.
pub(crate) async fn fetch_kept(context: &Context, path: &str) -> Result<Option<Value>> {
    let (status, body) = answer(context, path, None).await?;
    kept(status, body)
}

fn kept(status: StatusCode, body: Value) -> Result<Option<Value>> {
    match status {
        StatusCode::OK => Ok(Some(body)),
        StatusCode::NOT_FOUND if body["reason"] == "not_kept" => Ok(None),
        StatusCode::TOO_MANY_REQUESTS => Err(Failure::not_ready(format!(
            "{}; nothing was done: try again in a few seconds",
            refusal(status, &body)
        ))),
        _ => Err(refusal(status, &body)),
    }
}

fn refusal(status: StatusCode, body: &Value) -> Failure {
    Failure::refused(format!("{status}: {}", body["message"]))
}

async fn answer(context: &Context, path: &str, proof: Option<String>) -> Result<(StatusCode, Value)> {
    let deployment = Deployment::load(&context.state)?;
    let gateway = deployment.gateway.clone().ok_or_else(|| Failure::not_ready("there is no gateway yet"))?;
    let ca = String::from_utf8(super::kubeconfig::cluster_ca(context).await?).context("reading the CA")?;
    let tls = engine::tls::client(&ca, None).context("using the CA")?;
    let http = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .timeout(LIMIT)
        .no_proxy()
        .build()
        .context("making an HTTPS client")?;
    let mut request = http.get(format!("{gateway}{path}"));
    if let Some(proof) = proof {
        request = request.bearer_auth(proof);
    }
    let reply = request.send().await.context(format_args!("asking {gateway}"))?;
    let status = reply.status();
    let body = reply.json().await.context(format_args!("reading the answer of {gateway}"))?;
    Ok((status, body))
}

/// Live stakes for nodes, as the chain counts them.
async fn node_stakes(context: &Context) -> Result<usize> {
    let count = async {
        let known = Session::open(context).await?.read().await?;
        let nodes = known.stakes.values().filter(|stake| stake.tier == chain::Tier::Node);
        Ok(nodes.filter(|stake| stake.unbonding_ms.is_none()).count())
    };
    tokio::time::timeout(LIMIT, count).await.map_err(|_| Failure::not_ready("the chain does not answer"))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_master_that_keeps_nothing_there_says_that_there_is_nothing() {
        let problem = |reason: &str| {
            let body = api::ErrorBody { reason: reason.to_owned(), message: format!("of {reason}") };
            serde_json::to_value(body).unwrap()
        };
        assert_eq!(kept(StatusCode::OK, json!({ "a": 1 })).unwrap(), Some(json!({ "a": 1 })));
        assert_eq!(kept(StatusCode::NOT_FOUND, problem("not_kept")).unwrap(), None);
        for (status, reason, exit) in [
            (StatusCode::NOT_FOUND, "unknown_path", 3),
            (StatusCode::NOT_FOUND, "", 3),
            (StatusCode::TOO_MANY_REQUESTS, "too_many_requests", 4),
            (StatusCode::SERVICE_UNAVAILABLE, "chain_not_synced", 3),
            (StatusCode::BAD_GATEWAY, "", 3),
        ] {
            let failure = kept(status, problem(reason)).unwrap_err();
            assert_eq!(failure.exit_code(), exit, "{status}");
            assert!(failure.to_string().contains(&format!("of {reason}")), "{failure}");
        }
    }
}
