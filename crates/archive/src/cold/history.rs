//! One key's past as snapshots have it. Only pieces that can hold some of it are fetched; what cannot be read is named and left out.

use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use store::mvcc::{AnchorNote, Record};

use super::directory::on_a_thread;
use super::fetch::{MAX_PIECE, fetch, inconsistent, index_of, keep, read};
use super::{ColdError, ColdKeys, ColdStore, Index, Link, Piece, Progress};

/// What was looked for, and with what.
#[derive(Clone, Copy)]
pub struct ColdHistory<'a> {
    /// Where the pieces are.
    pub store: &'a dyn ColdStore,
    /// The cluster's id on chain.
    pub cluster: &'a [u8; 32],
    /// The keys.
    pub keys: &'a ColdKeys,
    /// Where fetched pieces go, and are looked for first.
    pub dir: &'a Path,
    /// Of which key.
    pub key: &'a [u8],
    /// The first and the last revision.
    pub from: i64,
    /// See `from`.
    pub until: i64,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Held {
    /// Versions with the name of the snapshot that each was read from; in no order, and some more than once.
    pub versions: Vec<(Record, String)>,
    /// What was read: every version from the first to the last revision of each is among them.
    pub read: Vec<Kept>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// Points of the state that were anchored, or were about to be.
    pub anchors: Vec<AnchorNote>,
}

/// A snapshot and the changes that it has, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub name: String,
    /// The first and the last revision of the changes in it.
    pub from: i64,
    /// See `from`.
    pub to: i64,
}

/// A snapshot that would have more, and cannot be read.
#[derive(Debug)]
pub struct Unread {
    /// It, and what would be in it: for a base from 1, since nobody knows.
    pub kept: Kept,
    /// Why not.
    pub why: ColdError,
}

impl ColdHistory<'_> {
    /// Looks into `links`, which are all snapshots that are known, oldest first.
    pub async fn read(&self, links: &[Link], mut tell: impl FnMut(Progress)) -> Held {
        let mut held = Held::default();
        for link in links.iter().rev() {
            if link.revision < self.from || link.since >= self.until {
                continue;
            }
            if let Err(why) = self.look_into(link, &mut held, &mut tell).await {
                let name = link.last.name.clone();
                let kept = Kept { name, from: link.since.saturating_add(1), to: link.revision };
                held.unread.push(Unread { kept, why });
            }
        }
        held
    }

    async fn look_into(
        &self,
        link: &Link,
        held: &mut Held,
        tell: &mut impl FnMut(Progress),
    ) -> Result<(), ColdError> {
        fs::create_dir_all(self.dir).map_err(ColdError::io("make", self.dir))?;
        let mut progress = Progress { sent: 0, pieces: 1, sent_bytes: 0, bytes: link.bytes };
        fetch(self.store, self.dir, &link.last, &mut progress, tell).await?;
        let index = index_of(self.dir, &link.last, self.keys, self.cluster)?;
        if index.since != link.since || index.image.revision != link.revision {
            return Err(inconsistent(&link.last, "it is of other revisions than the catalogue says"));
        }
        held.anchors.extend(index.image.anchors.iter().cloned());
        let from = if index.is_base() { index.image.complete_from().max(1) } else { index.since + 1 };
        let kept = Kept { name: link.last.name.clone(), from, to: link.revision };
        if is_covered(&held.read, from.max(self.from), kept.to.min(self.until)) {
            return Ok(());
        }
        progress.pieces = index.pieces.len() + 1;
        for piece in &index.pieces {
            fetch(self.store, self.dir, piece, &mut progress, tell).await?;
        }
        let found = self.versions(index, link.last.clone()).await?;
        held.versions.extend(found.into_iter().map(|record| (record, kept.name.clone())));
        held.read.push(kept);
        Ok(())
    }

    /// The key's versions in a snapshot whose pieces are here. All of it is read, or it does not count.
    async fn versions(&self, index: Index, last: Piece) -> Result<Vec<Record>, ColdError> {
        let (dir, keys, key) = (self.dir.to_owned(), self.keys.clone(), self.key.to_owned());
        let (from, until) = (self.from, self.until);
        on_a_thread(move || {
            let (mut found, mut records) = (Vec::new(), 0);
            for piece in index.pieces.iter().chain([&last]) {
                let (_, mut reader) = read(&dir, piece, &keys)?;
                while let Some(record) = reader.record()? {
                    records += 1;
                    if record.key == key && from <= record.mod_revision && record.mod_revision <= until {
                        found.push(record);
                    }
                }
            }
            match records == index.records {
                true => Ok(found),
                false => Err(inconsistent(&last, "it has another number of records than it says")),
            }
        })
        .await
    }
}

/// The snapshots that the one with this name continues, and itself, oldest first: for who has no catalogue.
///
/// # Errors
/// It cannot be fetched or is not this cluster's.
pub async fn chain_of(
    store: &dyn ColdStore,
    name: &str,
    cluster: &[u8; 32],
    keys: &ColdKeys,
    dir: &Path,
) -> Result<Vec<Link>, ColdError> {
    fs::create_dir_all(dir).map_err(ColdError::io("make", dir))?;
    let bytes = store.get(name, MAX_PIECE).await?;
    let sha256 = Sha256::digest(&bytes).to_vec();
    let last = Piece { name: name.to_owned(), sha256, bytes: bytes.len() as u64 };
    keep(dir, &last, bytes).await?;
    let index = index_of(dir, &last, keys, cluster)?;
    let bytes = index.pieces.iter().fold(last.bytes, |sum, piece| sum.saturating_add(piece.bytes));
    let (since, revision, created_ms) = (index.since, index.image.revision, index.created_ms);
    let mut links = index.chain;
    links.push(Link { last, since, revision, bytes, created_ms });
    Ok(links)
}

/// Whether every revision from the first to the last is in one of these.
fn is_covered(read: &[Kept], from: i64, to: i64) -> bool {
    let mut next = from;
    while next <= to {
        let Some(kept) = read.iter().find(|kept| kept.from <= next && next <= kept.to) else { return false };
        next = kept.to.saturating_add(1);
    }
    true
}
