//! Which node is alive: states from joins and heartbeats.

use std::collections::BTreeMap;

use api::{Heartbeat, NodeMetrics, NodeState};
use serde::{Deserialize, Serialize};

use crate::Id;

/// When a node counts as what; milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthLimits {
    /// How often a worker is asked to send a heartbeat.
    pub interval_ms: u64,
    /// Silence after which a node is down.
    pub down_after_ms: u64,
    /// Time from certificates to the first heartbeat after which a node is down.
    pub join_within_ms: u64,
    /// How far a worker's clock may be off.
    pub max_clock_skew_ms: u64,
    /// How long a removed node is still listed.
    pub list_removed_ms: u64,
}

impl Default for HealthLimits {
    fn default() -> Self {
        Self {
            interval_ms: 5_000,
            down_after_ms: 20_000,
            join_within_ms: 120_000,
            max_clock_skew_ms: 60_000,
            list_removed_ms: 3_600_000,
        }
    }
}

/// Why a heartbeat does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BeatError {
    /// The worker's clock is too far off.
    #[error("the heartbeat's time is {off_ms} ms off the master's clock; set the clock (NTP)")]
    ClockSkew {
        /// How far.
        off_ms: u64,
    },
    /// A later one has arrived already.
    #[error("a later heartbeat has already arrived")]
    Stale,
}

/// Where each node is in its life, from joins, heartbeats and a clock that is passed in.
///
/// Knows only nodes that came with a live token, and forgets removed ones after a while, so its size follows
/// the membership's.
#[derive(Clone, Debug)]
pub struct Health {
    limits: HealthLimits,
    nodes: BTreeMap<String, Node>,
}

#[derive(Clone, Debug)]
struct Node {
    token: Id,
    joined_ms: Option<u64>,
    beat: Option<Beat>,
    removed_ms: Option<u64>,
}

#[derive(Clone, Debug)]
struct Beat {
    /// By the master's clock.
    received_ms: u64,
    /// By the worker's clock.
    sent_ms: u64,
    ready: bool,
    metrics: NodeMetrics,
}

impl Node {
    fn new(token: Id) -> Self {
        Self { token, joined_ms: None, beat: None, removed_ms: None }
    }
}

impl Health {
    /// Removed nodes that are listed at most.
    pub const MAX_REMOVED: usize = 1_000;

    /// No nodes yet.
    pub fn new(limits: HealthLimits) -> Self {
        Self { limits, nodes: BTreeMap::new() }
    }

    /// Node `name` got its certificates under `token`.
    pub fn joined(&mut self, name: &str, token: Id, now_ms: u64) {
        let node = self.entry(name, token);
        node.joined_ms.get_or_insert(now_ms);
    }

    /// A heartbeat of node `name`, whose credential was already found good. Returns milliseconds until the
    /// next one is expected.
    ///
    /// # Errors
    ///
    /// [`BeatError`] when it does not count; the node's state is then as before.
    pub fn beat(&mut self, name: &str, token: Id, beat: &Heartbeat, now_ms: u64) -> Result<u64, BeatError> {
        let off_ms = beat.timestamp_ms.abs_diff(now_ms);
        if off_ms > self.limits.max_clock_skew_ms {
            return Err(BeatError::ClockSkew { off_ms });
        }
        let node = self.entry(name, token);
        if node.beat.as_ref().is_some_and(|last| last.sent_ms >= beat.timestamp_ms) {
            return Err(BeatError::Stale);
        }
        node.beat = Some(Beat {
            received_ms: now_ms,
            sent_ms: beat.timestamp_ms,
            ready: beat.ready,
            metrics: beat.metrics,
        });
        Ok(self.limits.interval_ms)
    }

    /// Marks every node removed whose token `is_live` denies, and forgets those removed long ago.
    pub fn tick(&mut self, is_live: impl Fn(&str, Id) -> bool, now_ms: u64) {
        for (name, node) in &mut self.nodes {
            match (is_live(name, node.token), node.removed_ms) {
                (true, _) => node.removed_ms = None,
                (false, None) => node.removed_ms = Some(now_ms),
                (false, Some(_)) => {}
            }
        }
        let keep_ms = self.limits.list_removed_ms;
        self.nodes
            .retain(|_, node| node.removed_ms.is_none_or(|removed| now_ms < removed.saturating_add(keep_ms)));
        let mut removed: Vec<(u64, String)> =
            self.nodes.iter().filter_map(|(name, node)| Some((node.removed_ms?, name.clone()))).collect();
        let surplus = removed.len().saturating_sub(Self::MAX_REMOVED);
        removed.sort_unstable();
        for (_, name) in removed.drain(..surplus) {
            self.nodes.remove(&name);
        }
    }

    /// Where node `name` is, if its live token is `token`.
    pub fn state(&self, name: &str, token: Id, now_ms: u64) -> NodeState {
        let Some(node) = self.nodes.get(name).filter(|node| node.token == token) else {
            return NodeState::Pending;
        };
        match &node.beat {
            _ if node.removed_ms.is_some() => NodeState::Removed,
            Some(beat) if now_ms.saturating_sub(beat.received_ms) > self.limits.down_after_ms => {
                NodeState::Down
            }
            Some(beat) if beat.ready => NodeState::Ready,
            Some(_) => NodeState::NotReady,
            None => match node.joined_ms {
                None => NodeState::Pending,
                Some(joined) if now_ms.saturating_sub(joined) > self.limits.join_within_ms => NodeState::Down,
                Some(_) => NodeState::Joining,
            },
        }
    }

    /// Nodes that were removed lately, with the token that they had.
    pub fn removed(&self) -> impl Iterator<Item = (&str, Id)> {
        let removed = self.nodes.iter().filter(|(_, node)| node.removed_ms.is_some());
        removed.map(|(name, node)| (name.as_str(), node.token))
    }

    /// When the last heartbeat of `name` came (master's clock), and what it said of the machine.
    pub fn last_beat(&self, name: &str, token: Id) -> Option<(u64, NodeMetrics)> {
        let node = self.nodes.get(name).filter(|node| node.token == token)?;
        node.beat.as_ref().map(|beat| (beat.received_ms, beat.metrics))
    }

    /// The node under this token; a new holder of the name starts afresh.
    fn entry(&mut self, name: &str, token: Id) -> &mut Node {
        let node = self.nodes.entry(name.to_owned()).or_insert_with(|| Node::new(token));
        if node.token != token || node.removed_ms.is_some() {
            *node = Node::new(token);
        }
        node
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TOKEN: Id = Id([1; 32]);

    fn health() -> Health {
        Health::new(HealthLimits {
            interval_ms: 10,
            down_after_ms: 40,
            join_within_ms: 100,
            max_clock_skew_ms: 5,
            list_removed_ms: 1000,
        })
    }

    fn beat(timestamp_ms: u64, ready: bool) -> Heartbeat {
        let metrics = NodeMetrics { pods: 7, ..NodeMetrics::default() };
        Heartbeat { node_name: "n".into(), timestamp_ms, ready, reason: None, metrics }
    }

    #[test]
    fn a_life() {
        let mut health = health();
        assert_eq!(health.state("n", TOKEN, 0), NodeState::Pending);
        health.joined("n", TOKEN, 0);
        assert_eq!(health.state("n", TOKEN, 100), NodeState::Joining);
        assert_eq!(health.state("n", TOKEN, 101), NodeState::Down, "certificates, but never a sign of life");
        assert_eq!(health.beat("n", TOKEN, &beat(110, false), 110), Ok(10));
        assert_eq!(health.state("n", TOKEN, 110), NodeState::NotReady);
        health.beat("n", TOKEN, &beat(120, true), 121).unwrap();
        assert_eq!(health.state("n", TOKEN, 161), NodeState::Ready);
        assert_eq!(health.state("n", TOKEN, 162), NodeState::Down);
        assert_eq!(health.last_beat("n", TOKEN).unwrap().0, 121);
        health.beat("n", TOKEN, &beat(170, true), 170).unwrap();
        assert_eq!(health.state("n", TOKEN, 170), NodeState::Ready);

        health.tick(|_, _| false, 180);
        assert_eq!(health.state("n", TOKEN, 180), NodeState::Removed);
        assert_eq!(health.removed().count(), 1);
        assert_eq!(health.state("n", Id([2; 32]), 180), NodeState::Pending, "the name's next holder");
        health.tick(|_, _| false, 1179);
        assert_eq!(health.removed().count(), 1);
        health.tick(|_, _| false, 1180);
        assert_eq!(health.removed().count(), 0);
    }

    #[test]
    fn a_heartbeat_that_does_not_count_changes_nothing() {
        let mut health = health();
        health.beat("n", TOKEN, &beat(100, true), 100).unwrap();
        assert_eq!(health.beat("n", TOKEN, &beat(100, false), 101), Err(BeatError::Stale));
        assert_eq!(health.beat("n", TOKEN, &beat(107, false), 101), Err(BeatError::ClockSkew { off_ms: 6 }));
        assert_eq!(health.beat("n", TOKEN, &beat(0, false), 101), Err(BeatError::ClockSkew { off_ms: 101 }));
        assert_eq!(health.state("n", TOKEN, 101), NodeState::Ready);
    }

    #[test]
    fn removed_nodes_are_bounded() {
        let mut health = health();
        for n in 0..Health::MAX_REMOVED + 10 {
            health.joined(&format!("n{n}"), TOKEN, 0);
        }
        health.tick(|_, _| false, 1);
        assert_eq!(health.removed().count(), Health::MAX_REMOVED);
    }

    proptest! {
        /// Ready is said only of a node with a fresh, ready heartbeat under its live token.
        #[test]
        fn ready_needs_a_fresh_beat(
            steps in prop::collection::vec((0u64..30, 0u8..5, any::<bool>()), 1..60),
        ) {
            let mut health = health();
            let (mut now_ms, mut last, mut live) = (100, None, true);
            for (wait, what, flag) in steps {
                now_ms += wait;
                match what {
                    0 => health.joined("n", TOKEN, now_ms),
                    1 | 2 if live && health.beat("n", TOKEN, &beat(now_ms, flag), now_ms).is_ok() => {
                        last = Some((now_ms, flag));
                    }
                    3 => live = flag,
                    _ => {}
                }
                health.tick(|_, _| live, now_ms);
                let state = health.state("n", TOKEN, now_ms);
                let fresh = last.is_some_and(|(at, ready)| ready && now_ms - at <= 40);
                if state == NodeState::Ready {
                    prop_assert!(live && fresh, "{now_ms} {last:?}");
                }
                if !live {
                    prop_assert!(matches!(state, NodeState::Removed | NodeState::Pending));
                }
            }
        }
    }
}
