use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use base64::Engine as _;
use rand::RngCore;
use serde_json::json;

use super::{Context, now_ms, verify};
use crate::cli::{Attest, AttestCommand, CollateralArgs, Output};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};
use crate::tokens::bytes32;

/// `k3s-daas attest`: evidence of this very binary on this machine.
pub(crate) async fn run(context: &Context, args: Attest) -> Result<()> {
    match args.command {
        Some(AttestCommand::Collateral(args)) => return collateral(context, args).await,
        Some(AttestCommand::Configuration) => return configuration(context),
        Some(AttestCommand::HandOver(args)) => return super::committee::hand_over(context, args).await,
        None => {}
    }
    let detected = tee::detect(Path::new("/"), context.settings.simulated_tee_allowed());
    if args.explain {
        for skipped in &detected.skipped {
            say(format_args!("skipped {}: {}", skipped.kind, skipped.reason));
        }
    }
    let nonce = match args.nonce {
        Some(text) => bytes32(&text, "nonce").map_err(Failure::usage)?,
        None => {
            let mut nonce = [0; 32];
            rand::rng().fill_bytes(&mut nonce);
            nonce
        }
    };
    let platform = platform(context, &context.state.dir("tee")?)?;
    let report_data = tee::report_data(&nonce, &[0; 32], &[0; 32]);
    let evidence = platform.attest(&report_data, now_ms()).context("attesting")?;
    let measurements: serde_json::Map<_, _> =
        platform.measurement().into_iter().map(|(name, value)| (name, hex::encode(value).into())).collect();
    let encoded = evidence.encode();
    let answer = json!({
        "platform": platform.kind().to_string(),
        "simulated": platform.kind() == tee::PlatformKind::Simulated,
        "measurements": measurements,
        "nonce": hex::encode(nonce),
        "reportData": hex::encode(report_data),
        "evidence": base64::engine::general_purpose::STANDARD.encode(encoded),
    });
    // Evidence is for programs; it is JSON whatever was asked for.
    print(Output::Json, &answer, |_| String::new())
}

/// `k3s-daas attest configuration`: the lines whose SHA-384 is the measured value `configuration`.
fn configuration(context: &Context) -> Result<()> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let config = crate::parts::master(context, &deployment)?;
    let settings = master::measured_settings(&config).context("reading the configuration")?;
    let digest = hex::encode(tee::measure_bytes(settings.as_bytes()));
    let answer = json!({ "settings": settings, "measurements": { "configuration": digest } });
    print(context.global.output, &answer, |_| settings.clone())
}

/// `k3s-daas attest collateral`: what it takes to verify evidence without a network.
async fn collateral(context: &Context, args: CollateralArgs) -> Result<()> {
    let evidence = match (args.platform, &args.evidence) {
        (Some(kind), Some(path)) => verify::evidence(kind, path)?,
        _ => {
            let platform = platform(context, &context.state.dir("tee")?)?;
            platform.attest(&[0; 64], now_ms()).context("attesting")?
        }
    };
    let (collateral, _) = verify::material(context, &args.sources, &evidence, now_ms()).await?;
    if collateral == tee::Collateral::default() {
        return Err(Failure::failed(format!(
            "there is no collateral for platform {}: none is needed, or it could not be fetched",
            evidence.platform()
        )));
    }
    let bundle = collateral.to_json();
    match args.export.flatten() {
        Some(path) => {
            std::fs::write(&path, bundle).context(format_args!("writing {}", path.display()))?;
            say(format_args!("wrote {}; use it with `verify --collateral`", path.display()));
            Ok(())
        }
        None => print(Output::Text, &bundle, Clone::clone),
    }
}

/// The platform of this machine, measuring this very binary and the `kubernetes` beside it; the simulated one keeps its secret in `dir`.
pub(crate) fn platform(context: &Context, dir: &Path) -> Result<Box<dyn tee::Platform>> {
    let kind = tee::detect(Path::new("/"), context.settings.simulated_tee_allowed()).chosen;
    let kind = kind.ok_or_else(|| {
        Failure::refused(
            "no platform here can attest (see `attest --explain`), and simulation is not allowed",
        )
    })?;
    if kind == tee::PlatformKind::Simulated {
        say("SIMULATED TEE: it proves nothing about hardware, and its key lies in a file");
    }
    let own = std::env::current_exe().context("finding this binary")?;
    let kubernetes = crate::settings::beside("kubernetes");
    let mut files = vec![("code", own.as_path())];
    if kubernetes.exists() {
        files.push(("kubernetes", &kubernetes));
    }
    let measured = tee::measure_files(&files).context("measuring this binary")?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .context(format_args!("creating {}", dir.display()))?;
    tee::open(kind, dir, &measured).context("opening the platform")
}
