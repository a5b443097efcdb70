//! Which node is alive, and how much of the time: from joins, heartbeats, what Kubernetes sees, maintenance
//! that was announced on chain, and a clock that is passed in.
//!
//! ```text
//!            certificates         good sign          silence            silence             stays down
//!  Pending ───────────▶ Joining ───────────▶ Ready ──────────▶ Suspect ──────────▶ Down ──────────▶ Evicted
//!                          └─ never ready ───────────────────────────────▶ Down       │               │
//!                                            Ready ◀── good signs for ready_after_ms ─┴───────────────┘
//! ```
//!
//! Suspect has no consequence. Down moves the pods that Kubernetes may run twice, Evicted gives up the rest too.
//! The same machine counts how long each node was ready in an epoch and gives what follows from it: shares of
//! rewards, and evidence of downtime. Time in which the master itself was not there is held against nobody.

mod beat;
mod epoch;
mod limits;
mod node;
#[cfg(test)]
mod simulation;
mod statements;
#[cfg(test)]
mod tests;
mod uptime;

use std::collections::BTreeMap;

use api::{NodeMetrics, NodeState};
use serde::{Deserialize, Serialize};

pub use beat::{BeatError, Contradiction, LastBeat, Sender, Verified};
pub use epoch::{EpochReport, NodeEpoch, Saved};
pub use limits::HealthLimits;
use node::Node;
pub use uptime::Window;

use crate::Id;

/// What Kubernetes sees of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KubernetesView {
    /// Its condition Ready is true.
    Ready,
    /// It is not, or not known.
    NotReady,
    /// There is no Node of this name.
    Absent,
}

impl KubernetesView {
    fn complaint(self) -> Option<&'static str> {
        match self {
            Self::Ready => None,
            Self::NotReady => Some("Kubernetes does not see the node ready"),
            Self::Absent => Some("Kubernetes has no Node of this name"),
        }
    }
}

/// A change of state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// When.
    pub at_ms: u64,
    /// From which state.
    pub from: NodeState,
    /// To which.
    pub to: NodeState,
    /// Why.
    pub reason: String,
}

/// What Kubernetes should do about a node because of its health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Care {
    /// Keep new pods off it and move those that are there, as their budgets allow.
    pub drain: bool,
    /// It is down: what may run twice is started elsewhere.
    pub down: bool,
    /// It is given up: everything is started elsewhere.
    pub evicted: bool,
}

/// Where each node is in its life.
///
/// Knows only nodes that came with a live token, and forgets removed ones after a while, so its size follows
/// the membership's.
#[derive(Clone, Debug)]
pub struct Health {
    limits: HealthLimits,
    nodes: BTreeMap<String, Node>,
    /// Names whose token is gone, with the time.
    removed: BTreeMap<String, (Id, u64)>,
    /// Announced maintenance by stake.
    windows: BTreeMap<Id, Window>,
    contradictions: Vec<Contradiction>,
    epoch: epoch::Epoch,
    last_ms: Option<u64>,
}

/// A longer pause between two ticks means that the master was not looking.
const MAX_TICK_GAP_MS: u64 = 5_000;
/// Contradictions that wait to be taken.
const MAX_CONTRADICTIONS: usize = 1_000;

impl Health {
    /// Removed nodes that are listed at most.
    pub const MAX_REMOVED: usize = 1_000;

    /// No nodes yet.
    pub fn new(limits: HealthLimits) -> Self {
        Self {
            limits,
            nodes: BTreeMap::new(),
            removed: BTreeMap::new(),
            windows: BTreeMap::new(),
            contradictions: Vec::new(),
            epoch: epoch::Epoch::default(),
            last_ms: None,
        }
    }

    /// What nodes are held to.
    pub fn limits(&self) -> HealthLimits {
        self.limits
    }

    /// The node got its certificates.
    pub fn joined(&mut self, sender: Sender<'_>, now_ms: u64) {
        let limits = self.limits;
        self.entry(sender, now_ms).joined(&limits, now_ms);
    }

    /// Whether the node may send one more heartbeat now: asked before its body is worth reading.
    ///
    /// # Errors
    /// [`BeatError::Flooding`].
    pub fn admit(&mut self, sender: Sender<'_>, now_ms: u64) -> Result<(), BeatError> {
        if self.entry(sender, now_ms).admit(now_ms) { Ok(()) } else { Err(BeatError::Flooding) }
    }

    /// A heartbeat whose credential and signature were found good. Returns milliseconds until the next one is
    /// expected.
    ///
    /// # Errors
    /// [`BeatError`] when it does not count; the node's state is then as before. What it proves is kept for
    /// [`Health::take_contradictions`].
    pub fn beat(&mut self, sender: Sender<'_>, said: &Verified<'_>, now_ms: u64) -> Result<u64, BeatError> {
        let off_ms = said.beat.timestamp_ms.abs_diff(now_ms);
        if off_ms > self.limits.max_clock_skew_ms {
            return Err(BeatError::ClockSkew { off_ms });
        }
        let (limits, window) = (self.limits, self.windows.get(&sender.stake).copied());
        match self.entry(sender, now_ms).beat(&limits, window, sender, said, now_ms) {
            Ok(()) => Ok(limits.interval_ms),
            Err(refused) => {
                if self.contradictions.len() < MAX_CONTRADICTIONS {
                    self.contradictions.extend(refused.contradiction.map(|found| *found));
                }
                Err(refused.error)
            }
        }
    }

    /// What Kubernetes sees of every node: `view` is asked for each.
    pub fn kubernetes(&mut self, view: impl Fn(&str) -> KubernetesView, now_ms: u64) {
        for (name, node) in &mut self.nodes {
            node.seen(view(name), now_ms);
        }
    }

    /// What Kubernetes sees of one node.
    pub fn kubernetes_node(&mut self, name: &str, view: KubernetesView, now_ms: u64) {
        if let Some(node) = self.nodes.get_mut(name) {
            node.seen(view, now_ms);
        }
    }

    /// The staker announced maintenance; a later announcement replaces one that is over or did not begin.
    pub fn maintenance(&mut self, stake: Id, window: Window) {
        if window.from_ms < window.to_ms {
            self.windows.insert(stake, window);
        }
    }

    /// Lets time pass: states change, and a node whose token `is_live` denies is removed.
    pub fn tick(&mut self, is_live: impl Fn(&str, Id) -> bool, now_ms: u64) {
        let last_ms = self.last_ms.unwrap_or(now_ms);
        // A clock that was set back does not take time back.
        let now_ms = now_ms.max(last_ms);
        self.last_ms = Some(now_ms);
        let gap_ms = now_ms - last_ms;
        self.epoch.pass(now_ms, if gap_ms > MAX_TICK_GAP_MS { gap_ms } else { 0 });
        let mut gone = Vec::new();
        for (name, node) in &mut self.nodes {
            if !is_live(name, node.token) {
                gone.push(name.clone());
                continue;
            }
            if gap_ms > MAX_TICK_GAP_MS {
                node.forgive(gap_ms, now_ms);
            }
            node.advance(&self.limits, self.windows.get(&node.stake).copied(), now_ms);
        }
        for name in gone {
            if let Some(node) = self.nodes.remove(&name) {
                self.epoch.left(&name, &node);
                self.removed.insert(name, (node.token, now_ms));
            }
        }
        self.windows.retain(|_, window| now_ms < window.to_ms.saturating_add(MAX_WINDOW_AGE_MS));
        self.forget_removed(now_ms);
    }

    /// Where node `name` is, if its live token is `token`.
    pub fn state(&self, name: &str, token: Id) -> NodeState {
        if self.removed.get(name).is_some_and(|(gone, _)| *gone == token) {
            return NodeState::Removed;
        }
        self.node(name, token).map_or(NodeState::Pending, |node| node.state)
    }

    /// Since when it is there, and what is wrong if something is.
    pub fn detail(&self, name: &str, token: Id, now_ms: u64) -> Option<(u64, Option<String>)> {
        let node = self.node(name, token)?;
        let complaint = node.complaint(now_ms).or_else(|| {
            let silent = !matches!(node.state, NodeState::Ready | NodeState::Pending | NodeState::Joining);
            silent.then(|| node.transitions.back().map(|last| last.reason.clone()))?
        });
        Some((node.since_ms, complaint))
    }

    /// Nodes that were removed lately, with the token that they had.
    pub fn removed(&self) -> impl Iterator<Item = (&str, Id)> {
        self.removed.iter().map(|(name, (token, _))| (name.as_str(), *token))
    }

    /// When the last heartbeat of `name` came (master's clock), and what it said of the machine.
    pub fn last_beat(&self, name: &str, token: Id) -> Option<(u64, NodeMetrics)> {
        let beat = self.node(name, token)?.beat.as_ref()?;
        Some((beat.received_ms, beat.metrics))
    }

    /// The maintenance of a stake that is announced, if it is not over.
    pub fn window(&self, stake: Id, now_ms: u64) -> Option<Window> {
        self.windows.get(&stake).copied().filter(|window| now_ms < window.to_ms)
    }

    /// What Kubernetes should do about each node that is not simply well. `expires_ms` gives the end of a token.
    pub fn care(&self, expires_ms: impl Fn(Id) -> Option<u64>, now_ms: u64) -> BTreeMap<String, Care> {
        let soon = now_ms.saturating_add(self.limits.drain_before_ms);
        let of = |node: &Node| {
            let window = self.windows.get(&node.stake);
            let planned = window.is_some_and(|window| window.from_ms <= soon && now_ms < window.to_ms);
            Care {
                drain: planned || expires_ms(node.token).is_some_and(|end| end <= soon),
                down: matches!(node.state, NodeState::Down | NodeState::Evicted),
                evicted: node.state == NodeState::Evicted,
            }
        };
        let care = self.nodes.iter().map(|(name, node)| (name.clone(), of(node)));
        care.filter(|(_, care)| *care != Care::default()).collect()
    }

    /// The contradictions that were found since.
    pub fn take_contradictions(&mut self) -> Vec<Contradiction> {
        std::mem::take(&mut self.contradictions)
    }

    /// How many nodes are in each state.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for node in self.nodes.values() {
            *counts.entry(node.state.as_str()).or_insert(0) += 1;
        }
        counts.insert(NodeState::Removed.as_str(), self.removed.len());
        counts
    }

    fn node(&self, name: &str, token: Id) -> Option<&Node> {
        self.nodes.get(name).filter(|node| node.token == token)
    }

    /// The node under this token; a new holder of the name starts afresh.
    fn entry(&mut self, sender: Sender<'_>, now_ms: u64) -> &mut Node {
        let Sender { name, token, stake } = sender;
        if self.removed.get(name).is_some_and(|(gone, _)| *gone == token) {
            self.removed.remove(name);
        }
        let limits = self.limits;
        let node = self.nodes.entry(name.to_owned());
        let node = node.or_insert_with(|| Node::new(token, stake, &limits, now_ms));
        if node.token != token {
            self.epoch.left(name, node);
            *node = Node::new(token, stake, &limits, now_ms);
        }
        node
    }

    fn forget_removed(&mut self, now_ms: u64) {
        let keep_ms = self.limits.list_removed_ms;
        self.removed.retain(|_, (_, at)| now_ms < at.saturating_add(keep_ms));
        let surplus = self.removed.len().saturating_sub(Self::MAX_REMOVED);
        if surplus == 0 {
            return;
        }
        let mut oldest: Vec<(u64, String)> =
            self.removed.iter().map(|(name, (_, at))| (*at, name.clone())).collect();
        oldest.sort_unstable();
        for (_, name) in oldest.drain(..surplus) {
            self.removed.remove(&name);
        }
    }
}

/// How long a maintenance that is over is remembered, for the epoch that it lay in.
const MAX_WINDOW_AGE_MS: u64 = 86_400_000;
