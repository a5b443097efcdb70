use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chain::{Calls, Unanchored};
use tee::SealingKey;
use tokio::time::{sleep, timeout};

use crate::anchor_check::OnChain;
use crate::anchor_poster::Poster;
use crate::error::MasterError;
use crate::outbox::Drawer;

/// How long a master that may not serve tries to say what it has served.
const LAST_WORD: Duration = Duration::from_secs(5);
/// Pause between these attempts.
const RETRY: Duration = Duration::from_millis(200);

/// Starts without a comparison with the chain that the chain has not been told of, in sealed files: one for each start,
/// written before anybody is served and removed when the chain has it. A crash in between declares one twice.
pub(crate) struct Undeclared {
    drawer: Drawer,
    /// By name, which begins with the time: the oldest first.
    waiting: BTreeMap<String, Unanchored>,
}

impl Undeclared {
    /// What earlier starts have left.
    pub(crate) fn open(dir: &Path, sealing: &SealingKey) -> Result<Self, MasterError> {
        let drawer = Drawer::open(dir, sealing)?;
        let mut waiting = BTreeMap::new();
        for name in drawer.keys()? {
            match read(&drawer, &name) {
                Ok(opened) => {
                    waiting.insert(name, opened);
                }
                // Nobody is kept from serving by it.
                Err(error) => tracing::error!("what was served unanchored is not readable: {error}"),
            }
        }
        Ok(Self { drawer, waiting })
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Keeps what will be declared; durable when this returns.
    pub(crate) fn note(&mut self, opened: Unanchored) -> Result<(), MasterError> {
        let content = bcs::to_bytes(&opened)
            .map_err(|error| MasterError::Ended(format!("a declaration has no BCS form: {error}")))?;
        let name = format!("{:020}-{}", opened.opened_ms, opened.revision);
        self.drawer.put(&name, &content)?;
        self.waiting.insert(name, opened);
        Ok(())
    }

    /// Declares the oldest one on chain and tells its revision; `None` when there is none, or nobody to speak yet.
    pub(crate) async fn declare(
        &mut self,
        on_chain: &OnChain,
        poster: &Poster,
    ) -> Result<Option<u64>, MasterError> {
        let standing = poster.standing.borrow().clone();
        let (Some((name, opened)), Some(standing)) = (self.waiting.first_key_value(), standing) else {
            return Ok(None);
        };
        let (name, revision) = (name.clone(), opened.revision);
        let stated = poster.state(&on_chain.client, standing.enclave, opened.clone()).await?;
        let cluster = &standing.cluster;
        let draft =
            Calls::new(on_chain.package).declare_unanchored(cluster.anchor, cluster.registry, &stated);
        let receipt = on_chain.client.execute(&poster.wallet, &draft).await?;
        tracing::warn!(
            digest = %receipt.digest,
            revision,
            "declared on chain that the state was served unanchored"
        );
        self.drawer.remove(&name)?;
        self.waiting.remove(&name);
        Ok(Some(revision))
    }

    /// Declares what it can in a few seconds: for who may not serve any longer.
    pub(crate) async fn declare_at_the_end(&mut self, on_chain: &OnChain, poster: &Poster) {
        let trying = async {
            while self.len() > 0 {
                match self.declare(on_chain, poster).await {
                    Ok(Some(_)) => {}
                    Ok(None) => sleep(RETRY).await,
                    Err(error) => {
                        tracing::debug!("cannot declare yet: {error}");
                        sleep(RETRY).await;
                    }
                }
            }
        };
        if timeout(LAST_WORD, trying).await.is_err() {
            tracing::error!(
                "it could not be declared on chain that the state was served unanchored: {} starts remain; start the \
                 master again on this directory to try again",
                self.len()
            );
        }
    }
}

fn read(drawer: &Drawer, name: &str) -> Result<Unanchored, MasterError> {
    let gone = || MasterError::Ended(format!("{name} is not there any longer"));
    let content = drawer.get(name)?.ok_or_else(gone)?;
    bcs::from_bytes(&content).map_err(|error| MasterError::Ended(format!("{name}: {error}")))
}
