//! Emptying a node before its stake is asked back.

use std::time::Duration;

use api::{NodeDrain, NodeList, NodeState, NodeSummary};
use tokio::time::{Instant, sleep};

use super::Context;
use super::act::act;
use super::stake::time;
use crate::cli;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{Step, say};
use crate::session::Session;
use crate::tokens::Token;

/// How often the master is asked.
const LOOK: Duration = Duration::from_secs(2);
/// The chain wants a beginning that is not over when the transaction is executed.
const BEGINS_IN_MS: u64 = 15_000;
/// How much longer than the drain the maintenance lasts, so that no pod comes back before the stake is asked back.
const SLACK_MS: u64 = 120_000;
/// The longest maintenance that the contracts take.
const MAX_MAINTENANCE_MS: u64 = 24 * 3_600_000;

/// Announces maintenance on chain, which has the master drain the node, and waits until nothing that can be moved is there any more.
pub(crate) async fn before_leaving(
    context: &Context,
    session: &Session,
    tx: &cli::Tx,
    token: &Token,
    timeout_s: u64,
) -> Result<()> {
    let limit = Duration::from_secs(timeout_s);
    let lasts_ms = timeout_s.saturating_mul(1_000).saturating_add(SLACK_MS);
    if timeout_s == 0 || lasts_ms > MAX_MAINTENANCE_MS {
        return Err(Failure::usage("--drain-timeout: between 1 second and 23 hours"));
    }
    let (Some(node), Some(stake)) = (&token.node_name, token.stake_id) else {
        return Err(Failure::usage(format!("{:?} is no node's: only a node can be drained", token.name)));
    };
    let mut seen = look(context, token, node).await?;
    if seen == Seen::Nothing {
        say(format_args!("{node} runs nothing: it never joined, or is gone"));
        return Ok(());
    }
    if seen == Seen::Waiting {
        let from_ms = session.now_ms().await?.saturating_add(BEGINS_IN_MS);
        let to_ms = from_ms.saturating_add(lasts_ms);
        let draft = session.calls.announce_maintenance(stake, from_ms, to_ms);
        act(context, session, tx, &token.wallet, &draft, "announcing maintenance").await?;
        say(format_args!(
            "if this is cut off, the node keeps its stake and takes pods again at {}",
            time(to_ms)
        ));
    }
    let step = Step::start(format!("draining {node}, as disruption budgets allow"));
    let started = Instant::now();
    let mut told = None;
    loop {
        match seen {
            Seen::Nothing | Seen::Left(0) => break,
            Seen::Left(pods) if told != Some(pods) => {
                say(format_args!("  {pods} pods are left"));
                told = Some(pods);
            }
            _ => {}
        }
        if started.elapsed() >= limit {
            return Err(too_late(node, seen, limit));
        }
        sleep(LOOK).await;
        // A master that is away for a moment goes on with the drain when it is back.
        match look(context, token, node).await {
            Ok(now) => seen = now,
            Err(failure) => say(format_args!("  the master does not say how far it is: {failure}")),
        }
    }
    step.done("nothing is left that could run elsewhere");
    Ok(())
}

/// What the master says of a node that is to be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// No pod can be there.
    Nothing,
    /// It is not drained yet.
    Waiting,
    /// It takes no pods, and has so many.
    Left(u32),
}

async fn look(context: &Context, token: &Token, node: &str) -> Result<Seen> {
    let nodes = super::status::ask_as(context, token, "/api/v1/nodes").await?;
    let nodes: NodeList = serde_json::from_value(nodes).context("reading the master's list of nodes")?;
    let id = token.token_id.map(|id| id.to_string());
    Ok(see(nodes.nodes.iter().find(|found| found.name == node && Some(&found.token_id) == id.as_ref())))
}

fn see(node: Option<&NodeSummary>) -> Seen {
    match node {
        None => Seen::Nothing,
        Some(node) if matches!(node.state, NodeState::Pending | NodeState::Removed) => Seen::Nothing,
        Some(NodeSummary { drain: Some(NodeDrain { pods_left }), .. }) => Seen::Left(*pods_left),
        Some(_) => Seen::Waiting,
    }
}

fn too_late(node: &str, seen: Seen, limit: Duration) -> Failure {
    let what = match seen {
        Seen::Left(pods) => format!(
            "{pods} pods are left on {node}: a disruption budget may hold them, or nothing else can take them (`kubectl get pods -A \
             --field-selector spec.nodeName={node}`, `kubectl get pdb -A`)"
        ),
        _ => format!(
            "the master did not begin to drain {node}: see its log, and `[master.health] drain_before_ms`"
        ),
    };
    Failure::not_ready(format!(
        "after {} s {what}. Nothing was unstaked: ask again to wait longer, or without --drain, and its pods are deleted at once",
        limit.as_secs()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_node_that_takes_no_pods_and_has_none_is_empty() {
        let node = |state: &str, drain: serde_json::Value| -> NodeSummary {
            let summary = serde_json::json!({ "name": "n", "stakeId": "0x1", "tokenId": "0x2", "state": state, "drain": drain });
            serde_json::from_value(summary).unwrap()
        };
        let none = serde_json::Value::Null;
        let left = |pods: u32| serde_json::json!({ "podsLeft": pods });
        assert_eq!(see(None), Seen::Nothing);
        for (state, drain, seen) in [
            ("pending", none.clone(), Seen::Nothing),
            ("removed", none.clone(), Seen::Nothing),
            ("joining", none.clone(), Seen::Waiting),
            ("ready", none.clone(), Seen::Waiting),
            ("ready", left(2), Seen::Left(2)),
            ("down", left(1), Seen::Left(1)),
            ("ready", left(0), Seen::Left(0)),
        ] {
            assert_eq!(see(Some(&node(state, drain))), seen, "{state}");
        }
    }

    #[test]
    fn what_held_it_up_is_said() {
        let limit = Duration::from_secs(600);
        let text = too_late("n1", Seen::Left(3), limit).to_string();
        assert!(
            text.starts_with("after 600 s 3 pods are left on n1") && text.contains("kubectl get pdb"),
            "{text}"
        );
        assert!(too_late("n1", Seen::Waiting, limit).to_string().contains("did not begin to drain"));
    }
}
