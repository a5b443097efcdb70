use std::collections::VecDeque;

use api::NodeState;
use custody::Bucket;
use serde::{Deserialize, Serialize};

use super::beat::{BeatError, Contradiction, Instance, LastBeat, Sender, Verified};
use super::statements::Statements;
use super::uptime::{Uptime, Window};
use super::{HealthLimits, KubernetesView, Transition};
use crate::Id;

/// How long what Kubernetes said counts. Its silence is the master's own trouble and no node's fault.
const KUBERNETES_FRESH_MS: u64 = 60_000;
/// Changes of state that are remembered for the records of an epoch.
const TRANSITIONS: usize = 64;
/// Heartbeats at once, beyond the rate that is asked for.
const BEAT_BURST: u64 = 30;

/// The life of one node under one token.
///
/// A *good sign* is a heartbeat that says ready while Kubernetes does not deny it. Without one the node gets
/// suspect, down and evicted, at exactly the times that the limits say, however late [`Node::advance`] is called.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) token: Id,
    pub(super) stake: Id,
    pub(super) state: NodeState,
    /// When that began.
    pub(super) since_ms: u64,
    pub(super) beat: Option<LastBeat>,
    pub(super) uptime: Uptime,
    pub(super) transitions: VecDeque<Transition>,
    /// The last good sign, or where its silence is counted from.
    good_ms: u64,
    /// Since when signs are good without a break.
    run_ms: Option<u64>,
    kubernetes: Option<(KubernetesView, u64)>,
    instance: Option<Instance>,
    statements: Statements,
    bucket: Bucket,
}

/// What of a node outlives the master.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedNode {
    token: Id,
    stake: Id,
    state: NodeState,
    since_ms: u64,
    beat: Option<LastBeat>,
    instance: Option<Instance>,
    uptime: Uptime,
    transitions: VecDeque<Transition>,
}

impl Node {
    /// A node that was never seen, first heard of now.
    pub(super) fn new(token: Id, stake: Id, limits: &HealthLimits, now_ms: u64) -> Self {
        let per_second = (1000 / limits.interval_ms.max(1)).max(1).saturating_mul(2);
        Self {
            token,
            stake,
            state: NodeState::Pending,
            since_ms: now_ms,
            beat: None,
            uptime: Uptime::starting(now_ms),
            transitions: VecDeque::new(),
            good_ms: now_ms,
            run_ms: None,
            kubernetes: None,
            instance: None,
            statements: Statements::default(),
            bucket: Bucket::new(per_second, BEAT_BURST),
        }
    }

    /// A node from before the master's last start. Silence is counted from now: the master's own is not the
    /// node's.
    pub(super) fn restored(saved: SavedNode, limits: &HealthLimits, now_ms: u64) -> Self {
        let SavedNode { token, stake, state, since_ms, beat, instance, mut uptime, transitions } = saved;
        uptime.resume(now_ms);
        let fresh = Self::new(token, stake, limits, now_ms);
        Self { state, since_ms: since_ms.min(now_ms), beat, instance, uptime, transitions, ..fresh }
    }

    pub(super) fn save(&self) -> SavedNode {
        SavedNode {
            token: self.token,
            stake: self.stake,
            state: self.state,
            since_ms: self.since_ms,
            beat: self.beat.clone(),
            instance: self.instance,
            uptime: self.uptime,
            transitions: self.transitions.clone(),
        }
    }

    /// The node has certificates.
    pub(super) fn joined(&mut self, limits: &HealthLimits, now_ms: u64) {
        self.advance(limits, None, now_ms);
        if self.state == NodeState::Pending {
            self.enter(NodeState::Joining, "joined", now_ms);
        }
    }

    /// Whether one more heartbeat may come now.
    pub(super) fn admit(&mut self, now_ms: u64) -> bool {
        self.bucket.take(now_ms)
    }

    pub(super) fn beat(
        &mut self,
        limits: &HealthLimits,
        window: Option<Window>,
        sender: Sender<'_>,
        said: &Verified<'_>,
        now_ms: u64,
    ) -> Result<(), Refused> {
        let beat = said.beat;
        let instance = Instance::parse(&beat.instance).ok_or(BeatError::BadInstance)?;
        let latest_start = beat.timestamp_ms.saturating_add(limits.max_clock_skew_ms);
        if instance.started_ms() > latest_start {
            return Err(BeatError::BadInstance.into());
        }
        // Before all else that could refuse it: a lie is a lie, also one that comes late.
        if let Some(contradiction) = self.statements.check(sender, said) {
            return Err(Refused {
                error: BeatError::Contradiction,
                contradiction: Some(Box::new(contradiction)),
            });
        }
        match self.instance {
            Some(known) if known > instance => return Err(BeatError::Fenced.into()),
            Some(known) if known == instance => {
                if self.beat.as_ref().is_some_and(|last| last.sent_ms >= beat.timestamp_ms) {
                    return Err(BeatError::Stale.into());
                }
            }
            _ => self.instance = Some(instance),
        }
        self.advance(limits, window, now_ms);
        self.beat = Some(LastBeat::of(beat, now_ms));
        if beat.ready && self.kubernetes_agrees(now_ms) {
            self.good(limits, now_ms);
        } else {
            self.run_ms = None;
            if self.state == NodeState::Pending {
                self.enter(NodeState::Joining, "heartbeat", now_ms);
            }
        }
        Ok(())
    }

    /// What Kubernetes says of it now.
    pub(super) fn seen(&mut self, view: KubernetesView, now_ms: u64) {
        if view != KubernetesView::Ready {
            self.run_ms = None;
        }
        self.kubernetes = Some((view, now_ms));
    }

    /// Why the last sign was no good one, for people.
    pub(super) fn complaint(&self, now_ms: u64) -> Option<String> {
        let beat = self.beat.as_ref()?;
        if !beat.ready {
            return Some(
                beat.reason.clone().unwrap_or_else(|| "the worker says that it is not ready".to_owned()),
            );
        }
        match self.kubernetes {
            Some((view, at)) if now_ms.saturating_sub(at) <= KUBERNETES_FRESH_MS => {
                view.complaint().map(str::to_owned)
            }
            _ => None,
        }
    }

    /// Lets time pass up to `now_ms`, one change of state after the other.
    pub(super) fn advance(&mut self, limits: &HealthLimits, window: Option<Window>, now_ms: u64) {
        while let Some((at, to, reason)) = self.next(limits, window).filter(|(at, ..)| *at <= now_ms) {
            self.uptime.account(at, self.state, window);
            self.enter(to, reason, at);
        }
        self.uptime.account(now_ms, self.state, window);
    }

    /// The master was not looking for `gap_ms`: nothing of it is held against the node.
    pub(super) fn forgive(&mut self, gap_ms: u64, now_ms: u64) {
        self.good_ms = self.good_ms.saturating_add(gap_ms).min(now_ms);
        self.since_ms = self.since_ms.saturating_add(gap_ms).min(now_ms);
        self.uptime.skip(now_ms);
    }

    fn good(&mut self, limits: &HealthLimits, now_ms: u64) {
        if now_ms.saturating_sub(self.good_ms) > limits.suspect_after_ms {
            self.run_ms = None;
        }
        let run_ms = *self.run_ms.get_or_insert(now_ms);
        self.good_ms = now_ms;
        match self.state {
            NodeState::Pending | NodeState::Joining => {
                self.enter(NodeState::Ready, "first good sign", now_ms);
            }
            NodeState::Suspect | NodeState::Down | NodeState::Evicted
                if now_ms.saturating_sub(run_ms) >= limits.ready_after_ms =>
            {
                self.enter(NodeState::Ready, "good signs again", now_ms);
            }
            _ => {}
        }
    }

    /// The next change of state if no sign comes, with its time.
    fn next(&self, limits: &HealthLimits, window: Option<Window>) -> Option<(u64, NodeState, &'static str)> {
        let after = |from: u64, wait: u64| from.saturating_add(wait);
        let (at, to, reason) = match self.state {
            NodeState::Ready => {
                (after(self.good_ms, limits.suspect_after_ms), NodeState::Suspect, "no good sign")
            }
            NodeState::Suspect => {
                (after(self.good_ms, limits.down_after_ms), NodeState::Down, "no good sign")
            }
            NodeState::Down => {
                (after(self.since_ms, limits.evict_after_ms), NodeState::Evicted, "stayed down")
            }
            NodeState::Joining => {
                (after(self.since_ms, limits.join_within_ms), NodeState::Down, "joined and was never ready")
            }
            NodeState::Pending | NodeState::Evicted | NodeState::Removed => return None,
        };
        // In an announced maintenance a node gets suspect and no worse; silence is counted from its end.
        match window {
            Some(window) if to != NodeState::Suspect && window.contains(at) => {
                Some((after(window.to_ms, limits.down_after_ms), to, reason))
            }
            _ => Some((at, to, reason)),
        }
    }

    fn kubernetes_agrees(&self, now_ms: u64) -> bool {
        match self.kubernetes {
            Some((view, at)) if now_ms.saturating_sub(at) <= KUBERNETES_FRESH_MS => {
                view == KubernetesView::Ready
            }
            _ => true,
        }
    }

    fn enter(&mut self, state: NodeState, reason: &'static str, at_ms: u64) {
        if self.transitions.len() == TRANSITIONS {
            self.transitions.pop_front();
        }
        self.transitions.push_back(Transition {
            at_ms,
            from: self.state,
            to: state,
            reason: reason.to_owned(),
        });
        self.state = state;
        self.since_ms = at_ms;
    }
}

/// Why a heartbeat was refused, with what it proves.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) error: BeatError,
    pub(super) contradiction: Option<Box<Contradiction>>,
}

impl From<BeatError> for Refused {
    fn from(error: BeatError) -> Self {
        Self { error, contradiction: None }
    }
}
