use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use store::Config;
use store::mvcc::{Image, Record};
use store::root::{Entry, Hash, Leaf, Proof};

use super::directory::{on_a_thread, write};
use super::merge::{Changes, Merge};
use super::piece::PieceReader;
use super::{Attachment, ColdError, ColdKeys, ColdStore, Index, Piece, Progress};

/// A chain of snapshots with all its pieces in a local directory, each checked.
#[derive(Debug)]
pub struct Fetched {
    dir: PathBuf,
    keys: ColdKeys,
    /// The base first. Each with its last piece.
    snapshots: Vec<(Piece, Index)>,
}

/// What a chain holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of the last snapshot.
    pub revision: i64,
    /// Snapshots in the chain.
    pub snapshots: usize,
    /// Records, over all of them.
    pub records: u64,
    /// Bytes of all pieces.
    pub bytes: u64,
    /// Leases of the last snapshot.
    pub leases: usize,
    /// When the last one was taken, in milliseconds since 1970.
    pub created_ms: u64,
}

/// The largest piece that is read: 32 MiB are usual.
pub(super) const MAX_PIECE: usize = 256 << 20;
/// The longest chain that is read, and the most pieces of a snapshot.
const MAX_CHAIN: usize = 10_000;

impl Fetched {
    /// Fetches the snapshot whose last piece has this name, and all that it needs, into `dir`. Pieces that are there from an
    /// earlier attempt are not fetched again.
    ///
    /// # Errors
    /// [`ColdError`] names the piece and what is wrong with it.
    pub async fn chain(
        store: &dyn ColdStore,
        name: &str,
        cluster: &[u8; 32],
        keys: &ColdKeys,
        dir: &Path,
        mut tell: impl FnMut(Progress),
    ) -> Result<Self, ColdError> {
        fs::create_dir_all(dir).map_err(ColdError::io("make", dir))?;
        let newest = store.get(name, MAX_PIECE).await?;
        let last = Piece {
            name: name.to_owned(),
            sha256: Sha256::digest(&newest).to_vec(),
            bytes: newest.len() as u64,
        };
        keep(dir, &last, newest).await?;
        let index = index_of(dir, &last, keys, cluster)?;
        let parts =
            index.chain.iter().map(|link| link.bytes).chain(index.pieces.iter().map(|piece| piece.bytes));
        let whole = parts.fold(last.bytes, u64::saturating_add);
        let mut progress = Progress { sent: 1, pieces: 1, sent_bytes: last.bytes, bytes: whole };
        if index.chain.len() > MAX_CHAIN {
            return Err(ColdError::Inconsistent { name: name.to_owned(), what: "its chain is endless" });
        }
        let mut snapshots = Vec::new();
        for link in &index.chain {
            fetch(store, dir, &link.last, &mut progress, &mut tell).await?;
            snapshots.push((link.last.clone(), index_of(dir, &link.last, keys, cluster)?));
        }
        snapshots.push((last, index));
        check_chain(&snapshots)?;
        progress.pieces = snapshots.iter().map(|(_, index)| index.pieces.len() + 1).sum();
        for (_, index) in &snapshots {
            for piece in &index.pieces {
                fetch(store, dir, piece, &mut progress, &mut tell).await?;
            }
        }
        Ok(Self { dir: dir.to_owned(), keys: keys.clone(), snapshots })
    }

    /// Reads every record and tells what there is.
    ///
    /// # Errors
    /// As [`Self::chain`].
    pub fn verify(&self) -> Result<Summary, ColdError> {
        let mut records = 0;
        for (number, (last, index)) in self.snapshots.iter().enumerate() {
            let mut found = 0;
            for record in self.records(number) {
                record?;
                found += 1;
            }
            if found != index.records {
                return Err(inconsistent(last, "it has another number of records than it says"));
            }
            records += found;
        }
        let (_, newest) = self.newest();
        let pieces = self.snapshots.iter().flat_map(|(last, index)| index.pieces.iter().chain([last]));
        Ok(Summary {
            revision: newest.image.revision,
            snapshots: self.snapshots.len(),
            records,
            bytes: pieces.map(|piece| piece.bytes).sum(),
            leases: newest.image.leases.len(),
            created_ms: newest.created_ms,
        })
    }

    /// Makes a store in `config.data_dir` as it was at `revision`, or at the last snapshot. Gives the revision. Blocks; the
    /// changes of a chain are in memory meanwhile, the base is not.
    ///
    /// # Errors
    /// [`ColdError::Revision`] for one that the chain does not have, and as [`Self::chain`].
    pub fn restore(&self, config: &Config, revision: Option<i64>) -> Result<i64, ColdError> {
        let (image, upto) = self.image_at(revision)?;
        let mut changes = Changes::new();
        for number in 1..=upto {
            for record in self.records(number) {
                let record = record?;
                if record.mod_revision <= image.revision {
                    changes.entry(record.key.clone()).or_default().push(record);
                }
            }
        }
        store::rebuild(config, &image, Merge::new(self.records(0), changes))?;
        Ok(image.revision)
    }

    /// That `key` had what it had at `revision`, or did not exist then, and the version that is proven: from all records up to there.
    /// Blocks, and takes some 100 bytes of memory for each key.
    ///
    /// # Errors
    /// [`ColdError::Revision`] for one at which the chain does not have every key, and as [`Self::chain`].
    pub fn prove(&self, key: &[u8], revision: i64) -> Result<(Proof, Option<Record>), ColdError> {
        let (from, to) = (self.snapshots[0].1.image.complete_from(), self.newest().1.image.revision);
        if revision < from.max(1) || revision > to {
            return Err(ColdError::Revision { wanted: revision, from, to });
        }
        let upto = self.snapshots.iter().take_while(|(_, index)| index.image.revision < revision).count();
        let (mut latest, mut proven) = (HashMap::new(), None);
        for number in 0..=upto {
            for record in self.records(number) {
                let record = record?;
                if record.mod_revision > revision {
                    continue;
                }
                let leaf = (!record.is_tombstone()).then(|| Leaf::of(&record));
                let name: Hash = Sha256::digest(&record.key).into();
                // Each key's versions come in order, in a snapshot and from one to the next.
                latest.insert(name, leaf.map(|leaf| leaf.entry(&record.key)));
                if record.key == key {
                    proven = leaf.is_some().then_some(record);
                }
            }
        }
        let mut entries: Vec<Entry> = latest.into_values().flatten().collect();
        entries.sort_unstable_by_key(|entry| entry.key);
        let leaf = proven.as_ref().map(Leaf::of);
        Ok((Proof::make(&entries, revision, key, leaf), proven))
    }

    /// The small files that came with the last snapshot.
    #[must_use]
    pub fn attachments(&self) -> &[Attachment] {
        &self.newest().1.attachments
    }

    /// The image of a revision, and the snapshot up to which records matter.
    fn image_at(&self, revision: Option<i64>) -> Result<(Image, usize), ColdError> {
        let (_, newest) = self.newest();
        let (from, to) = (self.snapshots[0].1.image.revision, newest.image.revision);
        let wanted = revision.unwrap_or(to);
        if wanted < from || wanted > to {
            return Err(ColdError::Revision { wanted, from, to });
        }
        let upto = self.snapshots.iter().take_while(|(_, index)| index.image.revision < wanted).count();
        let mut image = self.snapshots[upto].1.image.clone();
        // What is compacted is in the snapshots already.
        image.kept_from = 0;
        if image.revision != wanted {
            // Between two snapshots: history as far as the one before had it, and the leases of both.
            let before = &self.snapshots[upto - 1].1.image;
            image.compact_revision = before.compact_revision;
            let missing: Vec<_> = before
                .leases
                .iter()
                .filter(|lease| image.leases.iter().all(|known| known.id != lease.id))
                .copied()
                .collect();
            image.leases.extend(missing);
            image.alarms = before.alarms.clone();
            image.revision = wanted;
        }
        Ok((image, upto))
    }

    fn newest(&self) -> &(Piece, Index) {
        self.snapshots.last().expect("a chain has at least the snapshot that was asked for")
    }

    /// All records of a snapshot, piece by piece.
    fn records(&self, number: usize) -> impl Iterator<Item = Result<Record, ColdError>> + '_ {
        let (last, index) = &self.snapshots[number];
        let pieces = index.pieces.iter().chain([last]);
        pieces.flat_map(move |piece| {
            let (mut reader, mut failed) = match read(&self.dir, piece, &self.keys) {
                Ok((_, reader)) => (Some(reader), None),
                Err(error) => (None, Some(error)),
            };
            std::iter::from_fn(move || match failed.take() {
                Some(error) => Some(Err(error)),
                None => {
                    let next = reader.as_mut()?.record().transpose();
                    if !matches!(next, Some(Ok(_))) {
                        reader = None;
                    }
                    next
                }
            })
        })
    }
}

/// Each snapshot begins where the one before ended, and knows those before as the newest does.
fn check_chain(snapshots: &[(Piece, Index)]) -> Result<(), ColdError> {
    let mut since = 0;
    for (number, (last, index)) in snapshots.iter().enumerate() {
        if index.since != since {
            return Err(inconsistent(last, "changes are missing between it and the snapshot before"));
        }
        if index.image.revision < since || index.pieces.len() > MAX_CHAIN {
            return Err(inconsistent(last, "its revision goes back, or its pieces are endless"));
        }
        let before = snapshots[..number].iter().map(|(piece, _)| piece);
        if !index.chain.iter().map(|link| &link.last).eq(before) {
            return Err(inconsistent(last, "it was taken after other snapshots"));
        }
        since = index.image.revision;
    }
    Ok(())
}

pub(super) fn inconsistent(piece: &Piece, what: &'static str) -> ColdError {
    ColdError::Inconsistent { name: piece.name.clone(), what }
}

pub(super) fn index_of(
    dir: &Path,
    piece: &Piece,
    keys: &ColdKeys,
    cluster: &[u8; 32],
) -> Result<Index, ColdError> {
    let (index, _) = read(dir, piece, keys)?;
    let index = index.ok_or_else(|| inconsistent(piece, "it is a part of a snapshot, not its last piece"))?;
    if index.cluster != cluster[..] {
        let (found, expected) = (hex::encode(&index.cluster), hex::encode(cluster));
        return Err(ColdError::OtherCluster { name: piece.name.clone(), found, expected });
    }
    Ok(index)
}

pub(super) fn read(
    dir: &Path,
    piece: &Piece,
    keys: &ColdKeys,
) -> Result<(Option<Index>, PieceReader), ColdError> {
    let path = file(dir, piece);
    let bytes = fs::read(&path).map_err(ColdError::io("read", &path))?;
    PieceReader::open(&piece.name, bytes.into(), keys)
}

pub(super) async fn fetch(
    store: &dyn ColdStore,
    dir: &Path,
    piece: &Piece,
    progress: &mut Progress,
    tell: &mut impl FnMut(Progress),
) -> Result<(), ColdError> {
    if !there(dir, piece).await? {
        let most = usize::try_from(piece.bytes).unwrap_or(usize::MAX).min(MAX_PIECE);
        let bytes = store.get(&piece.name, most).await?;
        if Sha256::digest(&bytes).as_slice() != piece.sha256 {
            return Err(ColdError::Exchanged(piece.name.clone()));
        }
        keep(dir, piece, bytes).await?;
    }
    progress.sent += 1;
    progress.sent_bytes += piece.bytes;
    progress.pieces = progress.pieces.max(progress.sent);
    tell(*progress);
    Ok(())
}

/// Whether an earlier attempt fetched it.
async fn there(dir: &Path, piece: &Piece) -> Result<bool, ColdError> {
    let (path, expected) = (file(dir, piece), piece.sha256.clone());
    on_a_thread(move || Ok(fs::read(&path).is_ok_and(|bytes| Sha256::digest(&bytes).as_slice() == expected)))
        .await
}

pub(super) async fn keep(dir: &Path, piece: &Piece, bytes: Bytes) -> Result<(), ColdError> {
    let path = file(dir, piece);
    on_a_thread(move || write(&path, &bytes)).await
}

/// By digest: names come from elsewhere.
fn file(dir: &Path, piece: &Piece) -> PathBuf {
    dir.join(format!("{}.piece", hex::encode(&piece.sha256)))
}
