//! Whose evidence counts: a state machine without IO, like membership and health. What is genuine is decided outside
//! ([`Checker`]); here is for how long and for which key it counts, and which nonce it has to answer.

mod checker;
mod node;
mod refusal;
#[cfg(test)]
mod simulation;
mod workers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tee::{Claims, Policy};

pub(crate) use checker::{Checker, Shown};
use node::{Counting, Node};
pub(crate) use refusal::EvidenceRefusal;
pub use workers::WorkersConfig;
pub(crate) use workers::{Workers, policy_for_workers};

use crate::Id;
use crate::membership::Attestation;

/// How long a nonce may be answered, milliseconds.
const NONCE_MS: u64 = 60_000;
/// From this age on a node gets another nonce with its next heartbeat.
const NONCE_RENEW_MS: u64 = 30_000;
/// How long evidence still counts that was verified under an earlier policy or for an earlier key, milliseconds: less than the
/// minute in which a retired measurement has to be gone.
const RECHECK_MS: u64 = 45_000;
/// After its start a master has seen no evidence, and takes nothing away from a node for so long.
const SETTLE_MS: u64 = 45_000;

/// The evidence of every node.
///
/// Knows only nodes with a live token, so its size follows the membership's.
#[derive(Debug)]
pub(crate) struct Book {
    policy: Option<Arc<Policy>>,
    require: bool,
    /// Since the first decree.
    settled_ms: Option<u64>,
    nodes: BTreeMap<String, Node>,
}

impl Book {
    /// Of a master that starts. With `require` only the attested key of a node may act for it.
    pub(crate) fn new(require: bool) -> Self {
        Self { policy: None, require, settled_ms: None, nodes: BTreeMap::new() }
    }

    /// Whether nodes have to be attested.
    pub(crate) fn requires(&self) -> bool {
        self.require
    }

    /// Whether nodes that were attested before the master's start may not have had time to show their evidence again.
    pub(crate) fn is_settling(&self, now_ms: u64) -> bool {
        self.policy.is_some() && self.settled_ms.is_none_or(|settled_ms| now_ms < settled_ms)
    }

    /// Nodes that were attested since the master's start and are not any more.
    pub(crate) fn lapsed(&self, now_ms: u64) -> BTreeSet<String> {
        let lapsed = |(_, node): &(&String, &Node)| node.was_attested && node.counting(now_ms).is_none();
        self.nodes.iter().filter(lapsed).map(|(name, _)| name.clone()).collect()
    }

    /// What nodes have to prove from now on; none takes no evidence at all. Gives the names whose evidence counts no longer
    /// because their code is not allowed any more; all others have to show theirs again within a minute.
    pub(crate) fn decree(&mut self, policy: Option<Policy>, now_ms: u64) -> Vec<String> {
        self.settled_ms.get_or_insert(now_ms.saturating_add(SETTLE_MS));
        if self.policy.as_deref() == policy.as_ref() {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (name, node) in &mut self.nodes {
            let Some(last) = &mut node.last else { continue };
            last.recheck(now_ms);
            if !policy.as_ref().is_some_and(|policy| allows(policy, last)) {
                out.extend((!last.over).then(|| name.clone()));
                node.last = None;
            }
        }
        self.policy = policy.map(Arc::new);
        out
    }

    /// The nonce that the node shall answer, if it is time that it shows its evidence; `fresh` is taken when there has to be a
    /// new one.
    pub(crate) fn offer(&mut self, name: &str, token: Id, fresh: [u8; 32], now_ms: u64) -> Option<[u8; 32]> {
        self.policy.as_ref()?;
        self.node(name, token).offer(fresh, now_ms)
    }

    /// Whether the node may show evidence now: asked before it is read.
    ///
    /// # Errors
    /// [`EvidenceRefusal::NotTaken`], [`EvidenceRefusal::Flooding`].
    pub(crate) fn admit(&mut self, name: &str, token: Id, now_ms: u64) -> Result<(), EvidenceRefusal> {
        if self.policy.is_none() {
            return Err(EvidenceRefusal::NotTaken);
        }
        self.node(name, token).admit(now_ms)
    }

    /// Spends the node's nonce; gives the policy that its evidence is to be held against.
    ///
    /// # Errors
    /// When it is another nonce than the one that was given, or was given too long ago.
    pub(crate) fn spend(
        &mut self,
        name: &str,
        token: Id,
        nonce: &[u8; 32],
        now_ms: u64,
    ) -> Result<Arc<Policy>, EvidenceRefusal> {
        let policy = self.policy.clone().ok_or(EvidenceRefusal::NotTaken)?;
        self.node(name, token).spend(nonce, now_ms)?;
        Ok(policy)
    }

    /// Evidence for `key` that satisfied `policy`. Gives the time until which it counts, milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// When another policy was decreed meanwhile, or the name has another holder.
    pub(crate) fn record(
        &mut self,
        name: &str,
        token: Id,
        key: [u8; 32],
        claims: &Claims,
        policy: &Arc<Policy>,
        now_ms: u64,
    ) -> Result<u64, EvidenceRefusal> {
        let same = self.policy.as_ref().is_some_and(|now| Arc::ptr_eq(now, policy));
        let node = self.nodes.get_mut(name).filter(|node| same && node.token == token);
        let node = node.ok_or(EvidenceRefusal::Stale)?;
        let counting = Counting::new(key, claims, policy.age_limit_ms(claims.platform), now_ms);
        let expires_ms = counting.expires_ms;
        node.last = Some(counting);
        node.was_attested = true;
        node.problem = None;
        Ok(expires_ms)
    }

    /// Notes why the node's evidence was refused; whether that is news.
    pub(crate) fn refused(&mut self, name: &str, token: Id, problem: &str) -> bool {
        // Only of a node that is known: a refusal makes none.
        let Some(node) = self.nodes.get_mut(name).filter(|node| node.token == token) else { return true };
        let news = node.problem.as_deref() != Some(problem);
        node.problem = Some(problem.to_owned());
        news
    }

    /// The node has a certificate for `key`: if that is another than the attested one, it has to prove it within a minute.
    pub(crate) fn certified(&mut self, name: &str, token: Id, key: [u8; 32], now_ms: u64) {
        let node = self.nodes.get_mut(name).filter(|node| node.token == token);
        if let Some(last) = node.and_then(|node| node.last.as_mut()).filter(|last| last.key != key) {
            last.recheck(now_ms);
        }
    }

    /// Whether a certificate of the node for `key` (none when it does not say) may be used. While a node counts as attested its
    /// attested key alone speaks for it; who does not have that key is another machine. Where attestation is required and has
    /// lapsed, the last attested key still may, so that pods end in order.
    pub(crate) fn may_act(&self, name: &str, token: Id, key: Option<&[u8; 32]>, now_ms: u64) -> bool {
        let node = self.nodes.get(name).filter(|node| node.token == token);
        match node.and_then(|node| node.counting(now_ms)) {
            Some(counting) => key == Some(&counting.key),
            None if self.require => {
                let last = node.and_then(|node| node.last.as_ref());
                last.is_some_and(|last| key == Some(&last.key))
            }
            None => true,
        }
    }

    /// The same for a node's other programs, whose keys no evidence is bound to: where attestation is required the node has to have
    /// been attested.
    pub(crate) fn may_assist(&self, name: &str, token: Id) -> bool {
        let node = self.nodes.get(name).filter(|node| node.token == token);
        !self.require || node.is_some_and(|node| node.last.is_some())
    }

    /// Lets time pass: forgets nodes whose token `is_live` denies. Gives the names whose evidence has run out.
    pub(crate) fn tick(&mut self, is_live: impl Fn(&str, Id) -> bool, now_ms: u64) -> Vec<String> {
        self.nodes.retain(|name, node| is_live(name, node.token));
        let over = |(name, node): (&String, &mut Node)| {
            let last = node.last.as_mut().filter(|last| !last.over && last.expires_ms <= now_ms)?;
            last.over = true;
            Some(name.clone())
        };
        self.nodes.iter_mut().filter_map(over).collect()
    }

    /// What counts now, by name.
    pub(crate) fn view(&self, now_ms: u64) -> BTreeMap<String, Attestation> {
        let of = |(name, node): (&String, &Node)| {
            let counting = node.counting(now_ms)?;
            Some((name.clone(), counting.attestation(node.token)))
        };
        self.nodes.iter().filter_map(of).collect()
    }

    /// What counts of one node, until when, and why it was refused last.
    pub(crate) fn of(
        &self,
        name: &str,
        token: Id,
        now_ms: u64,
    ) -> (Option<(Attestation, u64)>, Option<String>) {
        let Some(node) = self.nodes.get(name).filter(|node| node.token == token) else { return (None, None) };
        let counting = node.counting(now_ms);
        (counting.map(|counting| (counting.attestation(token), counting.expires_ms)), node.problem.clone())
    }

    /// The node under this token; a new holder of the name starts afresh.
    fn node(&mut self, name: &str, token: Id) -> &mut Node {
        let node = self.nodes.entry(name.to_owned()).or_insert_with(|| Node::new(token));
        if node.token != token {
            *node = Node::new(token);
        }
        node
    }
}

/// Whether an entry of the policy fits the code that was verified.
fn allows(policy: &Policy, counting: &Counting) -> bool {
    let listed = policy.any_code || policy.lists(counting.platform, &counting.measurements);
    listed && (policy.allow_simulated || !counting.simulated)
}
