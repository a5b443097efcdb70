use std::sync::Arc;
use std::time::Duration;

use api::AnchorStatus;
use archive::{AnchorConfig, Due, Pending, Schedule};
use chain::{Anchor, Calls, Point, Unanchored};
use store::Store;
use store::mvcc::AnchorNote;
use store::root::StateRoot;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::anchor_check::{Checked, OnChain};
use crate::anchor_poster::Poster;
use crate::board::Board;
use crate::error::MasterError;
use crate::follow::Standing;
use crate::shared::Clock;
use crate::undeclared::Undeclared;

/// How often is looked whether an anchor is due.
const LOOK: Duration = Duration::from_secs(1);
/// Revision of a store that nothing was ever written to: there is nothing that an older copy could take back, so it is anchored for
/// whoever asks and not by itself.
const EMPTY: i64 = 1;

/// Puts the state's revision and root on chain, so that no older copy of the disk can take its place.
///
/// A point is noted in the store's log before it is posted, and the contract takes later points only: so whenever the
/// process dies, what is on chain is noted, and a point that was posted twice is refused the second time.
pub(crate) struct AnchorKeeper {
    board: Arc<Board>,
    on_chain: OnChain,
    store: Store,
    config: AnchorConfig,
    schedule: Schedule,
    clock: Clock,
    /// The revision that is anchored for certain.
    anchored: i64,
    /// Whether the store was compared with the chain.
    checked: bool,
    /// What was served without that, now and before, until the chain has it.
    undeclared: Undeclared,
    /// Up to where changes were looked at, and whether there was one that is not quiet.
    looked: (i64, bool),
    /// The snapshot that the chain names.
    named: Vec<u8>,
}

impl AnchorKeeper {
    /// Compares the store with the chain, before anybody is served from it; where that cannot be done and need not be, it
    /// is noted durably that it was not done.
    ///
    /// # Errors
    /// As [`OnChain::check`]. Whoever is refused for what the chain says tells it first what was served without asking it.
    pub(crate) async fn open(
        board: Arc<Board>,
        on_chain: OnChain,
        store: Store,
        config: AnchorConfig,
        clock: Clock,
        mut undeclared: Undeclared,
        poster: Option<&Poster>,
    ) -> Result<Self, MasterError> {
        let checked = on_chain.check(&store, &config).await;
        if let (Err(MasterError::Refused(_)), Some(poster)) = (&checked, poster) {
            undeclared.declare_at_the_end(&on_chain, poster).await;
        }
        let (known, unanchored) = match checked? {
            Checked::Admitted(anchor) => (Some(anchor), None),
            Checked::Unanchored(why) => (None, Some(why)),
        };
        if unanchored.is_some() {
            let root = root_of(&store).await?;
            undeclared.note(Unanchored {
                cluster: on_chain.cluster,
                revision: u64::try_from(root.point.revision).unwrap_or_default(),
                state_root: root.root.to_vec(),
                opened_ms: clock(),
            })?;
        }
        let posted_ms = known.as_ref().map_or(0, |anchor| anchor.anchored_ms);
        let mut keeper = Self {
            schedule: Schedule::new(config.clone(), posted_ms),
            checked: unanchored.is_none(),
            undeclared,
            anchored: 0,
            looked: (0, false),
            named: Vec::new(),
            board,
            on_chain,
            store,
            config,
            clock,
        };
        let undeclared = keeper.undeclared.len();
        keeper.tell(|status| (status.unanchored, status.undeclared) = (unanchored, undeclared));
        if let Some(anchor) = known {
            keeper.know(&anchor);
        }
        Ok(keeper)
    }

    /// Runs until `stop`. Without `poster` it only says that nobody posts.
    pub(crate) async fn run(mut self, poster: Option<Poster>, stop: CancellationToken) {
        // Whoever asks is told that nobody posts, instead of waiting.
        let mut wanted = poster.as_ref().map(|_| self.store.anchors_wanted());
        if poster.is_none() {
            self.tell(|status| {
                status.error = Some("no wallet pays for anchors: set chain.gas_keystore".to_owned());
            });
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
                () = asked(&mut wanted) => self.schedule.ask(),
            }
            if let Err(refused) = self.look(poster.as_ref()).await {
                tracing::error!("the store may not serve any longer: {refused}");
                self.tell(|status| status.error = Some(refused.to_string()));
                self.store.anchor_failed(&refused.to_string());
                self.store.stop(&refused.to_string());
                if let Some(poster) = &poster {
                    self.undeclared.declare_at_the_end(&self.on_chain, poster).await;
                }
                return;
            }
        }
    }

    /// One look; only what forbids to serve is an error.
    async fn look(&mut self, poster: Option<&Poster>) -> Result<(), MasterError> {
        if !self.checked {
            let Ok(anchor) = self.on_chain.read().await else { return Ok(()) };
            self.on_chain.compare(&self.store, &anchor).await?;
            tracing::warn!(
                "the chain answers again: the state that was served unanchored is the one it knows"
            );
            self.checked = true;
            self.tell(|status| status.unanchored = None);
            self.know(&anchor);
        }
        if let Some(poster) = poster
            && let Err(error) = self.declare(poster).await
        {
            tracing::warn!(
                "cannot declare on chain that the state was served unanchored, trying again: {error}"
            );
        }
        let now_ms = (self.clock)();
        let pending = self.pending();
        let due = self.schedule.due(now_ms, pending);
        self.account(now_ms, due);
        if matches!(due, Due::Unpaid(_)) && self.schedule.asked() {
            let max = self.config.max_mist_per_day;
            let spent = self.schedule.spent(now_ms);
            self.store.anchor_failed(&format!(
                "anchors cost {spent} MIST in the last 24 hours, and one more would be above the {max} that \
                 [master.anchor] max_mist_per_day allows"
            ));
        }
        let (Due::Now, Some(poster)) = (due, poster) else { return Ok(()) };
        let Some(standing) = poster.standing.borrow().clone() else {
            self.store.anchor_failed("the enclave is not registered on chain yet");
            return Ok(());
        };
        match self.post(poster, &standing).await {
            Ok(mist) => {
                self.schedule.posted((self.clock)(), pending, mist);
                self.tell(|status| status.error = None);
            }
            Err(refused @ MasterError::Refused(_)) => return Err(refused),
            Err(error) => {
                tracing::warn!("cannot anchor the state, trying again: {error}");
                self.store.anchor_failed(&error.to_string());
                self.schedule.failed((self.clock)(), 0);
                self.tell(|status| status.error = Some(error.to_string()));
            }
        }
        Ok(())
    }

    /// Says on chain, once for each start, that a state was served that had not been compared.
    async fn declare(&mut self, poster: &Poster) -> Result<(), MasterError> {
        let Some(revision) = self.undeclared.declare(&self.on_chain, poster).await? else { return Ok(()) };
        let left = self.undeclared.len();
        self.tell(|status| (status.declared_unanchored, status.undeclared) = (Some(revision), left));
        Ok(())
    }

    /// Posts the state as it is now; tells what that cost, in MIST.
    async fn post(&mut self, poster: &Poster, standing: &Standing) -> Result<u64, MasterError> {
        let (known, version) = self.on_chain.read_with_version().await?;
        if known.revision > u64::try_from(self.anchored).unwrap_or_default() {
            // Somebody anchored meanwhile: this master, before it could note the outcome, or one that runs on a copy.
            self.on_chain.compare(&self.store, &known).await?;
            self.know(&known);
        }
        let root = root_of(&self.store).await?;
        if root.point.revision <= self.anchored {
            self.store.anchored(self.anchored);
            return Ok(0);
        }
        let point = self.point(&root)?;
        let note = AnchorNote {
            cluster: self.on_chain.cluster.into_inner().to_vec(),
            revision: root.point.revision,
            state_root: point.state_root.clone(),
            log_hash: point.log_hash.clone(),
            confirmed: self.anchored,
            resumes_at: 0,
            confirmed_version: version,
        };
        let noted = self.store.note_anchor(note).await;
        noted.map_err(|error| MasterError::Ended(format!("the anchor cannot be noted: {error}")))?;

        let stated = poster.state(&self.on_chain.client, standing.enclave, point).await?;
        let draft = Calls::new(self.on_chain.package).record(known.id, standing.cluster.registry, &stated);
        let receipt = self.on_chain.client.execute(&poster.wallet, &draft).await?;

        let anchor = Anchor {
            revision: stated.statement.revision,
            state_root: stated.statement.state_root,
            log_hash: stated.statement.log_hash,
            blob: stated.statement.blob,
            anchored_ms: receipt.timestamp_ms.unwrap_or(stated.timestamp_ms),
            ..known
        };
        self.know(&anchor);
        tracing::info!(revision = anchor.revision, keys = root.keys, digest = %receipt.digest, "anchored the state");
        let gas = receipt.gas();
        let spent = gas.computation_cost.saturating_add(gas.storage_cost);
        Ok(spent.saturating_sub(gas.storage_rebate))
    }

    fn point(&self, root: &StateRoot) -> Result<Point, MasterError> {
        let revision = u64::try_from(root.point.revision)
            .map_err(|_| MasterError::Ended("the store's revision is negative".to_owned()))?;
        Ok(Point {
            cluster: self.on_chain.cluster,
            revision,
            state_root: root.root.to_vec(),
            log_hash: root.point.chain.to_vec(),
            blob: self.board.read().snapshot_blob,
            key_epoch: u64::from(self.store.status().key_epoch),
        })
    }

    /// What has changed since the last anchor; each change is looked at once. A snapshot that the chain does not name is a change that
    /// somebody waits for, but one revision is anchored once, so there has to be another change too.
    fn pending(&mut self) -> Pending {
        let revision = self.store.revision();
        if revision <= self.anchored || (revision <= EMPTY && !self.schedule.asked()) {
            return Pending::Nothing;
        }
        let snapshot = self.board.read().snapshot_blob;
        if !snapshot.is_empty() && snapshot != self.named {
            return Pending::Loud;
        }
        let (looked, loud) = self.looked;
        let from = looked.max(self.anchored);
        // Looked at up to before the anchor: what was loud then is anchored.
        let loud = loud && looked > self.anchored;
        let loud = loud || self.store.changes_after(from, &self.config.quiet, 1) > 0;
        self.looked = (revision, loud);
        if loud { Pending::Loud } else { Pending::Quiet }
    }

    /// Takes over what is on chain.
    fn know(&mut self, anchor: &Anchor) {
        self.anchored = i64::try_from(anchor.revision).unwrap_or(i64::MAX);
        self.looked = (self.anchored, false);
        self.named.clone_from(&anchor.blob);
        self.store.anchored(self.anchored);
        let (revision, anchored_ms) = (anchor.revision, anchor.anchored_ms);
        let state_root = hex::encode(&anchor.state_root);
        self.tell(|status| {
            (status.revision, status.anchored_ms, status.state_root) = (revision, anchored_ms, state_root);
        });
    }

    fn account(&mut self, now_ms: u64, due: Due) {
        let spent = self.schedule.spent(now_ms);
        let (window_ms, day_mist) = (self.schedule.window_ms(), self.schedule.day_mist());
        let max = self.config.max_mist_per_day;
        let idle_window_ms = self.config.idle_interval_ms.max(window_ms);
        self.tell(|status| {
            (status.spent_mist, status.day_mist, status.max_mist_per_day) = (spent, day_mist, max);
            (status.window_ms, status.idle_window_ms) = (window_ms, idle_window_ms);
            status.unpaid = matches!(due, Due::Unpaid(_));
        });
    }

    fn tell(&self, change: impl FnOnce(&mut AnchorStatus)) {
        self.board.update(|board| change(&mut board.anchor));
    }
}

async fn root_of(store: &Store) -> Result<StateRoot, MasterError> {
    let store = store.clone();
    let root = tokio::task::spawn_blocking(move || store.state_root()).await;
    root.map_err(|_| MasterError::Ended("the state's root could not be made".to_owned()))
}

async fn asked(wanted: &mut Option<watch::Receiver<u64>>) {
    if let Some(wanted) = wanted
        && wanted.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
