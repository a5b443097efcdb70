use std::os::unix::fs::PermissionsExt;

use chain::Keypair;
use custody::Listener;

use super::{Context, service};
use crate::cli::Verifier;
use crate::failure::{Context as _, Failure, Result};
use crate::input::read;
use crate::output::say;

/// `k3s-daas verifier`: verifies evidence and signs the claims of a registration, nothing else.
pub(crate) async fn run(context: &Context, args: Verifier) -> Result<()> {
    let path = &args.key;
    let mode =
        std::fs::metadata(path).context(format_args!("reading {}", path.display()))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Failure::usage(format!(
            "{}: others may read this key; run chmod 600 on it",
            path.display()
        )));
    }
    let text = String::from_utf8(read(path)?).unwrap_or_default();
    let key =
        Keypair::from_bech32(text.trim()).context(format_args!("reading the key in {}", path.display()))?;
    let public_key = key.public_key();
    let chain =
        service::on_chain(context, args.service.package.as_deref(), args.service.cluster.as_deref()).await?;
    let verifier = custody::Verifier::new(
        key,
        chain,
        service::policy(&args.service)?,
        service::anchors(&args.service.sources)?,
        service::collateral(context, &args.service.sources),
        service::clock(),
    );
    let listener = Listener::bind(args.listen).await.context("starting the verifier")?;
    say(format_args!("verifier {} at http://{}", hex::encode(public_key), listener.address()));
    service::serve(listener, verifier.router()).await;
    Ok(())
}
