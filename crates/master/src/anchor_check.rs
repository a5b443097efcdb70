use std::time::Duration;

use archive::{AnchorConfig, Local, admit};
use chain::{Address, Anchor, Client, Cluster};
use store::Store;
use tokio::time::{Instant, sleep, timeout};

use crate::error::MasterError;

/// Pause between attempts to reach the chain.
const RETRY: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(10);

/// What became of the comparison with the chain.
pub(crate) enum Checked {
    /// The store is the state that the chain knows, or what came after it.
    Admitted(Anchor),
    /// The chain was not reached, and the operator said to serve all the same.
    Unanchored(String),
}

/// The cluster's anchor on chain.
pub(crate) struct OnChain {
    pub(crate) client: Client,
    pub(crate) package: Address,
    pub(crate) cluster: Address,
}

impl OnChain {
    /// Compares an opened store with the chain, before anybody is served from it.
    ///
    /// # Errors
    /// [`MasterError::Refused`] when it is an older or another state; [`MasterError::Unanchored`] when the chain does not
    /// answer.
    pub(crate) async fn check(&self, store: &Store, config: &AnchorConfig) -> Result<Checked, MasterError> {
        let end = Instant::now() + Duration::from_millis(config.patience_ms);
        let why = loop {
            let why = match timeout(ATTEMPT, self.read()).await {
                Ok(Ok(anchor)) => {
                    self.compare(store, &anchor).await?;
                    return Ok(Checked::Admitted(anchor));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if Instant::now() >= end {
                break why;
            }
            sleep(RETRY).await;
        };
        let url = self.client.url();
        if !config.accept_unanchored {
            return Err(MasterError::Unanchored { url: url.to_owned(), why });
        }
        tracing::error!(
            url,
            "SERVING UNANCHORED: the chain does not say whether this is the latest state ({why}), and \
             --accept-unanchored says to serve all the same; an old copy would not be noticed"
        );
        Ok(Checked::Unanchored(why))
    }

    /// The anchor as it is now.
    pub(crate) async fn read(&self) -> Result<Anchor, chain::Error> {
        Ok(self.read_with_version().await?.0)
    }

    /// The anchor as it is now, and its object's version.
    pub(crate) async fn read_with_version(&self) -> Result<(Anchor, u64), chain::Error> {
        let cluster: Cluster = self.client.read(self.package, self.cluster).await?;
        self.client.read_with_version(self.package, cluster.anchor).await
    }

    /// Whether the store is what the anchor says.
    pub(crate) async fn compare(&self, store: &Store, anchor: &Anchor) -> Result<(), MasterError> {
        let known = i64::try_from(anchor.revision).unwrap_or(i64::MAX);
        let at = store.clone();
        // Compacted or not there yet: then the note in the log decides.
        let root_then = tokio::task::spawn_blocking(move || at.state_root_at(known).ok());
        let root_then = root_then.await.unwrap_or_default().filter(|_| known > 0);
        let status = store.status();
        let local = Local {
            revision: status.revision,
            root_then,
            key_epoch: status.key_epoch,
            notes: store.anchor_notes(),
        };
        let admitted = admit(self.cluster, anchor, &local)?;
        tracing::info!(
            anchored = admitted.anchored,
            unprotected = admitted.unprotected,
            root_compared = admitted.root_compared,
            "the state is the one that the chain knows"
        );
        Ok(())
    }
}
