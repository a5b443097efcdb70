use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use worker::{EngineNode, K3sNode, NodeAgent, OnChain, Worker};

use super::Context;
use crate::cli::{self, Engine};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::tokens::Token;
use crate::wallets::Wallets;

/// `k3s-daas worker`: runs until it is asked to stop.
pub(crate) async fn run(context: &Context, args: cli::Worker) -> Result<()> {
    let name = match &args.token_file {
        None => args.token,
        Some(file) => super::token::take_in(context, file)?.ok_or_else(|| {
            Failure::usage("this invitation is for no node: export it with the node's name")
        })?,
    };
    let token = Token::load(&context.state, &name)?;
    let deployment = Deployment::load(&context.state)?;
    let config = crate::parts::worker(context, &token)?;
    let node = node(context, args.engine, args.k3s_binary.as_deref())?;
    let package =
        deployment.package.ok_or_else(|| Failure::not_ready("the contracts are not published yet"))?;
    let client = chain::Client::new(&context.settings.chain_url(&deployment)).context("opening the chain")?;
    // Without the wallet the worker works, and the token is renewed by hand.
    let wallet = Wallets::open(&context.state)?.get(&token.wallet).ok().cloned();
    let source = OnChain::new(
        client,
        worker::ObjectId(package.into_inner()),
        config.cluster_id,
        config.token_id,
        wallet,
    );
    let worker = Worker::bind(config, Arc::new(source), node).await.context("starting the worker")?;
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    tokio::spawn(async move {
        super::asked_to_stop().await;
        stopper.cancel();
    });
    worker.run(stop).await.context("running the worker")
}

fn node(context: &Context, engine: Engine, k3s_binary: Option<&Path>) -> Result<Arc<dyn NodeAgent>> {
    let config = crate::parts::node(context)?;
    Ok(match engine {
        Engine::Builtin if k3s_binary.is_some() => {
            return Err(Failure::usage("--k3s-binary is for --engine k3s"));
        }
        Engine::Builtin => Arc::new(EngineNode::new(config)),
        Engine::K3s => Arc::new(
            K3sNode::new(k3s_binary, config.state_dir.join("k3s"), config.address)
                .map_err(Failure::failed)?,
        ),
    })
}
