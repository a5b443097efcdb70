//! Where the one who takes copies of the store elsewhere and those who want one taken meet.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::{EtcdError, Store};

/// How long somebody who asked for a copy waits for it.
const PATIENCE: Duration = Duration::from_secs(600);

/// Who takes copies and who asks for them.
pub(crate) struct Archiving {
    /// How often one was asked for.
    wanted: watch::Sender<u64>,
    /// How many attempts there were, and what became of the last: a name, or why not.
    outcome: watch::Sender<(u64, Result<String, String>)>,
}

impl Default for Archiving {
    fn default() -> Self {
        Self { wanted: watch::Sender::new(0), outcome: watch::Sender::new((0, Err(String::new()))) }
    }
}

impl Store {
    /// Changes whenever somebody asks for a copy elsewhere. Whoever holds one is expected to take it.
    pub fn copies_wanted(&self) -> watch::Receiver<u64> {
        self.shared().archiving.wanted.subscribe()
    }

    /// Tells those who wait what became of a copy: its name, or why there is none.
    pub fn copied(&self, outcome: Result<String, String>) {
        self.shared().archiving.outcome.send_modify(|(attempts, last)| {
            *attempts += 1;
            *last = outcome;
        });
    }

    /// A copy elsewhere has every change up to `copied`: history up to there may go when it is compacted, later changes stay until
    /// the next call, within [`Config::held_history_bytes`](crate::Config::held_history_bytes). Does nothing without that.
    pub fn hold_history(&self, copied: i64) {
        let shared = self.shared();
        if shared.config.held_history_bytes > 0 {
            shared.state.write().hold_after(copied);
            shared.keeper.wake();
        }
    }

    /// Bytes of compacted history that are in memory only because no copy has them.
    pub fn held_history(&self) -> u64 {
        self.shared().state.read().held_bytes()
    }

    /// Asks whoever takes copies to take one, and waits for it; gives its name.
    ///
    /// # Errors
    /// Nobody takes copies of this store, or it failed.
    pub async fn request_copy(&self) -> Result<String, EtcdError> {
        let archiving = &self.shared().archiving;
        let mut outcome = archiving.outcome.subscribe();
        let attempts = outcome.borrow_and_update().0;
        if archiving.wanted.receiver_count() == 0 {
            return Err(EtcdError::Unsupported(
                "nobody takes snapshots of this store: configure [master.snapshots], or use etcdctl snapshot save",
            ));
        }
        archiving.wanted.send_modify(|wanted| *wanted += 1);
        match timeout(PATIENCE, outcome.wait_for(|(now, _)| *now > attempts)).await {
            Ok(Ok(told)) => told.1.clone().map_err(EtcdError::Failed),
            _ => {
                Err(EtcdError::Failed("no snapshot within ten minutes; the master's log says why".to_owned()))
            }
        }
    }
}
