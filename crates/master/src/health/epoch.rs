use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::node::{Node, SavedNode};
use super::uptime::Uptime;
use super::{Health, HealthLimits, Transition, Window};
use crate::Id;

/// The running epoch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Epoch {
    /// When it began; none before the first tick.
    from_ms: Option<u64>,
    /// Time in which the master did not look.
    unobserved_ms: u64,
    /// Nodes that have left in it.
    left: BTreeMap<String, NodeEpoch>,
}

/// Nodes that left in one epoch and are remembered for its shares.
const MAX_LEFT: usize = 65_536;

impl Epoch {
    pub(super) fn pass(&mut self, now_ms: u64, unobserved_ms: u64) {
        self.from_ms.get_or_insert(now_ms);
        self.unobserved_ms = self.unobserved_ms.saturating_add(unobserved_ms);
    }

    pub(super) fn left(&mut self, name: &str, node: &Node) {
        if self.left.len() < MAX_LEFT {
            self.left.insert(format!("{name}/{}", node.token), NodeEpoch::of(name, node));
        }
    }
}

/// How one node spent an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeEpoch {
    /// Its name.
    pub name: String,
    /// Its seal token.
    pub token: Id,
    /// Its stake.
    pub stake: Id,
    /// Since when it was known in the epoch.
    pub from_ms: u64,
    /// How long it was ready.
    pub up_ms: u64,
    /// How long it was not, outside of announced maintenance.
    pub down_ms: u64,
    /// How long it was not, within announced maintenance.
    pub maintenance_ms: u64,
    /// Its changes of state, the latest 64.
    pub transitions: Vec<Transition>,
}

impl NodeEpoch {
    fn of(name: &str, node: &Node) -> Self {
        let Uptime { from_ms, up_ms, down_ms, maintenance_ms, .. } = node.uptime;
        Self {
            name: name.to_owned(),
            token: node.token,
            stake: node.stake,
            from_ms,
            up_ms,
            down_ms,
            maintenance_ms,
            transitions: node.transitions.iter().cloned().collect(),
        }
    }

    /// For how much of the epoch it counts as up when downtime is judged: whatever was not seen to be a fault.
    /// Announced maintenance is forgiven up to `max_maintenance_ms`.
    pub fn judged_up_ms(&self, from_ms: u64, to_ms: u64, max_maintenance_ms: u64) -> u64 {
        let unforgiven = self.maintenance_ms.saturating_sub(max_maintenance_ms);
        to_ms.saturating_sub(from_ms).saturating_sub(self.down_ms.saturating_add(unforgiven))
    }
}

/// An epoch that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EpochReport {
    /// When it began.
    pub from_ms: u64,
    /// When it ended.
    pub to_ms: u64,
    /// How much of it the master did not see.
    pub unobserved_ms: u64,
    /// Its nodes, those that left in it too.
    pub nodes: Vec<NodeEpoch>,
}

/// What of [`Health`] outlives the master.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Saved {
    epoch: Epoch,
    last_ms: Option<u64>,
    windows: BTreeMap<Id, Window>,
    nodes: BTreeMap<String, SavedNode>,
}

impl Health {
    /// Ends the running epoch when it is at least `length_ms` long and begins the next one.
    pub fn close_epoch(&mut self, length_ms: u64) -> Option<EpochReport> {
        let (from_ms, to_ms) = (self.epoch.from_ms?, self.last_ms?);
        if to_ms.saturating_sub(from_ms) < length_ms.max(1) {
            return None;
        }
        let ended = std::mem::take(&mut self.epoch);
        self.epoch.from_ms = Some(to_ms);
        let mut nodes: Vec<NodeEpoch> = ended.left.into_values().collect();
        nodes.extend(self.nodes.iter().map(|(name, node)| NodeEpoch::of(name, node)));
        for node in self.nodes.values_mut() {
            node.uptime = Uptime::starting(to_ms);
            node.transitions.clear();
        }
        Some(EpochReport { from_ms, to_ms, unobserved_ms: ended.unobserved_ms, nodes })
    }

    /// What has to be on disk for a later [`Health::restore`].
    pub fn save(&self) -> Saved {
        Saved {
            epoch: self.epoch.clone(),
            last_ms: self.last_ms,
            windows: self.windows.clone(),
            nodes: self.nodes.iter().map(|(name, node)| (name.clone(), node.save())).collect(),
        }
    }

    /// Goes on where an earlier master stopped. The time between counts as not observed.
    pub fn restore(limits: HealthLimits, saved: Saved, now_ms: u64) -> Self {
        let mut health = Self::new(limits);
        let Saved { epoch, last_ms, windows, nodes } = saved;
        health.epoch = epoch;
        health.windows = windows;
        if let Some(last_ms) = last_ms {
            let now_ms = now_ms.max(last_ms);
            health.epoch.pass(now_ms, now_ms - last_ms);
            health.last_ms = Some(now_ms);
        }
        health.nodes = nodes
            .into_iter()
            .map(|(name, node)| (name, Node::restored(node, &limits, now_ms.max(last_ms.unwrap_or(0)))))
            .collect();
        health
    }
}
