use std::path::PathBuf;

use serde_json::json;
use store::Resume;

use super::Context;
use super::cold;
use crate::cli::{Snapshot, SnapshotFile, SnapshotRestore, StoreEndpoint};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// `k3s-daas snapshot`: copies in the cold store, and files that `etcdctl snapshot save` wrote.
pub(crate) async fn run(context: &Context, command: Snapshot) -> Result<()> {
    match command {
        Snapshot::Save => cold::save(context).await,
        Snapshot::List => cold::list(context),
        Snapshot::Schedule => cold::schedule(context),
        Snapshot::Verify(args) => cold::verify(context, args.name).await,
        Snapshot::Prune(args) => cold::prune(context, args.dry_run).await,
        Snapshot::Status(SnapshotFile { file, data_dir }) => saved(context, file, data_dir, None).await,
        Snapshot::Restore(SnapshotRestore { name: Some(name), revision, .. }) => {
            let places = Places::of(context, None).await?;
            places.must_be_free()?;
            cold::restore(context, &name, revision, places.key, &places.log).await
        }
        Snapshot::Restore(SnapshotRestore { file: Some(file), data_dir, bump_revision, .. }) => {
            let resume = bump_revision.map_or(Resume::AsSaved, Resume::Bumped);
            saved(context, file, data_dir, Some(resume)).await
        }
        Snapshot::Restore(_) => Err(Failure::usage("name a FILE, or a snapshot with --name")),
    }
}

/// A file of `etcdctl snapshot save`: looked at, or made a store of again.
async fn saved(
    context: &Context,
    file: PathBuf,
    data_dir: Option<PathBuf>,
    restore: Option<Resume>,
) -> Result<()> {
    let places = Places::of(context, data_dir.as_ref()).await?;
    if restore.is_some() {
        places.must_be_free()?;
    }
    let config = store::Config::new(&places.log, places.key.clone());
    let work = move || match restore {
        Some(resume) => store::restore(&config, &file, resume).context("restoring"),
        None => store::snapshot_status(&config, &file).context("reading the snapshot"),
    };
    let told = tokio::task::spawn_blocking(work).await.context("reading the snapshot")??;
    if restore.is_some() {
        say(format_args!("restored into {}; start the store as before", places.log.display()));
    }
    let answer = json!({
        "revision": told.revision,
        "compactRevision": told.compact_revision,
        "records": told.records,
        "leases": told.leases,
        "bytes": told.bytes,
        "keyEpoch": told.key_epoch,
        "storeId": hex::encode(told.store_id),
    });
    print(context.global.output, &answer, |_| {
        format!(
            "revision {}, {} records, {} leases, {} bytes",
            told.revision, told.records, told.leases, told.bytes
        )
    })
}

/// `k3s-daas rotate-store-key`: a new generation of keys, while the store serves.
pub(crate) async fn rotate(context: &Context, args: StoreEndpoint) -> Result<()> {
    let (url, files) = super::anchor::endpoint(context, args);
    let epoch = store::rotate_key(&url, files.as_ref()).await.context("rotating the store's keys")?;
    print(context.global.output, &json!({ "keyEpoch": epoch }), |_| {
        format!("all files of the store are sealed under generation {epoch}")
    })
}

/// Where this state directory's master serves its store.
pub(super) fn store_url(context: &Context) -> String {
    format!("unix://{}", context.state.path("master/store.sock").display())
}

/// Where a store keeps what.
struct Places {
    key: tee::SealingKey,
    log: PathBuf,
    anchor: PathBuf,
}

impl Places {
    /// Of the store with this data directory, or of the master.
    async fn of(context: &Context, data_dir: Option<&PathBuf>) -> Result<Self> {
        if let Some(dir) = data_dir {
            let tee = dir.join("tee");
            must_be_there(&tee)?;
            let key = super::attest::platform(context, &tee)?
                .sealing_key(tee::KeyPolicy::Signer)
                .context("getting the sealing key")?;
            return Ok(Self { key, log: dir.join("log"), anchor: dir.join("anchor") });
        }
        let master = context.state.path("master");
        must_be_there(&master.join("tee"))?;
        let deployment = Deployment::find(&context.state)?.unwrap_or_default();
        let config = crate::parts::master(context, &deployment)?;
        let key = master_key(&config).await?;
        Ok(Self { key, log: master.join("store"), anchor: master.join("anchor/store.anchor") })
    }

    fn must_be_free(&self) -> Result<()> {
        if !self.anchor.exists() {
            return Ok(());
        }
        Err(Failure::failed(format!(
            "{} belongs to the store that was here and would refuse an older state: move it away, with {}",
            self.anchor.display(),
            self.log.display()
        )))
    }
}

/// What the master seals its store with; where its platform seals nothing, others give it.
pub(super) async fn master_key(config: &master::Config) -> Result<tee::SealingKey> {
    let obtained = master::obtain(config).await.context("getting the sealing key")?;
    master::store_key(config, obtained).context("getting the sealing key")
}

fn must_be_there(tee: &std::path::Path) -> Result<()> {
    if tee.is_dir() {
        return Ok(());
    }
    let tee = tee.display();
    Err(Failure::failed(format!("{tee} is not there: the key that sealed the snapshot is in it")))
}
