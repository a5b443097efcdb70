//! The configuration of master and worker as `up` composes it, and as the parts alone read it.

use std::net::SocketAddr;

use chain::Address;
use serde::Serialize;
use toml::{Table, Value};

use crate::commands::Context;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::settings::beside;
use crate::tokens::{Token, key_file};

/// The master of this state directory.
pub(crate) fn master(context: &Context, deployment: &Deployment) -> Result<master::Config> {
    let state = &context.state;
    let mut base = master::Config {
        state_dir: state.path("master"),
        kubernetes_binary: beside("kubernetes"),
        storage_root: state.path("storage"),
        network: network(context)?,
        ..master::Config::default()
    };
    base.tee.allow_simulated = context.settings.simulated_tee_allowed();
    // A new build of ours may read what an older one sealed; a real platform chooses by its own configuration.
    base.tee.seal_to = master::SealTo::Signer;
    base.chain.url = context.settings.chain_url(deployment);
    base.chain.package = deployment.package.map(|id| master::Id(id.into_inner()));
    base.chain.cluster = deployment.cluster.map(|id| master::Id(id.into_inner()));
    base.chain.since_checkpoint = deployment.since_checkpoint;
    let keystore = state.path("wallets/sui.keystore");
    if let Ok(wallets) = crate::wallets::Wallets::open(state)
        && let Ok(operator) = wallets.get(crate::commands::OPERATOR)
    {
        base.chain.gas_keystore = Some(keystore);
        base.chain.gas_address = Some(master::Id(operator.address().into_inner()));
    }
    let mut config: master::Config = context.settings.section("master", table(&base)?)?;
    // Unless said otherwise, the cluster is where its listeners are.
    let host =
        engine::node::host_address().map_or_else(|| "127.0.0.1".to_owned(), |address| address.to_string());
    let defaults = master::Config::default();
    if config.gateway_url == defaults.gateway_url {
        config.gateway_url = url(config.listen, &host);
    }
    if config.apiserver_url == defaults.apiserver_url {
        config.apiserver_url = url(config.apiserver_listen, &host);
    }
    for name in [host.as_str(), "127.0.0.1", "localhost"] {
        if !config.tls_san.iter().any(|known| known == name) {
            config.tls_san.push(name.to_owned());
        }
    }
    Ok(config)
}

/// The cluster's own settings, `[cluster]`.
pub(crate) fn network(context: &Context) -> Result<master::ClusterNetwork> {
    context.settings.section("cluster", table(&master::ClusterNetwork::default())?)
}

/// The worker that this state directory has a token for.
pub(crate) fn worker(context: &Context, token: &Token) -> Result<worker::Config> {
    let deployment = Deployment::load(&context.state)?;
    let (Some(cluster), Some(token_id)) = (deployment.cluster, token.token_id) else {
        return Err(Failure::not_ready("there is no cluster or no token for the worker yet"));
    };
    let mut base = Table::new();
    let id = |id: Address| Value::String(id.to_string());
    base.insert("state_dir".to_owned(), path(&context.state.path("worker")));
    base.insert("holder_key".to_owned(), path(&key_file(&context.state, &token.name)));
    base.insert("cluster_id".to_owned(), id(cluster));
    base.insert("token_id".to_owned(), id(token_id));
    base.insert("node_ip".to_owned(), Value::String(address()?));
    base.insert("allow_simulated".to_owned(), Value::Boolean(context.settings.simulated_tee_allowed()));
    context.settings.section("worker", base)
}

/// The processes of that worker's node.
pub(crate) fn node(context: &Context) -> Result<worker::EngineNodeConfig> {
    let mut base = Table::new();
    base.insert("binary".to_owned(), path(&beside("kubernetes")));
    base.insert("state_dir".to_owned(), path(&context.state.path("node")));
    base.insert("address".to_owned(), Value::String(address()?));
    context.settings.section("node", base)
}

fn address() -> Result<String> {
    let address = engine::node::host_address().ok_or_else(|| {
        Failure::failed(
            "this machine has no address beside loopback: set [worker] node_ip and [node] address",
        )
    })?;
    Ok(address.to_string())
}

fn url(listen: SocketAddr, host: &str) -> String {
    if listen.ip().is_unspecified() {
        format!("https://{host}:{}", listen.port())
    } else {
        format!("https://{listen}")
    }
}

fn path(path: &std::path::Path) -> Value {
    Value::String(path.to_string_lossy().into_owned())
}

fn table<T: Serialize>(value: &T) -> Result<Table> {
    Table::try_from(value).context("encoding the configuration")
}
