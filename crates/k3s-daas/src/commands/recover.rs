use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use archive::Resumed;
use archive::cold::{ColdKeys, ColdStore, Fetched, Place};
use chain::{Anchor, Client, Cluster};
use master::Newcomer;
use serde_json::json;
use tee::ClusterSecret;

use super::{Context, now_ms};
use crate::cli::Recover;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{Step, print, say};

/// As many as [master.tee.release] takes.
const MAX_MASTERS: usize = 32;
/// What of the snapshot's small files is put back.
const PKI: &str = "cluster.pki";

/// `k3s-daas recover`: the cluster's state comes back from chain and cold store. Every step may be cut off and done again.
pub(crate) async fn run(context: &Context, args: Recover) -> Result<()> {
    let (deployment, anchor) = find(context, &args).await?;
    let mut config = crate::parts::master(context, &deployment)?;
    let place = match &args.from {
        Some(dir) => Place::Directory(dir.clone()),
        None => config.snapshots.place.clone().ok_or_else(|| {
            Failure::usage("say where the snapshots are: --from DIR, or [master.snapshots] place")
        })?,
    };
    let name = name_of(&args, &anchor)?;
    if args.dry_run {
        let plan = json!({
            "cluster": args.cluster,
            "anchoredRevision": anchor.revision,
            "snapshot": name,
            "revision": args.revision,
            "stateDir": config.state_dir,
            "masters": args.masters,
            "holders": args.holders,
            "keyServers": args.seal.seal,
        });
        return print(context.global.output, &plan, |_| {
            format!(
                "would recover snapshot {name} into {}; the chain knows revision {}",
                config.state_dir.display(),
                anchor.revision
            )
        });
    }
    config.state_dir = context.state.path("master");
    let store_dir = config.state_dir.join("store");
    let work = master::recovery_dir(&config.state_dir);
    refuse_a_store_that_is_there(&store_dir, &work)?;
    deployment.save(&context.state)?;

    let step = Step::start("the cluster's secret");
    let newcomer = Newcomer::open(&config).context("opening this machine's platform")?;
    let secret = secret(&args, &config, &deployment, &newcomer).await?;
    step.done("is here");

    let step = Step::start("the snapshots");
    let cold: Arc<dyn ColdStore> = place.open().context("opening the cold store")?;
    let keys = ColdKeys::new(secret.root());
    let cluster = args.cluster.into_inner();
    let pieces = work.join("pieces");
    let fetched = Fetched::chain(&*cold, &name, &cluster, &keys, &pieces, |progress| {
        tracing::info!(pieces = progress.sent, of = progress.pieces, bytes = progress.sent_bytes, "fetched");
    });
    let fetched = fetched.await.context("fetching the snapshots")?;
    step.done("are whole");

    let step = Step::start("the store");
    put_back(&fetched, &config.state_dir)?;
    newcomer.adopt(&secret).context("keeping the cluster's secret")?;
    let settings = store::Config::new(&store_dir, secret.root());
    let restored = restore(fetched, &settings, args.revision, &work).await?;
    let resumed = archive::resume(settings, args.cluster, &anchor).await.context("resuming the store")?;
    // An attempt before this one may have moved it on already.
    let resumed = Resumed { restored, ..resumed };
    step.done(format_args!("goes on after revision {restored}"));
    // Before the mark is gone: whoever is cut off in between asks again, and is told again.
    tell(context, &resumed)?;
    // The pieces first, which are sealed: without its mark the store would not be known as of this command's making.
    for dir in [&pieces, &work] {
        std::fs::remove_dir_all(dir).context(format_args!("removing {}", dir.display()))?;
    }
    Ok(())
}

fn tell(context: &Context, resumed: &Resumed) -> Result<()> {
    say(
        "start it with `k3s-daas up` or `k3s-daas master`; another machine's enclave has to be registered first",
    );
    let answer = json!({
        "restoredRevision": resumed.restored,
        "anchoredRevision": resumed.anchored,
        "resumesAt": resumed.resumes_at,
        "rootComparedAt": resumed.root_compared,
    });
    print(context.global.output, &answer, |_| {
        format!(
            "recovered revision {}; the chain knew {}, what came in between is lost; new revisions begin after {}",
            resumed.restored, resumed.anchored, resumed.resumes_at
        )
    })
}

/// What the chain says about the cluster, as a deployment of this state directory.
async fn find(context: &Context, args: &Recover) -> Result<(Deployment, Anchor)> {
    let known = Deployment::find(&context.state)?;
    if let Some(other) = known.as_ref().and_then(|known| known.cluster).filter(|id| *id != args.cluster) {
        return Err(Failure::usage(format!(
            "this state directory belongs to cluster {other}: give another --state-dir"
        )));
    }
    let mut deployment = known.unwrap_or_default();
    let url = context.settings.chain_url(&deployment);
    let client = Client::new(&url).context("using the chain's URL")?;
    let reading = "reading the cluster on chain";
    let package = client.package_of(args.cluster).await.context(reading)?;
    let face: Cluster = client.read(package, args.cluster).await.context(reading)?;
    let anchor: Anchor = client.read(package, face.anchor).await.context(reading)?;
    deployment.chain_id = client.chain_id().await.context(reading)?;
    deployment.chain_url = url;
    deployment.package = Some(package);
    deployment.cluster = Some(args.cluster);
    deployment.governance = Some(face.governance);
    deployment.registry = Some(face.registry);
    deployment.names = Some(face.names);
    deployment.ca_hash = Some(hex::encode(&face.ca_hash)).filter(|hash| !hash.is_empty());
    Ok((deployment, anchor))
}

fn name_of(args: &Recover, anchor: &Anchor) -> Result<String> {
    if let Some(name) = &args.snapshot {
        return Ok(name.clone());
    }
    if anchor.blob.is_empty() {
        return Err(Failure::failed(
            "the anchor on chain names no snapshot: none was taken, or none was anchored yet; give --snapshot NAME",
        ));
    }
    String::from_utf8(anchor.blob.clone())
        .map_err(|_| Failure::failed("the anchor names no snapshot of ours"))
}

/// A store that this command did not restore is never touched.
fn refuse_a_store_that_is_there(store: &Path, work: &Path) -> Result<()> {
    let empty = std::fs::read_dir(store).map_or(true, |mut entries| entries.next().is_none());
    if empty || restored_mark(work).exists() {
        return Ok(());
    }
    Err(Failure::failed(format!("{} holds a store: move it away, with its anchor, first", store.display())))
}

/// Says that the store there is of this command's making: empty while it is made, then with its revision.
fn restored_mark(work: &Path) -> PathBuf {
    work.join("restored")
}

/// From this machine if it has it, otherwise from whoever is named.
async fn secret(
    args: &Recover,
    config: &master::Config,
    deployment: &Deployment,
    newcomer: &Newcomer,
) -> Result<ClusterSecret> {
    if let Some(secret) = newcomer.secret().context("reading the cluster's secret")? {
        return Ok(secret);
    }
    let key_servers = super::seal::key_servers(&args.seal, newcomer)?;
    if args.masters.is_empty() && args.holders.is_empty() && key_servers.is_none() {
        return Err(Failure::usage(
            "the cluster's secret is not on this machine: name holders of its recovery committee with --holder URL or a master that \
             runs with --master URL, or ask Seal's key servers with --seal",
        ));
    }
    if args.masters.len() > MAX_MASTERS {
        return Err(Failure::usage(format!("more than {MAX_MASTERS} masters are named with --master")));
    }
    let asking = custody::Asking {
        platform: newcomer.platform.clone(),
        cluster: args.cluster.into_inner(),
        enclave_key: newcomer.key.public_key(),
        enclave: None,
        clock: Arc::new(now_ms),
    };
    let package = deployment.package.ok_or_else(|| Failure::failed("the cluster's package is not known"))?;
    let client = Client::new(&deployment.chain_url).context("using the chain's URL")?;
    let chain = custody::OnChain::new(client, package, args.cluster);
    let limit = Duration::from_secs(args.timeout);
    let asks = key_servers.is_some() || !args.masters.is_empty();
    let enclave = super::seal::registration(args.enclave, asks, config, newcomer, &chain).await;
    let (masters, holders) = (args.masters.clone(), args.holders.clone());
    let trust = config.tee.release.trust.read().context("reading [master.tee.release.trust]")?;
    let givers = custody::Givers { masters, holders, key_servers, limit, trust };
    super::committee::by_givers(&asking, &chain, newcomer, &givers, enclave).await
}

/// Puts the sealed CA keys back, unless they are there.
fn put_back(fetched: &Fetched, state_dir: &Path) -> Result<()> {
    let path = state_dir.join("sealed").join(PKI);
    if path.exists() {
        return Ok(());
    }
    let file = fetched.attachments().iter().find(|file| file.name == PKI);
    let file = file.ok_or_else(|| Failure::failed("the snapshot does not hold the cluster's CA keys"))?;
    tee::write_durably(&path, &file.content).context(format_args!("writing {}", path.display()))
}

async fn restore(
    fetched: Fetched,
    settings: &store::Config,
    revision: Option<i64>,
    work: &Path,
) -> Result<i64> {
    let mark = restored_mark(work);
    let noting = format!("writing {}", mark.display());
    match std::fs::read_to_string(&mark) {
        // Cut off half way: what is there is ours, and begun anew.
        Ok(text) if text.is_empty() => {
            if settings.data_dir.exists() {
                std::fs::remove_dir_all(&settings.data_dir).context("removing what was half restored")?;
            }
        }
        Ok(text) => {
            return text
                .trim()
                .parse()
                .map_err(|_| Failure::failed(format!("{} is damaged", mark.display())));
        }
        Err(_) => tee::write_durably(&mark, b"").context(&noting)?,
    }
    let settings = settings.clone();
    let restoring = tokio::task::spawn_blocking(move || {
        fetched.verify()?;
        fetched.restore(&settings, revision)
    });
    let restored = restoring.await.context("restoring")?.context("restoring")?;
    tee::write_durably(&mark, restored.to_string().as_bytes()).context(&noting)?;
    Ok(restored)
}
