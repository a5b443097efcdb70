use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use archive::cold::{
    Attachment, Catalog, ColdConfig, ColdError, ColdKeys, ColdStore, Entry, Next, Renewed, Spool, Taking,
};
use store::{EtcdError, Store};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::error::MasterError;
use crate::shared::Clock;

/// Takes snapshots into the cold store, when it is time and when somebody asks, and forgets old ones.
///
/// What was taken and not sent is sent before anything else is taken; a restart changes nothing of that.
pub(crate) struct Archiver {
    pub(crate) board: Arc<Board>,
    pub(crate) store: Store,
    pub(crate) keys: ColdKeys,
    pub(crate) cluster: [u8; 32],
    pub(crate) clock: Clock,
    pub(crate) config: ColdConfig,
    pub(crate) place: Arc<dyn ColdStore>,
    /// For catalogue and spool.
    pub(crate) dir: PathBuf,
    /// Sealed files that a recovery needs beside the store.
    pub(crate) attached: Vec<PathBuf>,
}

/// How often what is stored is looked at, whether its time ends.
const RENEWAL: Duration = Duration::from_secs(3_600);
/// How often is looked whether memory holds much history that no snapshot has.
const LOOK: Duration = Duration::from_secs(1);
/// Pause after a failure.
const RETRY: Duration = Duration::from_secs(60);

impl Archiver {
    /// The catalogue of what is stored.
    pub(crate) fn catalog(&self) -> Result<Catalog, MasterError> {
        Ok(Catalog::open(self.dir.join("catalog.json"))?)
    }

    pub(crate) async fn run(self, mut catalog: Catalog, stop: CancellationToken) {
        let mut wanted = self.store.copies_wanted();
        self.tell(&catalog);
        let mut next = after(self.first_pause(&catalog));
        let mut renewal = Instant::now() + RENEWAL;
        // Too much history is no reason to try again at once what has just failed.
        let mut early = Instant::now();
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                () = due(next) => false,
                () = asked(&mut wanted) => true,
                () = sleep_until(renewal) => {
                    self.renew(&mut catalog).await;
                    renewal = Instant::now() + RENEWAL;
                    continue;
                }
                () = sleep(LOOK) => {
                    if Instant::now() < early || !self.holds_much() {
                        continue;
                    }
                    tracing::info!("a snapshot is taken early: much history waits for one");
                    false
                }
            };
            let outcome = self.once(&mut catalog, asked).await;
            self.renew(&mut catalog).await;
            self.tell(&catalog);
            match &outcome {
                Ok(_) => next = after(self.interval()),
                Err(error) => {
                    tracing::error!(
                        place = self.place.place(),
                        "no snapshot was stored, trying again: {error}"
                    );
                    next = after(Some(RETRY));
                    early = Instant::now() + RETRY;
                }
            }
            if asked {
                self.store
                    .copied(outcome.map(|entry| entry.link.last.name).map_err(|error| error.to_string()));
            }
        }
    }

    /// One snapshot, or the newest when nothing has changed and nobody asked.
    async fn once(&self, catalog: &mut Catalog, asked: bool) -> Result<Entry, ColdError> {
        let spool_dir = self.dir.join("spool");
        if let Some(spool) = Spool::left(&spool_dir, &*self.place)? {
            tracing::info!(
                revision = spool.entry().link.revision,
                "sending a snapshot that was taken before"
            );
            self.send(spool, catalog).await?;
        }
        if let Some(newest) = catalog.newest()
            && newest.link.revision == self.store.revision()
            && !asked
        {
            return Ok(newest.clone());
        }
        let spool = self.take(catalog, spool_dir).await?;
        let entry = self.send(spool, catalog).await?;
        let gone = catalog.prune(&self.config.keep, &*self.place, (self.clock)()).await?;
        if !gone.is_empty() {
            tracing::info!(count = gone.len(), "old snapshots are removed");
        }
        Ok(entry)
    }

    /// What is kept is stored again before the time is over for which it was paid.
    async fn renew(&self, catalog: &mut Catalog) {
        match catalog.renew(&*self.place, (self.clock)()).await {
            Ok(Renewed { snapshots: 0, .. }) => {}
            Ok(Renewed { snapshots, pieces }) => {
                tracing::info!(snapshots, pieces, place = self.place.place(), "snapshots are renewed");
            }
            Err(error) => tracing::error!(
                place = self.place.place(),
                "old snapshots were not renewed and will end there, trying again within the hour: {error}"
            ),
        }
    }

    async fn take(&self, catalog: &Catalog, dir: PathBuf) -> Result<Spool, ColdError> {
        let before = match self.config.base.next(catalog.newest()) {
            Next::Base => None,
            Next::After(entry) => Some(entry.clone()),
        };
        let (extract, before) = match self.store.extract(before.as_ref().map(|entry| entry.link.revision)) {
            // Changes are gone, or the store is younger than its snapshots: everything, then.
            Err(EtcdError::Compacted | EtcdError::FutureRevision) => (self.store.extract(None)?, None),
            other => (other?, before),
        };
        let mut attachments = Vec::new();
        for path in &self.attached {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let content = std::fs::read(path).map_err(|source| ColdError::Io {
                action: "read",
                path: path.clone(),
                source,
            })?;
            attachments.push(Attachment { name, content: content.into() });
        }
        let (keys, place) = (self.keys.clone(), self.place.clone());
        let (cluster, store_id, now_ms) = (self.cluster, self.store.status().store_id, (self.clock)());
        let piece_bytes = usize::try_from(self.config.piece_bytes).unwrap_or(usize::MAX);
        let work = move || {
            let before = before.as_ref();
            let taking = Taking { keys: &keys, cluster, store_id, attachments, before, now_ms, piece_bytes };
            Spool::take(&dir, extract, &taking, &*place)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| ColdError::Io {
            action: "finish",
            path: self.dir.join("spool"),
            source: std::io::Error::other(error),
        })?
    }

    async fn send(&self, mut spool: Spool, catalog: &mut Catalog) -> Result<Entry, ColdError> {
        let entry = spool.send(&*self.place, |_| ()).await?;
        catalog.add(entry.clone())?;
        spool.done()?;
        let (name, revision) = (&entry.link.last.name, entry.link.revision);
        tracing::info!(name, revision, place = self.place.place(), "snapshot stored");
        Ok(entry)
    }

    fn interval(&self) -> Option<Duration> {
        (self.config.interval_ms > 0).then(|| Duration::from_millis(self.config.interval_ms))
    }

    /// What is left of the interval since the last one.
    fn first_pause(&self, catalog: &Catalog) -> Option<Duration> {
        let last = catalog.newest().map_or(0, |entry| entry.link.created_ms);
        let since = Duration::from_millis((self.clock)().saturating_sub(last));
        self.interval().map(|interval| interval.saturating_sub(since))
    }

    /// Whether half of the memory is full that compacted history may take until a snapshot has it.
    fn holds_much(&self) -> bool {
        let most = self.config.history_bytes;
        most > 0 && self.store.held_history() >= most / 2
    }

    /// Says what the newest snapshot is: to anchors its name, and to the store up to where history may go.
    fn tell(&self, catalog: &Catalog) {
        self.store.hold_history(catalog.newest().map_or(0, |entry| entry.link.revision));
        let name =
            catalog.newest().map(|entry| entry.link.last.name.clone().into_bytes()).unwrap_or_default();
        self.board.update(|board| board.snapshot_blob = name);
    }
}

/// `None` for never; so is what lies beyond all clocks.
fn after(pause: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(pause?)
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn asked(wanted: &mut watch::Receiver<u64>) {
    if wanted.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
