use walrus::Encoding;
use walrus::dev::{Config, Dev};

use super::Context;
use crate::cli::WalrusDev;
use crate::failure::{Context as _, Failure, Result};
use crate::output::say;

/// `k3s-daas walrus-dev`: serves until it is asked to stop.
pub(crate) async fn run(context: &Context, args: WalrusDev) -> Result<()> {
    let dir = args.data_dir.unwrap_or_else(|| context.state.root().join("walrus-dev"));
    let mut config = Config::new(args.listen, dir.clone());
    config.encoding =
        Encoding::new(args.shards).map_err(|error| Failure::usage(format!("--shards: {error}")))?;
    config.epoch = std::time::Duration::from_secs(args.epoch);
    config.max_blob = usize::try_from(args.max_blob << 20).unwrap_or(usize::MAX);
    let service = Dev::start(config).await.context("starting the stand-in for Walrus")?;
    say(format_args!(
        "SIMULATED Walrus: publisher and aggregator at {}, one copy in {}, nothing paid",
        service.url(),
        dir.display()
    ));
    super::asked_to_stop().await;
    service.shutdown().await;
    Ok(())
}
