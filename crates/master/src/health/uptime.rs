use api::NodeState;
use serde::{Deserialize, Serialize};

/// An announced maintenance, milliseconds since the Unix epoch; the end does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When it begins.
    pub from_ms: u64,
    /// When it ends.
    pub to_ms: u64,
}

impl Window {
    pub(super) fn contains(self, at_ms: u64) -> bool {
        (self.from_ms..self.to_ms).contains(&at_ms)
    }

    /// How much of it lies between two times.
    fn within(self, from_ms: u64, to_ms: u64) -> u64 {
        self.to_ms.min(to_ms).saturating_sub(self.from_ms.max(from_ms))
    }
}

/// How the time of one epoch was spent, as far as the master looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Uptime {
    /// Since when the node is known in this epoch.
    pub(super) from_ms: u64,
    /// Ready.
    pub(super) up_ms: u64,
    /// Not ready, outside of announced maintenance.
    pub(super) down_ms: u64,
    /// Not ready within announced maintenance.
    pub(super) maintenance_ms: u64,
    accounted_ms: u64,
}

impl Uptime {
    pub(super) fn starting(now_ms: u64) -> Self {
        Self { from_ms: now_ms, up_ms: 0, down_ms: 0, maintenance_ms: 0, accounted_ms: now_ms }
    }

    /// The node was in `state` until `at_ms`.
    pub(super) fn account(&mut self, at_ms: u64, state: NodeState, window: Option<Window>) {
        let from_ms = self.accounted_ms;
        let passed = at_ms.saturating_sub(from_ms);
        self.accounted_ms = from_ms.max(at_ms);
        match state {
            NodeState::Ready => self.up_ms = self.up_ms.saturating_add(passed),
            // A node is judged from when it was ready first.
            NodeState::Pending | NodeState::Joining => {}
            _ => {
                let planned = window.map_or(0, |window| window.within(from_ms, from_ms.max(at_ms)));
                self.maintenance_ms = self.maintenance_ms.saturating_add(planned);
                self.down_ms = self.down_ms.saturating_add(passed.saturating_sub(planned));
            }
        }
    }

    /// What passed until `now_ms` is not accounted.
    pub(super) fn skip(&mut self, now_ms: u64) {
        self.accounted_ms = self.accounted_ms.max(now_ms);
    }

    /// Goes on at `now_ms`, after the master was away.
    pub(super) fn resume(&mut self, now_ms: u64) {
        self.accounted_ms = now_ms;
    }
}
