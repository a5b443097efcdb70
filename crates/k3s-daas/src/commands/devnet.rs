use std::path::PathBuf;

use chain::Address;

use super::Context;
use crate::cli::Devnet;
use crate::failure::{Context as _, Failure, Result};
use crate::output::say;
use crate::settings::beside;

/// `k3s-daas devnet`: serves until it is asked to stop.
pub(crate) async fn run(context: &Context, args: Devnet) -> Result<()> {
    let listen = match args.listen {
        Some(listen) => listen,
        None => context.settings.devnet_listen()?,
    };
    let framework = framework(args.framework)?;
    let mut config = devnet::Config::in_memory(framework).with_listen(listen);
    if let Some(dir) = args.data_dir {
        config = config.with_dir(dir);
    }
    config.keep_checkpoints = args.keep_checkpoints;
    config.epoch = args.epoch.map(std::time::Duration::from_secs);
    if let Some(path) = &args.simulated_nitro_root {
        config.simulated_nitro_root = Some(crate::input::read(path)?);
        say("SIMULATED Nitro: documents under the root of this file are taken as if AWS had signed them");
    }
    let chain = devnet::Devnet::start(config).await.context("starting the development chain")?;
    say(format_args!("DEVELOPMENT CHAIN, not a validator: {} at {}", chain.chain_id(), chain.url()));
    super::asked_to_stop().await;
    chain.shutdown().await;
    Ok(())
}

/// The framework's bytecode: as given, beside the binary, or in the checkout that the binary was built in.
pub(crate) fn framework(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path);
    }
    let places = [beside("framework.bcs"), beside("../.cache/framework.bcs")];
    places.iter().find(|path| path.is_file()).cloned().ok_or_else(|| {
        Failure::failed(format!(
            "the Sui framework's bytecode is not at {}: run `make setup`, or give --framework FILE",
            places[0].display()
        ))
    })
}

/// Asks the chain's faucet; only development chains have one.
pub(crate) async fn faucet(url: &str, recipient: Address, mist: u64) -> Result<()> {
    let client = crate::session::connect(url).await?;
    if !client.is_devnet().await.context("asking the chain who it is")? {
        return Err(Failure::refused(format!(
            "{url} is no development chain: send SUI to {recipient} yourself"
        )));
    }
    client.faucet(recipient, Some(mist)).await.context("asking the faucet")?;
    Ok(())
}
