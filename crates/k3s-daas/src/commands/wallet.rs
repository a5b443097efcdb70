use chain::Client;
use serde_json::json;

use super::Context;
use crate::cli::{Wallet, WalletLink};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::links::Link;
use crate::output::{print, say, table};
use crate::wallets::Wallets;

/// `k3s-daas wallet new|list|faucet`
pub(crate) async fn run(context: &Context, command: Wallet) -> Result<()> {
    let mut wallets = Wallets::open(&context.state)?;
    match command {
        Wallet::New { name } => {
            let address = wallets.create(&name)?;
            let made = json!({ "name": name, "address": address.to_string() });
            print(context.global.output, &made, |_| address.to_string())?;
            say(format_args!("its key is in {}", context.state.path("wallets/sui.keystore").display()));
            Ok(())
        }
        Wallet::Link(args) => {
            let name = args.name.clone();
            let address = wallets.link(&name, link(args)?)?;
            print(context.global.output, &json!({ "name": name, "address": address.to_string() }), |_| {
                address.to_string()
            })
        }
        Wallet::List => list(context, &wallets).await,
        Wallet::Faucet { name, amount } => {
            let address = wallets.address(&name)?;
            crate::commands::devnet::faucet(&chain_url(context)?, address, amount).await?;
            print(context.global.output, &json!({ "address": address.to_string(), "mist": amount }), |_| {
                format!("{amount} MIST are on their way to {address}")
            })
        }
    }
}

/// Where the key is, as the flags say. Paths are kept absolute: the next command may run elsewhere.
fn link(args: WalletLink) -> Result<Link> {
    let address = args.address.as_deref().map(crate::input::id).transpose()?;
    let needed = || Failure::usage("say which address the key has with --address");
    let absolute = |file| std::path::absolute(file).context("resolving the path of the key");
    if let Some(file) = args.keystore {
        return Ok(Link::Keystore { file: absolute(file)?, address: address.ok_or_else(needed)? });
    }
    if let Some(file) = args.key_file {
        return Ok(Link::KeyFile { file: absolute(file)? });
    }
    if let Some(variable) = args.key_env {
        return Ok(Link::KeyFileFromEnv { variable });
    }
    if let Some(command) = args.signer {
        return Ok(Link::Signer { address: address.ok_or_else(needed)?, command });
    }
    let member = |text: &String| {
        let parsed =
            text.rsplit_once('=').and_then(|(key, weight)| Some((key.to_owned(), weight.parse().ok()?)));
        // Base64 may end in `=`, so a weight is never left out.
        parsed.ok_or_else(|| Failure::usage(format!("--multisig {text:?}: write it as KEY=WEIGHT")))
    };
    let members = args.multisig.unwrap_or_default().iter().map(member).collect::<Result<_>>()?;
    Ok(Link::Multisig { members, threshold: args.threshold.unwrap_or_default(), wallets: args.members })
}

async fn list(context: &Context, wallets: &Wallets) -> Result<()> {
    let url = chain_url(context)?;
    let client = Client::new(&url).context("opening the chain")?;
    let mut rows = Vec::new();
    for (name, address) in wallets.all() {
        let balance = client.balance(address).await.context(format_args!("asking {url} for balances"))?;
        rows.push((name.to_owned(), address.to_string(), balance));
    }
    let data: Vec<_> = rows
        .iter()
        .map(|(name, address, mist)| json!({ "name": name, "address": address, "mist": mist }))
        .collect();
    print(context.global.output, &data, |_| {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, address, mist)| vec![name.clone(), address.clone(), mist.to_string()])
            .collect();
        table(&["NAME", "ADDRESS", "MIST"], &rows)
    })
}

fn chain_url(context: &Context) -> Result<String> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    Ok(context.settings.chain_url(&deployment))
}
