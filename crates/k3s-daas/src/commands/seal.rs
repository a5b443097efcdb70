use std::collections::BTreeMap;
use std::sync::Arc;

use chain::{Address, Enclave};
use custody::{KeyServers, OnChain};
use master::Newcomer;

use super::act::act;
use super::{Context, OPERATOR};
use crate::cli::{Seal, Tx};
use crate::failure::{Context as _, Failure, Result};
use crate::input::id;
use crate::output::say;
use crate::session::Session;

/// `k3s-daas committee seal`: the secret is encrypted here, by this machine's enclave; servers get nothing.
pub(super) async fn seal(context: &Context, servers: &[String], threshold: u8, tx: &Tx) -> Result<()> {
    let session = Session::open(context).await?;
    let (mut objects, mut urls) = (Vec::new(), BTreeMap::new());
    for text in servers {
        let (object, url) = text.split_once('=').map_or((text.as_str(), None), |(id, url)| (id, Some(url)));
        let object = id(object)?;
        objects.push(object);
        urls.extend(url.map(|url| (object, url.to_owned())));
    }
    let known = custody::read_key_servers(&session.client, &objects, &urls)
        .await
        .context("reading the key servers")?;
    for server in &known {
        // An aggregator shows nothing for the committee behind it.
        if !urls.contains_key(&Address::new(server.object)) {
            let asking = format_args!("asking {} who it is", server.name);
            custody::check_possession(server).await.context(asking)?;
        }
        // The full node is believed about it; whoever does not believe it compares.
        say(format_args!(
            "√ {} at {}, public key {}",
            server.name,
            server.url,
            hex::encode(server.key.to_bytes())
        ));
    }
    let cluster = session.on_chain().await?;
    let place =
        cluster.enclave.ok_or_else(|| Failure::failed("no master of this cluster is registered yet"))?;
    let package = session.calls.package();
    let enclave: Enclave =
        session.client.read(package, place).await.context("reading the enclave at the cluster's place")?;
    let config = crate::parts::master(context, &session.deployment)?;
    let sealing =
        tokio::task::spawn_blocking(move || master::seal(&config, package, &enclave, &known, threshold));
    let stated = sealing.await.context("sealing")?.context("sealing the cluster's secret")?;
    let draft = session.calls.seal(cluster.anchor, cluster.registry, &stated);
    act(context, &session, tx, OPERATOR, &draft, "keeping what is sealed to the key servers").await.map(drop)
}

/// How this machine asks key servers, if it shall.
pub(super) fn key_servers(args: &Seal, newcomer: &Newcomer) -> Result<Option<KeyServers>> {
    if !args.seal {
        return Ok(None);
    }
    let mut urls = BTreeMap::new();
    for text in &args.seal_servers {
        let wrong = || Failure::usage(format!("--seal-server {text:?}: write it as 0xID=URL"));
        let (object, url) = text.split_once('=').ok_or_else(wrong)?;
        urls.insert(id(object)?, url.to_owned());
    }
    Ok(Some(KeyServers { key: Arc::clone(&newcomer.key), urls }))
}

/// This machine's registration, for those who decide by it: the one that is given, or one that is made now. Or why there is none.
pub(super) async fn registration(
    given: Option<Address>,
    asks: bool,
    config: &master::Config,
    newcomer: &Newcomer,
    chain: &OnChain,
) -> Result<Address, String> {
    match given {
        Some(enclave) => Ok(enclave),
        None if !asks => Err("none is needed".to_owned()),
        None => {
            say("this machine's enclave is being registered");
            let registered = newcomer.register(config, chain).await;
            registered.map_err(|error| {
                format!("this machine's enclave could not be registered (or give --enclave): {error}")
            })
        }
    }
}
