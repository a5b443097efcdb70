//! `k3s-daas history`: a key's past from memory, sealed log and snapshots.

use std::path::PathBuf;

use archive::cold::{ColdHistory, ColdKeys, Fetched, Held, Link, chain_of};
use archive::{HistoryDocument, Kind, Past, ProofDocument};
use chain::{Address, Anchor, Client};
use serde_json::Value;
use store::{AdminError, KeyHistory};

use super::Context;
use super::anchor::endpoint;
use super::cold::{Cold, time};
use super::prove::{anchor_of, client};
use crate::cli::{History, When};
use crate::deployment::Deployment;
use crate::failure::{Context as _, Failure, Result};
use crate::output::{print, say};

/// Everything that is needed to look.
struct Looking<'a> {
    context: &'a Context,
    args: &'a History,
    cluster: Address,
    key: Vec<u8>,
    client: Client,
    /// `None` without a place for snapshots.
    cold: Option<(Cold, ColdKeys, Vec<Link>)>,
    /// Where pieces go.
    dir: PathBuf,
}

/// A point of the state that is on chain, and the version of the anchor that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    revision: i64,
    version: u64,
}

pub(crate) async fn run(context: &Context, args: History) -> Result<()> {
    let deployment = Deployment::load(&context.state)?;
    let cluster = deployment.cluster.ok_or_else(|| Failure::not_ready("there is no cluster yet"))?;
    let mut looking = Looking {
        context,
        args: &args,
        cluster,
        key: args.key.clone().into_bytes(),
        client: client(context, &deployment)?,
        cold: None,
        dir: context.state.dir("master/archive/history")?,
    };
    let outcome = looking.look().await;
    let cleared = std::fs::remove_dir_all(&looking.dir).context("removing what was fetched");
    let document = outcome?;
    cleared?;
    let answer = serde_json::to_value(&document).context("writing the history")?;
    print(context.global.output, &answer, |_| table(&document))
}

impl Looking<'_> {
    async fn look(&mut self) -> Result<HistoryDocument> {
        self.open_cold().await?;
        let taken: Vec<(i64, u64)> =
            self.links().iter().map(|link| (link.revision, link.created_ms)).collect();
        let from = self.args.since.map_or(1, |when| first(when, &taken));
        let until = self.args.until.and_then(|when| last(when, &taken));
        if until.is_some_and(|until| until < from) {
            return Err(Failure::usage("--until is before --since"));
        }
        let hot = self.hot(from, until).await?;
        if let Err(why) = &hot {
            say(why);
        }
        let held = self.held(from, until).await;
        let known: Vec<_> = hot.iter().flat_map(|hot| &hot.anchors).chain(&held.anchors).cloned().collect();
        let limit = self.limit();
        let past = Past::of(&hot, held, from, until, limit).map_err(Failure::refused)?;
        let mut document =
            HistoryDocument::new(self.cluster, &self.key, (from, until), past, &taken, self.args.with_value);
        if self.args.proof {
            let points = known.iter().filter(|note| note.confirmed_version > 0 && note.confirmed > 0);
            let points = points
                .map(|note| Point { revision: note.confirmed, version: note.confirmed_version })
                .collect();
            self.prove(&mut document, points, hot.as_ref().ok()).await;
        }
        Ok(document)
    }

    /// The newest of the store's own versions: from the master that runs, else from its files.
    async fn hot(&self, from: i64, until: Option<i64>) -> Result<std::result::Result<KeyHistory, String>> {
        let (url, files) = endpoint(self.context, self.args.store.clone());
        let (key, bounds) = (self.key.clone().into(), (from, until.unwrap_or_default()));
        match store::history(&url, files.as_ref(), key, bounds, self.limit()).await {
            Ok(found) => Ok(Ok(found)),
            Err(error @ AdminError::Unreachable { .. }) if self.args.store.endpoint.is_none() => {
                let why = crate::failure::text(&error);
                Ok(self.read_files(bounds).await.map_err(|files| format!("{why}; {files}")))
            }
            Err(error) => Err(error).context("asking the store"),
        }
    }

    /// From the sealed log of a master that does not run.
    async fn read_files(&self, bounds: (i64, i64)) -> std::result::Result<KeyHistory, String> {
        let master = self.context.state.path("master");
        let dir = master.join("store");
        if !dir.is_dir() {
            return Err("this machine has no files of it".to_owned());
        }
        let deployment = Deployment::find(&self.context.state).ok().flatten().unwrap_or_default();
        let key = async {
            let config = crate::parts::master(self.context, &deployment)?;
            super::snapshot::master_key(&config).await
        };
        let sealing = key.await.map_err(|failure| failure.to_string())?;
        let config = store::Config::new(dir, sealing).with_anchor_file(master.join("anchor/store.anchor"));
        let (key, limit) = (self.key.clone().into(), self.limit());
        let read = move || store::history_of_files(&config, key, bounds, limit);
        match tokio::task::spawn_blocking(read).await {
            Ok(read) => {
                read.map_err(|error| format!("its files cannot be read: {}", crate::failure::text(&error)))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Finds out which snapshots there are.
    async fn open_cold(&mut self) -> Result<()> {
        let Some(cold) = Cold::find(self.context, self.args.from.as_deref())? else {
            say("no place for snapshots is configured: only what the store has is read");
            return Ok(());
        };
        let keys = ColdKeys::new(cold.key().await?);
        let mut links = cold.links();
        let named = match (&self.args.snapshot, links.is_empty()) {
            (Some(name), _) => Some(name.clone()),
            // Another machine took them, or this one has been recovered.
            (None, true) => {
                let (anchor, _) = anchor_of(&self.client, self.cluster, None)
                    .await
                    .context("asking the chain which snapshot is the newest")?;
                String::from_utf8(anchor.blob).ok().filter(|name| !name.is_empty())
            }
            (None, false) => None,
        };
        if let Some(name) = named {
            let id = self.cluster.into_inner();
            let chain = chain_of(&*cold.place, &name, &id, &keys, &self.dir).await;
            let mut chain = chain.context("fetching the snapshot")?;
            chain.retain(|link| links.iter().all(|known| known.last != link.last));
            links.extend(chain);
            links.sort_by_key(|link| link.revision);
        }
        self.cold = Some((cold, keys, links));
        Ok(())
    }

    async fn held(&self, from: i64, until: Option<i64>) -> Held {
        let Some((cold, keys, links)) = &self.cold else { return Held::default() };
        let id = self.cluster.into_inner();
        let history = ColdHistory {
            store: &*cold.place,
            cluster: &id,
            keys,
            dir: &self.dir,
            key: &self.key,
            from,
            until: until.unwrap_or(i64::MAX),
        };
        let held = history.read(links, |progress| {
            tracing::info!(pieces = progress.sent, of = progress.pieces, "fetched");
        });
        let held = held.await;
        for unread in &held.unread {
            say(format_args!("‼ snapshot {} is left out: {}", unread.kept.name, unread.why));
        }
        held
    }

    /// Gives each version the proof that there is, or says why there is none.
    async fn prove(&self, document: &mut HistoryDocument, mut points: Vec<Point>, hot: Option<&KeyHistory>) {
        match anchor_of(&self.client, self.cluster, None).await {
            Ok((anchor, version)) => {
                points.extend(i64::try_from(anchor.revision).map(|revision| Point { revision, version }));
            }
            Err(error) => say(format_args!("the chain's anchor is not known: {error}")),
        }
        points.sort_unstable();
        points.dedup();
        for at in 0..document.versions.len() {
            let (first, last) = document.reign(at);
            let known = |point: &&Point| document.gaps.iter().all(|gap| !gap.has(point.revision));
            let mut within =
                points.iter().rev().filter(|point| first <= point.revision && point.revision <= last);
            // In a gap the key may have changed, or not.
            let point = within.clone().find(known).or_else(|| within.next());
            let proven = match point {
                Some(point) => self.proof(*point, hot).await.map_err(|failure| failure.to_string()),
                None => Err("no state that is known to be anchored has it as the latest version".to_owned()),
            };
            match proven {
                Ok((proof, anchor)) => {
                    document.versions[at].proof = Some(proof);
                    if let Err(error) = document.verify(at, &anchor) {
                        document.versions[at].proof = None;
                        document.versions[at].unproven = Some(error.to_string());
                    }
                }
                Err(why) => document.versions[at].unproven = Some(why),
            }
        }
    }

    /// The proof at a point, and the anchor that it is to be checked against.
    async fn proof(&self, point: Point, hot: Option<&KeyHistory>) -> Result<(ProofDocument, Anchor)> {
        let reading = "reading the anchor as it was";
        let anchor = anchor_of(&self.client, self.cluster, Some(point.version)).await.context(reading)?.0;
        let in_store = hot.is_some_and(|hot| hot.compact_revision <= point.revision);
        let asked = if in_store { self.proof_of_store(point.revision).await.ok() } else { None };
        let (proof, value) = match asked {
            Some(proven) => proven,
            None => self.proof_of_snapshots(point.revision).await?,
        };
        let value = value.filter(|_| self.args.with_value);
        let mut document = ProofDocument::new(self.cluster, &self.key, &proof, value.as_deref());
        document.anchor_version = Some(point.version);
        Ok((document, anchor))
    }

    async fn proof_of_store(&self, revision: i64) -> Result<(store::root::Proof, Option<Vec<u8>>)> {
        let (url, files) = endpoint(self.context, self.args.store.clone());
        let asked = store::prove(&url, files.as_ref(), self.key.clone().into(), revision).await;
        let (proof, value) = asked.context("asking the store for a proof")?;
        Ok((proof, value.map(|value| value.to_vec())))
    }

    async fn proof_of_snapshots(&self, revision: i64) -> Result<(store::root::Proof, Option<Vec<u8>>)> {
        let none =
            || Failure::failed(format!("no snapshot that can be read has the state at revision {revision}"));
        let Some((cold, keys, links)) = &self.cold else { return Err(none()) };
        let id = self.cluster.into_inner();
        for link in links.iter().filter(|link| link.since < revision && revision <= link.revision) {
            let name = &link.last.name;
            let fetched = Fetched::chain(&*cold.place, name, &id, keys, &self.dir, |_| ()).await;
            let Ok(fetched) = fetched else { continue };
            let key = self.key.clone();
            let proven = tokio::task::spawn_blocking(move || fetched.prove(&key, revision)).await;
            if let Ok((proof, record)) = proven.context("making a proof")? {
                return Ok((proof, record.map(|record| record.value.to_vec())));
            }
        }
        Err(none())
    }

    fn links(&self) -> &[Link] {
        self.cold.as_ref().map_or(&[], |(_, _, links)| links)
    }

    fn limit(&self) -> Option<usize> {
        self.args.limit.and_then(|limit| usize::try_from(limit).ok())
    }
}

/// The first revision at or after a point; of a time only known as that of a snapshot, so rather too early.
fn first(when: When, taken: &[(i64, u64)]) -> i64 {
    let Some(ms) = milliseconds(when) else { return revision(when) };
    taken.iter().rev().find(|(_, at)| *at <= ms).map_or(1, |(revision, _)| revision.saturating_add(1))
}

/// The last revision at or before a point, rather too late; `None` for now.
fn last(when: When, taken: &[(i64, u64)]) -> Option<i64> {
    let Some(ms) = milliseconds(when) else { return Some(revision(when)) };
    taken.iter().find(|(_, at)| *at >= ms).map(|(revision, _)| *revision)
}

fn revision(when: When) -> i64 {
    if let When::Revision(revision) = when { revision } else { 1 }
}

/// Since the Unix epoch; `None` for a revision.
fn milliseconds(when: When) -> Option<u64> {
    let now = i64::try_from(super::now_ms() / 1_000).unwrap_or(i64::MAX);
    let seconds = match when {
        When::Revision(_) => return None,
        When::At(seconds) => seconds,
        When::Ago(seconds) => now.saturating_sub(seconds),
    };
    Some(u64::try_from(seconds).unwrap_or_default().saturating_mul(1_000))
}

fn table(document: &HistoryDocument) -> String {
    let rows: Vec<Vec<String>> = document
        .versions
        .iter()
        .map(|version| {
            let proven = match (&version.proof, &version.unproven) {
                (Some(proof), _) => format!("at {}", proof.revision),
                (None, Some(_)) => "no".to_owned(),
                (None, None) => String::new(),
            };
            vec![
                version.revision.to_string(),
                if version.kind == Kind::Put { "put" } else { "delete" }.to_owned(),
                version.value_bytes.to_string(),
                version.before_ms.map_or("now".to_owned(), time),
                version.snapshot.clone().unwrap_or_else(|| "the store".to_owned()),
                proven,
            ]
        })
        .collect();
    let headings = ["REVISION", "KIND", "BYTES", "NOT LATER THAN", "READ FROM", "PROVEN"];
    let mut text = crate::output::table(&headings, &rows);
    if document.truncated {
        text.push_str("older versions are left out\n");
    }
    for gap in &document.gaps {
        let to = gap.to.map_or("now".to_owned(), |to| to.to_string());
        text.push_str(&format!("not known from revision {} to {to}: {}\n", gap.from, gap.why));
    }
    text
}

/// What `verify-proof` says of a history: every proof in it is checked, and what has none is named.
pub(super) async fn verify(client: &Client, document: &HistoryDocument) -> Result<Value> {
    let (mut shown, mut without) = (Vec::new(), Vec::new());
    for (at, version) in document.versions.iter().enumerate() {
        let Some(proof) = &version.proof else {
            without.push(version.revision);
            continue;
        };
        let reading = anchor_of(client, document.cluster, proof.anchor_version).await;
        let (anchor, _) = reading.context("reading the anchor that a proof is about")?;
        let proven = document.verify(at, &anchor);
        let proven = proven.map_err(|error| {
            Failure::refused(format!("the version of revision {}: {error}", version.revision))
        })?;
        shown.extend(proven.map(|proven| {
            serde_json::json!({
                "revision": proven.revision,
                "kind": proven.kind,
                "anchoredRevision": proven.anchored_revision,
                "anchoredMs": proven.anchored_ms,
                "valueSha256": version.value_sha256,
            })
        }));
    }
    if shown.is_empty() {
        return Err(Failure::refused("the history has no proof: make it with --proof"));
    }
    Ok(serde_json::json!({
        "accepted": true,
        "cluster": document.cluster,
        "key": document.key,
        "proven": shown,
        "unproven": without,
        "gaps": document.gaps,
    }))
}
