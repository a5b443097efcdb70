use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::accounts;
use crate::error::MasterError;
use crate::health::EpochReport;
use crate::outbox::{
    Addressee, ContradictionLetter, DowntimeLetter, Drawer, EpochLetter, Letter, Outbox, records_key,
};
use crate::shared::Shared;

/// How often there is a look at what is to be said.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds between two saves of the health.
const SAVE_EVERY: u32 = 15;
/// Where the health is kept.
const HEALTH: &str = "health";

/// Keeps the books: ends epochs, notes what follows from them, has it said on chain, and keeps the health on
/// disk, so that neither a crash nor an upgrade costs anybody uptime.
pub(crate) struct Bookkeeper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) drawer: Drawer,
    /// Without a wallet there is none: epochs end, and nothing is said.
    pub(crate) outbox: Option<Outbox>,
    pub(crate) addressee: watch::Receiver<Option<Addressee>>,
}

impl Bookkeeper {
    /// Takes the health up where an earlier master left it.
    pub(crate) fn restore(shared: &Shared, drawer: &Drawer) -> Result<(), MasterError> {
        let Some(json) = drawer.get(HEALTH)? else { return Ok(()) };
        match serde_json::from_slice(&json) {
            Ok(saved) => shared.restore_health(saved),
            // Of another version: uptime of the running epoch is lost, which counts as not observed.
            Err(error) => tracing::warn!("the saved health of nodes cannot be read, starting anew: {error}"),
        }
        Ok(())
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut round: u32 = 0;
        loop {
            if let Err(error) = self.round(round.is_multiple_of(SAVE_EVERY)).await {
                tracing::error!("the books are not in order, trying again: {error}");
            }
            round = round.wrapping_add(1);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(ROUND) => {}
            }
        }
        if let Err(error) = self.save().await {
            tracing::error!("the health of nodes was not saved: {error}");
        }
    }

    async fn round(&mut self, save: bool) -> Result<(), MasterError> {
        let addressee = self.addressee.borrow_and_update().clone();
        let contradictions = self.shared.health.lock().take_contradictions();
        for found in &contradictions {
            tracing::warn!(stake = %found.stake, "a node's key has signed two statements that contradict each other");
            self.note(&Letter::Contradiction(ContradictionLetter::of(found)))?;
        }
        let mut ended = false;
        if let Some(addressee) = &addressee {
            let report = self.shared.health.lock().close_epoch(addressee.economics.epoch_ms);
            if let Some(report) = report {
                ended = true;
                self.close(&report, addressee)?;
            }
        }
        // Only after what follows from an epoch is on disk may the epoch be forgotten.
        if save || ended {
            self.save().await?;
        }
        let now_ms = self.shared.now_ms();
        let (Some(outbox), Some(addressee)) = (&mut self.outbox, &addressee) else { return Ok(()) };
        let letters = &self.shared.metrics.letters;
        outbox
            .deliver(addressee, now_ms, |letter, outcome| {
                letters.get_or_create(&[("kind", letter.kind()), ("result", outcome.as_str())]).inc();
            })
            .await?;
        let waiting = i64::try_from(outbox.letters()?.len()).unwrap_or(i64::MAX);
        self.shared.metrics.letters_waiting.set(waiting);
        Ok(())
    }

    /// Notes what follows from an epoch.
    fn close(&self, report: &EpochReport, addressee: &Addressee) -> Result<(), MasterError> {
        let limits = self.shared.health.lock().limits();
        let shares = accounts::shares(report, self.shared.membership.read().roster());
        let cluster = &self.shared.facts.cluster_id;
        let faults = accounts::faults(cluster, report, &addressee.economics, limits.max_maintenance_ms);
        tracing::info!(
            from_ms = report.from_ms,
            to_ms = report.to_ms,
            shares = shares.len(),
            faults = faults.len(),
            unobserved_ms = report.unobserved_ms,
            "an epoch has ended"
        );
        let (from_ms, to_ms) = (report.from_ms, report.to_ms);
        for fault in faults {
            self.drawer.put(&records_key(&fault.digest), &fault.records)?;
            let (stake, up_ms, digest) = (fault.stake, fault.up_ms, fault.digest);
            self.note(&Letter::Downtime(DowntimeLetter { stake, from_ms, to_ms, up_ms, digest }))?;
        }
        if shares.is_empty() {
            return Ok(());
        }
        self.note(&Letter::Epoch(EpochLetter { from_ms, to_ms, shares }))
    }

    fn note(&self, letter: &Letter) -> Result<(), MasterError> {
        self.outbox.as_ref().map_or(Ok(()), |outbox| outbox.note(letter))
    }

    async fn save(&self) -> Result<(), MasterError> {
        let (shared, drawer) = (self.shared.clone(), self.drawer.clone());
        let saving = tokio::task::spawn_blocking(move || {
            let saved = shared.health.lock().save();
            let json = serde_json::to_vec(&saved).map_err(|error| MasterError::Ended(error.to_string()))?;
            drawer.put(HEALTH, &json)
        });
        saving.await.map_err(|_| MasterError::Ended("the health of nodes was not saved".to_owned()))?
    }
}
