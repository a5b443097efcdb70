//! The master's snapshots in the cold store.

use std::path::Path;
use std::sync::Arc;

use archive::cold::{Catalog, ColdKeys, ColdStore, Entry, Fetched, Link, Place, Progress, walrus_price};
use serde_json::{Value, json};
use tee::SealingKey;
use walrus::Encoding;

use super::Context;
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// What the commands work with.
pub(super) struct Cold {
    master: master::Config,
    pub(super) place: Arc<dyn ColdStore>,
    catalog: Catalog,
    cluster: [u8; 32],
}

/// `snapshot save`: by the running master.
pub(super) async fn save(context: &Context) -> Result<()> {
    if let Some(text) = price(context).await? {
        say(text);
    }
    say("taking a snapshot…");
    let name = store::copy(&super::snapshot::store_url(context), None).await.context("taking a snapshot")?;
    print(context.global.output, &json!({ "name": name }), |_| name.clone())
}

/// What storing costs at the moment, where that is for Walrus to say.
async fn price(context: &Context) -> Result<Option<String>> {
    let deployment = Deployment::find(&context.state)?.unwrap_or_default();
    let config = crate::parts::master(context, &deployment)?.snapshots;
    let Some(Place::Walrus(place)) = &config.place else { return Ok(None) };
    let Some(system) = place.system_object else {
        return Ok(Some(
            "the price is not known: system_object of [master.snapshots.place.walrus] is not set".to_owned(),
        ));
    };
    let client = crate::session::connect(&context.settings.chain_url(&deployment)).await?;
    let system = walrus_price(&client, system).await.context("reading Walrus's price")?;
    let encoding = Encoding::new(place.shards).context("reading Walrus's price")?;
    let wal = |bytes| -> Result<String> {
        let frost = system.price.of(&encoding, bytes, place.epochs).context("reading Walrus's price")?;
        Ok(format!("{}.{:04} WAL", frost / 1_000_000_000, frost % 1_000_000_000 / 100_000))
    };
    Ok(Some(format!(
        "at the price of Walrus's epoch {}, {} epochs of a small snapshot cost {}, of each piece of {} MiB {}",
        system.epoch,
        place.epochs,
        wal(1)?,
        config.piece_bytes >> 20,
        wal(config.piece_bytes)?
    )))
}

/// `snapshot list`.
pub(super) fn list(context: &Context) -> Result<()> {
    let cold = Cold::open(context)?;
    let snapshots: Vec<Value> = cold.catalog.entries().iter().map(shown).collect();
    let next = cold.next_ms();
    let answer = json!({ "place": cold.place.place(), "nextMs": next, "snapshots": snapshots });
    print(context.global.output, &answer, |_| {
        let mut text = format!(
            "{:<12} {:>12} {:>12} {:>6} {:<20}  NAME",
            "REVISION", "SINCE", "BYTES", "CHAIN", "TAKEN"
        );
        for entry in cold.catalog.entries() {
            let link = &entry.link;
            let since = if link.since == 0 { "base".to_owned() } else { link.since.to_string() };
            text.push_str(&format!(
                "\n{:<12} {since:>12} {:>12} {:>6} {:<20}  {}",
                link.revision,
                link.bytes,
                entry.chain.len() + 1,
                time(link.created_ms),
                link.last.name
            ));
        }
        let next = next.map_or("when asked: k3s-daas snapshot save".to_owned(), time);
        text.push_str(&format!("\nin {}; the next one {next}", cold.place.place()));
        text
    })
}

/// `snapshot schedule`: what is configured, and what follows from it now.
pub(super) fn schedule(context: &Context) -> Result<()> {
    let cold = Cold::open(context)?;
    let config = &cold.master.snapshots;
    let last = cold.catalog.newest().map(|entry| entry.link.created_ms);
    let next = cold.next_ms();
    let answer = json!({
        "place": cold.place.place(),
        "intervalMs": config.interval_ms,
        "pieceBytes": config.piece_bytes,
        "keep": config.keep,
        "base": config.base,
        "lastMs": last,
        "nextMs": next,
    });
    print(context.global.output, &answer, |_| {
        let every = match config.interval_ms {
            0 => "only when asked (k3s-daas snapshot save)".to_owned(),
            ms => format!("every {} s while the master runs", ms.div_ceil(1_000)),
        };
        let next = match next {
            Some(ms) if ms <= super::now_ms() => "as soon as the master runs".to_owned(),
            next => next.map_or("when asked".to_owned(), time),
        };
        let (keep, base) = (config.keep, config.base);
        let age = match keep.max_age_days {
            0 => String::new(),
            days => format!(", none older than {days} days"),
        };
        format!(
            "taken    {every}\nto       {}, in pieces of {} MiB\nlast     {}\nnext     {next}\n\
             kept     the newest {}, one of each of {} days and of {} weeks{age}\n\
             anew     after {} snapshots, or when changes reach {} % of their base",
            cold.place.place(),
            config.piece_bytes >> 20,
            last.map_or("none".to_owned(), time),
            keep.last,
            keep.daily,
            keep.weekly,
            base.max_chain,
            base.max_changes_percent
        )
    })
}

/// `snapshot verify`.
pub(super) async fn verify(context: &Context, name: Option<String>) -> Result<()> {
    let cold = Cold::open(context)?;
    let dir = Fetching::new(context)?;
    let summary = {
        let fetched = cold.fetch(name.as_deref().unwrap_or(NEWEST), cold.key().await?, &dir.0).await?;
        let check = move || fetched.verify().context("checking the snapshot");
        tokio::task::spawn_blocking(check).await.context("checking the snapshot")??
    };
    dir.done()?;
    let answer = json!({
        "revision": summary.revision,
        "snapshots": summary.snapshots,
        "records": summary.records,
        "leases": summary.leases,
        "bytes": summary.bytes,
        "createdMs": summary.created_ms,
    });
    print(context.global.output, &answer, |_| {
        format!(
            "good: revision {}, taken {}, {} records of {} snapshots in {} bytes",
            summary.revision,
            time(summary.created_ms),
            summary.records,
            summary.snapshots,
            summary.bytes
        )
    })
}

/// `snapshot prune`.
pub(super) async fn prune(context: &Context, dry_run: bool) -> Result<()> {
    let mut cold = Cold::open(context)?;
    let (keep, now) = (cold.master.snapshots.keep, super::now_ms());
    let entries = cold.catalog.entries().to_vec();
    let gone: Vec<Entry> = if dry_run {
        keep.prune(&entries, now).into_iter().map(|i| entries[i].clone()).collect()
    } else {
        cold.catalog.prune(&keep, &*cold.place, now).await.context("removing snapshots")?
    };
    let names: Vec<Value> = gone.iter().map(shown).collect();
    print(context.global.output, &json!({ "dryRun": dry_run, "removed": names }), |_| {
        let verb = if dry_run { "would go" } else { "removed" };
        let mut text = format!("{} {verb}, {} stay", gone.len(), entries.len() - gone.len());
        for entry in &gone {
            text.push_str(&format!("\n{}  revision {}", entry.link.last.name, entry.link.revision));
        }
        text
    })
}

/// `snapshot restore --name`: into a directory without a store.
pub(super) async fn restore(
    context: &Context,
    name: &str,
    revision: Option<i64>,
    key: SealingKey,
    log: &Path,
) -> Result<()> {
    let cold = Cold::open(context)?;
    let dir = Fetching::new(context)?;
    let fetched = cold.fetch(name, key.clone(), &dir.0).await?;
    let config = store::Config::new(log, key);
    let work = move || fetched.restore(&config, revision).context("restoring");
    let restored = tokio::task::spawn_blocking(work).await.context("restoring")??;
    dir.done()?;
    say(format_args!(
        "restored into {}; a master serves it only when the chain knows nothing later, else use k3s-daas recover",
        log.display()
    ));
    print(context.global.output, &json!({ "revision": restored }), |_| format!("revision {restored}"))
}

const NEWEST: &str = "newest";

impl Cold {
    fn open(context: &Context) -> Result<Self> {
        Self::find(context, None)?.ok_or_else(|| {
            Failure::usage(
                "no cold store is configured: set [master.snapshots.place] to directory = \"/PATH\", to s3 or to walrus",
            )
        })
    }

    /// The same with a directory in place of what is configured, or `None` where neither is there.
    pub(super) fn find(context: &Context, from: Option<&Path>) -> Result<Option<Self>> {
        let deployment = Deployment::find(&context.state)?.unwrap_or_default();
        let config = crate::parts::master(context, &deployment)?;
        let named = from.map(|dir| Place::Directory(dir.to_owned()));
        let Some(place) = named.or_else(|| config.snapshots.place.clone()) else { return Ok(None) };
        let cluster = config.chain.cluster.ok_or_else(|| Failure::not_ready("there is no cluster yet"))?;
        let path = config.state_dir.join("archive/catalog.json");
        Ok(Some(Self {
            place: place.open().context("opening the cold store")?,
            catalog: Catalog::open(path).context("reading the catalogue")?,
            cluster: cluster.0,
            master: config,
        }))
    }

    /// All snapshots of the catalogue, oldest first.
    pub(super) fn links(&self) -> Vec<Link> {
        self.catalog.entries().iter().map(|entry| entry.link.clone()).collect()
    }

    /// Fetches a snapshot by its name, or the newest of the catalogue.
    async fn fetch(&self, name: &str, key: SealingKey, dir: &Path) -> Result<Fetched> {
        let newest = self.catalog.newest().map(|entry| entry.link.last.name.as_str());
        let name = match (name, newest) {
            (NEWEST, Some(newest)) => newest,
            (NEWEST, None) => {
                return Err(Failure::failed(
                    "no snapshot is in the catalogue: name one, or k3s-daas snapshot save",
                ));
            }
            (name, _) => name,
        };
        let told = |progress: Progress| {
            say(format_args!(
                "piece {} of {}, {} of {} MiB",
                progress.sent,
                progress.pieces,
                progress.sent_bytes >> 20,
                progress.bytes >> 20
            ));
        };
        say(format_args!("fetching {name} from {}", self.place.place()));
        Fetched::chain(&*self.place, name, &self.cluster, &ColdKeys::new(key), dir, told)
            .await
            .context("fetching the snapshot")
    }

    /// What the master seals with.
    pub(super) async fn key(&self) -> Result<SealingKey> {
        super::snapshot::master_key(&self.master).await
    }

    /// When a master that runs takes the next one; as soon as it can when there is none yet.
    fn next_ms(&self) -> Option<u64> {
        let last = self.catalog.newest().map_or(0, |entry| entry.link.created_ms);
        let interval = self.master.snapshots.interval_ms;
        (interval > 0).then(|| last.saturating_add(interval).max(super::now_ms()))
    }
}

/// The directory of what is fetched. It stays after a failure, so that the next attempt goes on.
struct Fetching(std::path::PathBuf);

impl Fetching {
    fn new(context: &Context) -> Result<Self> {
        Ok(Self(context.state.dir("master/archive/fetched")?))
    }

    fn done(self) -> Result<()> {
        std::fs::remove_dir_all(&self.0).context("removing what was fetched")
    }
}

fn shown(entry: &Entry) -> Value {
    let link = &entry.link;
    json!({
        "name": link.last.name,
        "revision": link.revision,
        "since": link.since,
        "bytes": link.bytes,
        "chain": entry.chain.len() + 1,
        "createdMs": link.created_ms,
    })
}

pub(super) fn time(ms: u64) -> String {
    let seconds = i64::try_from(ms / 1_000).unwrap_or(i64::MAX);
    let format = time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&format).ok())
        .unwrap_or_else(|| format!("{ms} ms"))
}
