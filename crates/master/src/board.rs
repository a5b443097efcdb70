use api::{AnchorStatus, ChainStatus};
use parking_lot::RwLock;

use crate::Id;
use crate::right::Right;

/// What the parts of the master tell each other about themselves, for status and readiness.
#[derive(Debug)]
pub(crate) struct Board {
    state: RwLock<BoardState>,
}

#[derive(Clone, Debug)]
pub(crate) struct BoardState {
    pub(crate) chain: ChainStatus,
    pub(crate) apiserver_ready: bool,
    pub(crate) reconciled: bool,
    pub(crate) store_revision: i64,
    pub(crate) anchor: AnchorStatus,
    /// Id of the latest snapshot on cold storage; empty while there is none.
    pub(crate) snapshot_blob: Vec<u8>,
    pub(crate) enclave: Option<Id>,
    /// Whether that enclave may speak for the cluster.
    pub(crate) right: Right,
    /// When its registration ends, milliseconds since the Unix epoch; zero without one.
    pub(crate) registered_until_ms: u64,
}

impl Board {
    pub(crate) fn new(chain_url: String) -> Self {
        let chain = ChainStatus {
            url: chain_url,
            chain_id: String::new(),
            devnet: false,
            reachable: false,
            checkpoint: 0,
            last_contact_ms: 0,
            error: None,
        };
        let state = BoardState {
            chain,
            apiserver_ready: false,
            reconciled: false,
            store_revision: 0,
            anchor: AnchorStatus::default(),
            snapshot_blob: Vec::new(),
            enclave: None,
            right: Right::Unknown,
            registered_until_ms: 0,
        };
        Self { state: RwLock::new(state) }
    }

    pub(crate) fn read(&self) -> BoardState {
        self.state.read().clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut BoardState)) {
        change(&mut self.state.write());
    }
}
