use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chain::{
    Address, Advance, Applied, Checkpoint, Client, Cursor, Error, Follower, Index, Measurement, Reachability,
    State,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::attestations::policy_for_workers;
use crate::facts;
use crate::health::Window;
use crate::outbox::Addressee;
use crate::right::Right;
use crate::shared::Shared;

/// Pause after the chain could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// How often the time of the last contact is looked at.
const PULSE: Duration = Duration::from_millis(250);

/// What the chain says about this enclave, for whoever posts the endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) cluster: chain::Cluster,
    pub(crate) enclave: Address,
}

/// Reads the cluster's history and goes on with each checkpoint: keeps the membership as fresh as the chain.
pub(crate) struct Follow {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: Client,
    pub(crate) package: Address,
    pub(crate) cluster: Address,
    pub(crate) since_checkpoint: u64,
    pub(crate) standing: watch::Sender<Option<Standing>>,
    /// Whom the master's statements are for, while it is in standing.
    pub(crate) addressee: watch::Sender<Option<Addressee>>,
}

impl Follow {
    /// Runs until `stop`. The chain's absence is a state, not an end: it is tried again for ever.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let forever = async {
            loop {
                let why = match self.read().await {
                    Ok((state, cursor)) => self.follow(state, cursor).await,
                    Err(error) => error.to_string(),
                };
                self.unreachable(why);
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = forever => {}
        }
    }

    /// The whole history so far.
    async fn read(&self) -> Result<(State, Cursor), Error> {
        let info = self.client.service_info().await?;
        let devnet = info.is_devnet();
        let start = Cursor { chain_id: info.chain_id.clone(), next: self.since_checkpoint };
        let mut index = Index::new(self.package, self.cluster, start);
        if let Advance::Rebuilt { unseen: Some((from, to)) } = index.advance(&self.client).await? {
            tracing::warn!(
                from,
                to,
                "the endpoint has dropped these checkpoints: users, grants and escrows that were made there and not \
                 touched since are unknown; an archive endpoint has them"
            );
        }
        let Index { state, cursor, .. } = index;
        if state.cluster.is_none() {
            let id = format!("{} of package {}", self.cluster, self.package);
            return Err(Error::NotFound { what: "cluster", id });
        }
        self.shared.board.update(|board| {
            board.chain.chain_id = info.chain_id;
            board.chain.devnet = devnet;
        });
        tracing::info!(
            checkpoint = cursor.next,
            stakes = state.stakes.len(),
            tokens = state.tokens.len(),
            grants = state.grants.len(),
            "read the cluster's history from the chain"
        );
        Ok((state, cursor))
    }

    /// Checkpoint by checkpoint, until following ends; gives the reason.
    async fn follow(&self, mut state: State, cursor: Cursor) -> String {
        let mut next = cursor.next;
        {
            let mut membership = self.shared.membership.write();
            membership.reload(facts::all(&state));
            membership.chain_contact(self.shared.now_ms());
        }
        self.contact(self.shared.now_ms(), next);
        self.shared.note_shards(state.money.shards.values());
        self.announce(&state);
        let mut follower: Follower = self.client.follow(self.package, cursor);
        let reachability = follower.reachability();
        let mut pulse = tokio::time::interval(PULSE);
        loop {
            tokio::select! {
                checkpoint = follower.next() => match checkpoint {
                    Ok(checkpoint) => {
                        next = checkpoint.sequence.saturating_add(1);
                        self.apply(&mut state, &checkpoint);
                    }
                    Err(error) => return error.to_string(),
                },
                // A contact that is no news wakes nobody, so it is looked for.
                // A registration also ends by time alone.
                _ = pulse.tick() => self.announce(&state),
            }
            let now = reachability.borrow().clone();
            self.reached(&now, next);
        }
    }

    fn apply(&self, state: &mut State, checkpoint: &Checkpoint) {
        let mut changed = false;
        for at in &checkpoint.events {
            match state.apply(&at.event) {
                Applied::Changed => {
                    changed = true;
                    if let chain::Event::MaintenanceAnnounced(announced) = &at.event {
                        let window = Window { from_ms: announced.from_ms, to_ms: announced.to_ms };
                        self.shared.health.lock().maintenance(facts::id(announced.stake), window);
                    }
                    let mut membership = self.shared.membership.write();
                    facts::of(state, &at.event).into_iter().for_each(|fact| membership.apply(fact));
                }
                Applied::Ignored => {}
                Applied::Unexpected(why) => {
                    tracing::error!(checkpoint = checkpoint.sequence, "an event does not fit: {why}");
                }
            }
        }
        let now_ms = self.shared.now_ms();
        let lag = now_ms.saturating_sub(checkpoint.timestamp_ms);
        self.shared.metrics.chain_lag.set(i64::try_from(lag).unwrap_or(i64::MAX));
        if changed {
            tracing::info!(
                checkpoint = checkpoint.sequence,
                events = checkpoint.events.len(),
                "the chain has changed"
            );
            self.shared.changed.notify_one();
            self.shared.note_shards(state.money.shards.values());
            self.announce(state);
        }
    }

    /// Notes the last contact; it counts for the membership only when everything up to it was worked off.
    fn reached(&self, now: &Reachability, next: u64) {
        if !now.reachable {
            let error = now.error.clone();
            self.shared.board.update(|board| {
                board.chain.reachable = false;
                board.chain.error = error;
            });
            return;
        }
        if now.height.is_none_or(|height| next > height)
            && let Some(at) = now.last_contact
        {
            self.contact(milliseconds(at), next);
        }
    }

    fn contact(&self, at_ms: u64, next: u64) {
        self.shared.membership.write().chain_contact(at_ms);
        let checkpoint = next.saturating_sub(1);
        self.shared.metrics.chain_checkpoint.set(checkpoint);
        self.shared.board.update(|board| {
            board.chain.reachable = true;
            board.chain.error = None;
            board.chain.checkpoint = checkpoint;
            board.chain.last_contact_ms = board.chain.last_contact_ms.max(at_ms);
        });
    }

    fn unreachable(&self, why: String) {
        let known = self.shared.board.read().chain.error;
        if known.as_ref() != Some(&why) {
            tracing::warn!("the chain cannot be followed, trying again: {why}");
        }
        self.shared.board.update(|board| {
            board.chain.reachable = false;
            board.chain.error = Some(why);
        });
    }

    /// Holds nodes to what the chain says now of the code that they may run.
    fn decree(&self, state: &State, now_ms: u64) {
        let workers = &self.shared.workers;
        let registry = state.registry.as_ref();
        let policy = registry.and_then(|registry| policy_for_workers(workers.file.as_ref(), registry));
        let out = workers.book.lock().decree(policy, now_ms);
        for node in &out {
            tracing::warn!(node, "the node's code is not allowed any more, it counts as not attested");
        }
        if !out.is_empty() {
            self.shared.changed.notify_one();
        }
    }

    /// Finds this enclave on chain by its key. One key may be registered with several measurements, when builds or settings change: the
    /// registration to speak by is that of the code that runs, since workers hold the master to the one that the cluster names.
    fn announce(&self, state: &State) {
        let now_ms = self.shared.now_ms();
        self.decree(state, now_ms);
        let key = self.shared.facts.public_key;
        let platform = &self.shared.platform;
        let running = Measurement::new(platform.kind().as_str(), &platform.measurement());
        let ours = state
            .enclaves
            .values()
            .filter(|enclave| enclave.public_key == key && state.enclave_in_standing(&enclave.id, now_ms))
            .max_by_key(|enclave| (enclave.measurement == running, enclave.expires_ms));
        let right = Right::of(state, &key, now_ms);
        if let (Some(reason), true) = (right.lost(), self.shared.board.read().right != right) {
            tracing::error!(
                "nothing is signed any more, neither statements nor certificates of nodes: {reason}"
            );
        }
        self.shared.board.update(|board| {
            board.enclave = ours.map(|enclave| facts::id(enclave.id));
            board.registered_until_ms = ours.map_or(0, |enclave| enclave.expires_ms);
            board.right = right;
        });
        let standing = match (ours, &state.cluster) {
            (Some(enclave), Some(cluster)) => {
                Some(Standing { cluster: cluster.clone(), enclave: enclave.id })
            }
            _ => None,
        };
        let addressee = match (&standing, &state.money.economics) {
            (Some(Standing { cluster, enclave }), Some(economics)) => {
                Some(Addressee { cluster: cluster.clone(), enclave: *enclave, economics: economics.clone() })
            }
            _ => None,
        };
        self.addressee.send_if_modified(|known| {
            let news = *known != addressee;
            *known = addressee;
            news
        });
        self.standing.send_if_modified(|known| {
            let news = *known != standing;
            *known = standing;
            news
        });
    }
}

fn milliseconds(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
