use std::sync::Arc;

use tee::{Evidence, Platform, TeeError};

use crate::shared::Clock;
use crate::turns::{TurnError, Turns};

/// Threads that attest. Hardware does it one after the other anyhow; the second prepares meanwhile.
const AT_ONCE: usize = 2;

/// Fresh evidence for whoever asks, each for its own report data, made by few threads.
pub(crate) struct Attester {
    platform: Arc<dyn Platform>,
    clock: Clock,
    turns: Turns,
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttestError {
    /// Too many wait already, or the thread ended.
    #[error(transparent)]
    Turn(#[from] TurnError),
    /// The platform gave none.
    #[error("the platform gave no evidence")]
    Platform(#[source] TeeError),
}

impl Attester {
    pub(crate) fn new(platform: Arc<dyn Platform>, clock: Clock) -> Self {
        Self { platform, clock, turns: Turns::new(AT_ONCE) }
    }

    /// Evidence over `report_data`, made after this call.
    pub(crate) async fn attest(&self, report_data: [u8; 64]) -> Result<Evidence, AttestError> {
        let (platform, clock) = (self.platform.clone(), self.clock.clone());
        let made = self.turns.take(move || platform.attest(&report_data, clock())).await?;
        made.map_err(AttestError::Platform)
    }
}
