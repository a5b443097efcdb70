use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};
use tokio::sync::{Notify, watch};

use crate::Config;
use crate::anchoring::Anchoring;
use crate::lease_clock::LeaseClock;
use crate::log::{Directory, Identity, Inventory};
use crate::metrics::Metrics;
use crate::mvcc::{Change, State};
use crate::queue::Queue;
use crate::root::Following;
use crate::seal::Position;
use crate::watch::Hub;

/// What the parts of an open store share.
///
/// Locks are taken in this order: `hub`, `root`, `state`, the rest; the committer never holds `state` while it takes `hub`.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) directory: Arc<Directory>,
    pub(crate) identity: Identity,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) state: RwLock<State>,
    pub(crate) hub: Mutex<Hub<Arc<Notify>>>,
    pub(crate) leases: Mutex<LeaseClock>,
    pub(crate) queue: Queue,
    /// Whether the disk has no room for another segment of the log; what adds is refused then.
    pub(crate) disk_full: AtomicBool,
    /// The last durable frame and the revision after it.
    pub(crate) durable: Mutex<(Position, i64)>,
    /// The state's Merkle tree.
    pub(crate) root: Mutex<Following>,
    /// Who posts anchors and who asks for them.
    pub(crate) archiving: crate::archiving::Archiving,
    pub(crate) anchoring: Anchoring,
    /// Compact revision up to which history is removed.
    pub(crate) scrubbed: watch::Sender<i64>,
    /// Why the store stopped, once it has.
    pub(crate) failure: watch::Sender<Option<String>>,
    pub(crate) keeper: Keeper,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) started: Instant,
}

/// How others reach the housekeeping thread.
#[derive(Default)]
pub(crate) struct Keeper {
    pub(crate) closing: AtomicBool,
    pub(crate) snapshots: Mutex<Vec<tokio::sync::oneshot::Sender<Result<(), String>>>>,
    pub(crate) woken: Mutex<bool>,
    pub(crate) wake: Condvar,
}

impl Keeper {
    pub(crate) fn wake(&self) {
        *self.woken.lock() = true;
        self.wake.notify_one();
    }
}

impl Shared {
    /// Milliseconds since the store was opened; only moves on.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// etcd's ids of cluster and member, made from the store's own.
    pub(crate) fn ids(&self) -> (u64, u64) {
        let id = u128::from_be_bytes(self.identity.store_id);
        // Truncation is meant: each half names something.
        ((id >> 64) as u64 | 1, id as u64 | 1)
    }

    /// Makes applied changes known to watches.
    pub(crate) fn publish(&self, changes: &[Change]) {
        #[cfg(feature = "fault-injection")]
        let changes = crate::fault::changes(changes);
        let mut wake = Vec::new();
        self.hub.lock().publish(changes, &mut wake);
        wake.iter().for_each(|reader| reader.notify_one());
    }

    /// Stops acknowledging, for good.
    pub(crate) fn fail(&self, reason: &str) {
        tracing::error!(reason, "the store stops: nothing more is acknowledged");
        self.queue.fail(&crate::EtcdError::Failed(reason.to_owned()));
        self.failure.send_replace(Some(reason.to_owned()));
        self.keeper.wake();
    }
}
