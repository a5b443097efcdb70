use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::Extract;

use super::catalog::Entry;
use super::directory::write;
use super::piece::{PieceWriter, piece_memory};
use super::{Attachment, ColdError, ColdKeys, ColdStore, Index, Link, Piece, gently};

/// A snapshot on its way: taken, sealed and named in a local directory, and not yet all sent. Whatever happens to the process, it
/// is either not there at all or goes on where it was; one that lost pieces in a power cut is found out and removed.
#[derive(Debug)]
pub struct Spool {
    dir: PathBuf,
    note: Note,
}

/// What a snapshot is taken with.
pub struct Taking<'a> {
    /// The keys; the first seals.
    pub keys: &'a ColdKeys,
    /// The cluster's id on chain.
    pub cluster: [u8; 32],
    /// Random name of the store.
    pub store_id: [u8; 16],
    /// Small files that a recovery needs.
    pub attachments: Vec<Attachment>,
    /// The snapshot before, if only changes are taken. The extract has to be the changes since its revision.
    pub before: Option<&'a Entry>,
    /// Milliseconds since 1970.
    pub now_ms: u64,
    /// Bytes after which a piece is closed.
    pub piece_bytes: usize,
}

/// How far sending has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pieces sent, and how many there are.
    pub sent: usize,
    /// See `sent`.
    pub pieces: usize,
    /// Bytes sent, and how many there are.
    pub sent_bytes: u64,
    /// See `sent_bytes`.
    pub bytes: u64,
}

/// The spool's own file; written last, so that a spool without it was never finished.
#[derive(Debug, Deserialize, Serialize)]
struct Note {
    place: String,
    entry: Entry,
    sent: usize,
}

const NOTE: &str = "spool.json";

impl Spool {
    /// The spool that was left in `dir`, if one was finished and it is for `store`. Anything else there is removed.
    ///
    /// # Errors
    /// The directory cannot be read or cleaned.
    pub fn left(dir: &Path, store: &dyn ColdStore) -> Result<Option<Self>, ColdError> {
        let path = dir.join(NOTE);
        match fs::read(&path) {
            Ok(text) => {
                let note: Note = serde_json::from_slice(&text)
                    .map_err(|source| ColdError::Json { path: path.clone(), source })?;
                if note.place == store.place() {
                    return Ok(Some(Self { dir: dir.to_owned(), note }));
                }
                // Names are another place's.
                remove(dir)?;
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => remove(dir).map(|()| None),
            Err(error) => Err(ColdError::io("read", &path)(error)),
        }
    }

    /// Takes a snapshot into `dir`, which is emptied first. Blocks, and keeps the store from removing history meanwhile; what it
    /// needs besides is the memory of a piece. Whoever writes to the store has the processors first.
    ///
    /// # Errors
    /// The directory cannot be written, or the place gives no name to a piece.
    pub fn take(
        dir: &Path,
        extract: Extract,
        taking: &Taking<'_>,
        store: &dyn ColdStore,
    ) -> Result<Self, ColdError> {
        store::in_background("snapshot", || Self::take_here(dir, extract, taking, store))
            .map_err(ColdError::io("take a snapshot into", dir))?
    }

    fn take_here(
        dir: &Path,
        mut extract: Extract,
        taking: &Taking<'_>,
        store: &dyn ColdStore,
    ) -> Result<Self, ColdError> {
        remove(dir)?;
        fs::create_dir_all(dir).map_err(ColdError::io("make", dir))?;
        let began = Instant::now();
        let (mut pieces, mut records) = (Vec::new(), 0);
        let mut writer = PieceWriter::new(taking.keys, piece_memory(taking.piece_bytes));
        while let Some(portion) = extract.portion() {
            for record in portion {
                writer.record(&record);
                records += 1;
                if writer.bytes() >= taking.piece_bytes {
                    let piece = writer.finish(None);
                    pieces.push(keep(dir, pieces.len(), &piece, store)?);
                    writer = PieceWriter::new(taking.keys, piece);
                }
            }
        }
        let chain: Vec<Link> =
            taking.before.map(|b| b.chain.iter().chain([&b.link]).cloned().collect()).unwrap_or_default();
        let index = Index {
            cluster: Bytes::copy_from_slice(&taking.cluster),
            store_id: Bytes::copy_from_slice(&taking.store_id),
            since: taking.before.map_or(0, |before| before.link.revision),
            image: extract.image.clone(),
            pieces: pieces.clone(),
            chain: chain.clone(),
            created_ms: taking.now_ms,
            records,
            attachments: taking.attachments.clone(),
        };
        drop(extract);
        let last = keep(dir, pieces.len(), &writer.finish(Some(&index)), store)?;
        let bytes = pieces.iter().map(|piece| piece.bytes).sum::<u64>() + last.bytes;
        let (since, revision) = (index.since, index.image.revision);
        let link = Link { last, since, revision, bytes, created_ms: taking.now_ms };
        tracing::info!(
            revision,
            since,
            records,
            bytes,
            millis = began.elapsed().as_millis() as u64,
            "snapshot taken"
        );
        let spool = Self {
            dir: dir.to_owned(),
            note: Note { place: store.place(), entry: Entry { link, chain, pieces, renewed_ms: 0 }, sent: 0 },
        };
        spool.save()?;
        Ok(spool)
    }

    /// The snapshot.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.note.entry
    }

    /// Sends what is not sent yet, tells of each piece, and gives the snapshot when all of it is kept. The local copies
    /// stay until [`Self::done`].
    ///
    /// # Errors
    /// The place's; call again to go on. [`ColdError::Torn`]: the spool is gone.
    pub async fn send(
        &mut self,
        store: &dyn ColdStore,
        mut tell: impl FnMut(Progress),
    ) -> Result<Entry, ColdError> {
        let pieces: Vec<Piece> =
            self.note.entry.pieces.iter().chain([&self.note.entry.link.last]).cloned().collect();
        let bytes = self.note.entry.link.bytes;
        for (number, piece) in pieces.iter().enumerate().skip(self.note.sent) {
            let (path, expected) = (file(&self.dir, number), piece.clone());
            let whole = gently::in_background(move || {
                let text = gently::read(&path)?;
                Ok((gently::digest(&text) == expected.sha256).then_some(text))
            });
            let text = match whole.await {
                Ok(Some(text)) => text,
                // A spool is not synced: a power cut may tear it, and then another snapshot is taken.
                Ok(None) => return Err(self.torn(number)?),
                Err(ColdError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    return Err(self.torn(number)?);
                }
                Err(error) => return Err(error),
            };
            store.put(&piece.name, text.into()).await?;
            self.note.sent = number + 1;
            self.save()?;
            let sent_bytes = pieces[..=number].iter().map(|piece| piece.bytes).sum();
            tell(Progress { sent: number + 1, pieces: pieces.len(), sent_bytes, bytes });
        }
        Ok(self.note.entry.clone())
    }

    /// Removes the local copies.
    ///
    /// # Errors
    /// They cannot be removed.
    pub fn done(self) -> Result<(), ColdError> {
        store::in_background("snapshot", || remove(&self.dir)).map_err(ColdError::io("remove", &self.dir))?
    }

    fn torn(&self, number: usize) -> Result<ColdError, ColdError> {
        let path = file(&self.dir, number);
        remove(&self.dir).map(|()| ColdError::Torn(path))
    }

    fn save(&self) -> Result<(), ColdError> {
        let path = self.dir.join(NOTE);
        let text = serde_json::to_vec(&self.note)
            .map_err(|source| ColdError::Json { path: path.clone(), source })?;
        write(&path, &text)
    }
}

fn keep(dir: &Path, number: usize, piece: &[u8], store: &dyn ColdStore) -> Result<Piece, ColdError> {
    gently::write_loosely(&file(dir, number), piece)?;
    let (sha256, bytes) = (gently::digest(piece), piece.len() as u64);
    Ok(Piece { name: store.name(piece)?, sha256, bytes })
}

fn file(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("{number:06}.piece"))
}

fn remove(dir: &Path) -> Result<(), ColdError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ColdError::io("remove", dir)(error)),
        _ => Ok(()),
    }
}
