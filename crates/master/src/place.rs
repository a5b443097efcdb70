use std::sync::Arc;
use std::time::Duration;

use chain::{Address, Calls, Client, Keypair, Place};
use tee::EnclaveKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::error::MasterError;
use crate::follow::Standing;
use crate::shared::Clock;

/// Pause after a post that failed.
const RETRY: Duration = Duration::from_secs(5);
/// Pause after a post that succeeded, for the event to come round.
const SETTLE: Duration = Duration::from_secs(2);

/// Keeps the cluster's place on chain (endpoints and CA hash) what it is, by a statement that the enclave's key
/// signs. Posts only when what is on chain differs.
pub(crate) struct PlaceKeeper {
    pub(crate) client: Client,
    pub(crate) package: Address,
    pub(crate) wallet: Keypair,
    pub(crate) key: Arc<EnclaveKey>,
    pub(crate) place: Place,
    pub(crate) clock: Clock,
    pub(crate) standing: watch::Receiver<Option<Standing>>,
}

impl PlaceKeeper {
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let standing = self.standing.borrow_and_update().clone();
            let pause = match standing {
                Some(standing) if !self.is_posted(&standing) => Some(self.post(&standing).await),
                _ => None,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.standing.changed() => if changed.is_err() {
                    return;
                },
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
            }
        }
    }

    fn is_posted(&self, standing: &Standing) -> bool {
        let cluster = &standing.cluster;
        cluster.enclave == Some(standing.enclave)
            && cluster.gateway == self.place.gateway
            && cluster.apiserver == self.place.apiserver
            && cluster.ca_hash == self.place.ca_hash
    }

    async fn post(&self, standing: &Standing) -> Duration {
        match self.try_post(standing).await {
            Ok(()) => {
                tracing::info!(gateway = self.place.gateway, "put the cluster's place on chain");
                SETTLE
            }
            Err(error) => {
                tracing::warn!("cannot put the cluster's place on chain, trying again: {error}");
                RETRY
            }
        }
    }

    async fn try_post(&self, standing: &Standing) -> Result<(), MasterError> {
        let timestamp_ms = (self.clock)();
        let payload = self.place.payload(standing.enclave)?;
        let signature = self.key.sign(chain::INTENT_ENDPOINT, timestamp_ms, &payload);
        let registry = standing.cluster.registry;
        let draft = Calls::new(self.package).set_place(
            registry,
            standing.enclave,
            &self.place,
            timestamp_ms,
            &signature,
        );
        self.client.execute(&self.wallet, &draft).await?;
        Ok(())
    }
}
