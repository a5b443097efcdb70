use std::path::PathBuf;

use serde_json::json;

use super::Context;
use crate::cli::{RotateStoreKey, Snapshot, SnapshotFile};
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// `k3s-daas snapshot`: what `etcdctl snapshot save` wrote becomes a store again.
pub(crate) async fn run(context: &Context, command: Snapshot) -> Result<()> {
    let (args, restore) = match command {
        Snapshot::Status(args) => (args, false),
        Snapshot::Restore(args) => (args, true),
    };
    let places = Places::of(context, &args)?;
    if !places.tee.is_dir() {
        let tee = places.tee.display();
        return Err(Failure::failed(format!(
            "{tee} is not there: the key that sealed the snapshot is in it"
        )));
    }
    if restore && places.anchor.exists() {
        return Err(Failure::failed(format!(
            "{} belongs to the store that was here and would refuse an older state: move it away, with {}",
            places.anchor.display(),
            places.log.display()
        )));
    }
    let key = super::attest::platform(context, &places.tee)?
        .sealing_key(tee::KeyPolicy::Signer)
        .context("getting the sealing key")?;
    let config = store::Config::new(&places.log, key);
    let file = args.file.clone();
    let work = move || match restore {
        true => store::restore(&config, &file).context("restoring"),
        false => store::snapshot_status(&config, &file).context("reading the snapshot"),
    };
    let told = tokio::task::spawn_blocking(work).await.context("reading the snapshot")??;
    if restore {
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
pub(crate) async fn rotate(context: &Context, args: RotateStoreKey) -> Result<()> {
    let url = match args.endpoint {
        Some(url) => url,
        None => format!("unix://{}", context.state.path("master/store.sock").display()),
    };
    let epoch = store::rotate_key(&url).await.context("rotating the store's keys")?;
    print(context.global.output, &json!({ "keyEpoch": epoch }), |_| {
        format!("all files of the store are sealed under generation {epoch}")
    })
}

/// Where a store keeps what.
struct Places {
    tee: PathBuf,
    log: PathBuf,
    anchor: PathBuf,
}

impl Places {
    fn of(context: &Context, args: &SnapshotFile) -> Result<Self> {
        Ok(match &args.data_dir {
            Some(dir) => Self { tee: dir.join("tee"), log: dir.join("log"), anchor: dir.join("anchor") },
            None => {
                let master = context.state.path("master");
                Self {
                    tee: master.join("tee"),
                    log: master.join("store"),
                    anchor: master.join("anchor/store.anchor"),
                }
            }
        })
    }
}
