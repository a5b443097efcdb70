use chain::Client;
use serde_json::json;

use super::Context;
use crate::cli::Wallet;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Result};
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
