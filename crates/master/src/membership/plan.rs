use std::collections::{BTreeMap, BTreeSet};

use crate::Id;
use crate::health::Care;
use crate::membership::{
    ATTESTED_LABEL, Attestation, Binding, BindingKey, DOWN_TAINT, EVICTED_TAINT, PLATFORM_LABEL, Roster,
    Scope, UNATTESTED_TAINT, attested_value, node_labels, token_label,
};

/// What Kubernetes has, as far as the membership cares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Nodes by name.
    pub nodes: BTreeMap<String, ObservedNode>,
    /// Bindings that carry the master's label. A binding that does not look as the master makes them (other
    /// subjects, say) is `None`.
    pub bindings: BTreeMap<BindingKey, Option<Binding>>,
    /// Names of namespaces.
    pub namespaces: BTreeSet<String>,
}

/// One Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedNode {
    /// Whether it is cordoned.
    pub unschedulable: bool,
    /// Value of [`crate::membership::TOKEN_LABEL`].
    pub token_label: Option<String>,
    /// Whether it carries [`crate::membership::FOREIGN_NODE_LABEL`].
    pub foreign: bool,
    /// Its labels with our [`crate::membership::PREFIX`].
    pub labels: BTreeMap<String, String>,
    /// Keys of its taints that are the master's.
    pub taints: BTreeSet<String>,
    /// Whether the master has cordoned it for a drain.
    pub drained: bool,
    /// Pods on it that a drain has to move; counted only while it is drained.
    pub movable: usize,
    /// The same with those that are ending.
    pub left: usize,
}

/// What Kubernetes shall look like, besides what the roster says.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What to do about nodes that are not well, by name.
    pub care: BTreeMap<String, Care>,
    /// What was verified of nodes' platforms, by name.
    pub attestations: BTreeMap<String, Attestation>,
    /// Whether the master has just started: nodes that were attested before had no time to show it again, and keep what they have.
    pub settling: bool,
    /// Nodes that have shown it since and are not attested any more, by name: they keep nothing.
    pub lapsed: BTreeSet<String>,
    /// Whether a node without such gets [`crate::membership::UNATTESTED_TAINT`].
    pub require_attested: bool,
}

/// One change in Kubernetes. Each may be repeated: doing it twice is doing it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take a role away.
    DeleteBinding(BindingKey),
    /// Keep new pods off a node.
    Cordon(String),
    /// Remove the node's pods without waiting for its kubelet, which gets no answer any more.
    EvictPods(String),
    /// Remove the Node.
    DeleteNode(String),
    /// Label a Node with the token that it joined under.
    Adopt {
        /// Node.
        name: String,
        /// Token.
        token: Id,
    },
    /// Set labels with our prefix; `None` takes one away.
    Label {
        /// Node.
        name: String,
        /// Labels.
        labels: BTreeMap<String, Option<String>>,
    },
    /// Give a Node exactly these of the master's taints.
    Taint {
        /// Node.
        name: String,
        /// Keys.
        taints: BTreeSet<String>,
    },
    /// Cordon a Node, to be uncordoned when the reason is over.
    BeginDrain(String),
    /// Ask for the eviction of a Node's pods, as their budgets allow.
    MovePods(String),
    /// Let pods come again.
    EndDrain(String),
    /// Make a namespace that a grant is for.
    CreateNamespace(String),
    /// Give a role.
    CreateBinding(Binding),
}

/// What has to change in Kubernetes at `now_ms` so that it agrees with the chain: what takes rights away first.
///
/// A Node stays only while a live token is pinned to its name, and it is that token's. Once the
/// actions are done, there are none.
pub fn plan(roster: &Roster, given: &Wanted, observed: &Observed, now_ms: u64) -> Vec<Action> {
    let wanted = roster.bindings(now_ms);
    let mut actions = Vec::new();

    for (key, found) in &observed.bindings {
        if found.is_none() || wanted.get(key) != found.as_ref() {
            actions.push(Action::DeleteBinding(key.clone()));
        }
    }

    let live: BTreeMap<&str, Id> =
        roster.live_nodes(now_ms).filter_map(|token| Some((token.node_name.as_deref()?, token.id))).collect();
    let mut adoptions = Vec::new();
    for (name, node) in observed.nodes.iter().filter(|(_, node)| !node.foreign) {
        match (live.get(name.as_str()), &node.token_label) {
            (Some(token), Some(label)) if *label == token_label(token) => {
                adoptions.extend(tend(roster, given, name, token, node));
            }
            (Some(token), None) => {
                adoptions.push(Action::Adopt { name: name.clone(), token: *token });
                adoptions.extend(tend(roster, given, name, token, node));
            }
            _ => {
                if !node.unschedulable {
                    actions.push(Action::Cordon(name.clone()));
                }
                actions.push(Action::EvictPods(name.clone()));
                actions.push(Action::DeleteNode(name.clone()));
            }
        }
    }
    actions.append(&mut adoptions);

    let mut namespaces = BTreeSet::new();
    for (key, binding) in wanted {
        if observed.bindings.get(&key).is_some_and(|found| found.as_ref() == Some(&binding)) {
            continue;
        }
        if let Scope::Namespace(name) = &key.scope
            && !observed.namespaces.contains(name)
            && namespaces.insert(name.clone())
        {
            actions.push(Action::CreateNamespace(name.clone()));
        }
        actions.push(Action::CreateBinding(binding));
    }
    actions
}

/// What a node that stays needs: labels of its standing on chain, and what follows from its health.
fn tend(roster: &Roster, given: &Wanted, name: &str, token: &Id, node: &ObservedNode) -> Vec<Action> {
    let mut actions = Vec::new();
    let care = given.care.get(name).copied().unwrap_or_default();
    let attestation = given.attestations.get(name).filter(|attestation| attestation.token == *token);
    let stake = roster.token(token).and_then(|token| roster.stake_of(token));
    let mut labels = stake.map(|stake| node_labels(stake, attestation)).unwrap_or_default();
    let was_attested = node.labels.get(ATTESTED_LABEL).is_some_and(|value| value != attested_value(None));
    let keeps = given.settling && attestation.is_none() && was_attested && !given.lapsed.contains(name);
    if keeps {
        let kept =
            node.labels.iter().filter(|(key, _)| [ATTESTED_LABEL, PLATFORM_LABEL].contains(&key.as_str()));
        labels.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
    }
    let unattested = given.require_attested && attestation.is_none() && !keeps;
    let surplus = node.labels.keys().filter(|key| !labels.contains_key(*key)).map(|key| (key.clone(), None));
    let lacking = labels.iter().filter(|(key, value)| node.labels.get(*key) != Some(*value));
    let change: BTreeMap<_, _> =
        lacking.map(|(key, value)| (key.clone(), Some(value.clone()))).chain(surplus).collect();
    if !change.is_empty() {
        actions.push(Action::Label { name: name.to_owned(), labels: change });
    }
    let taints = [(care.down, DOWN_TAINT), (care.evicted, EVICTED_TAINT), (unattested, UNATTESTED_TAINT)];
    let taints: BTreeSet<String> =
        taints.into_iter().filter(|(wanted, _)| *wanted).map(|(_, key)| key.to_owned()).collect();
    if taints != node.taints {
        actions.push(Action::Taint { name: name.to_owned(), taints });
    }
    if care.drain {
        if !node.unschedulable {
            actions.push(Action::BeginDrain(name.to_owned()));
        }
        if node.movable > 0 {
            actions.push(Action::MovePods(name.to_owned()));
        }
    } else if node.drained {
        actions.push(Action::EndDrain(name.to_owned()));
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Fact, Stake, Tier, Token};

    /// The token of node `n1`.
    fn token_of(stake: Id) -> Token {
        Token {
            id: Id([1; 32]),
            stake,
            public_key: [0; 32],
            seal: [0; 32],
            node_name: Some("n1".into()),
            generation: 1,
            expires_ms: 1000,
            revoked: false,
        }
    }

    #[test]
    fn a_node_of_the_names_earlier_holder_is_removed() {
        let mut roster = Roster::default();
        let (owner, stake) = (Id([3; 32]), Id([2; 32]));
        roster.apply(Fact::Stake(Stake { id: stake, owner, tier: Tier::Node, amount_mist: 1, active: true }));
        roster.apply(Fact::Token(token_of(stake)));
        let stake = Stake { id: stake, owner, tier: Tier::Node, amount_mist: 1, active: true };
        let labels = node_labels(&stake, None);
        let plan_for = |token_label: Option<String>, unschedulable| {
            let node =
                ObservedNode { unschedulable, token_label, labels: labels.clone(), ..Default::default() };
            let observed =
                Observed { nodes: BTreeMap::from([("n1".to_owned(), node)]), ..Observed::default() };
            plan(&roster, &Wanted::default(), &observed, 0)
        };
        let name = || "n1".to_owned();
        assert_eq!(plan_for(None, false), [Action::Adopt { name: name(), token: Id([1; 32]) }]);
        assert_eq!(plan_for(Some(token_label(&Id([1; 32]))), false), []);
        assert_eq!(
            plan_for(Some(token_label(&Id([9; 32]))), false),
            [Action::Cordon(name()), Action::EvictPods(name()), Action::DeleteNode(name())]
        );
        assert_eq!(
            plan_for(Some("forged".into()), true),
            [Action::EvictPods(name()), Action::DeleteNode(name())]
        );
    }

    #[test]
    fn a_nodes_labels_taints_and_drain_follow_chain_and_health() {
        let mut roster = Roster::default();
        let stake = Stake {
            id: Id([2; 32]),
            owner: Id([3; 32]),
            tier: Tier::Node,
            amount_mist: u64::MAX,
            active: true,
        };
        roster.apply(Fact::Stake(stake.clone()));
        let token = Id([1; 32]);
        roster.apply(Fact::Token(token_of(stake.id)));
        let name = || "n1".to_owned();
        let plan_for = |node: &ObservedNode, given: &Wanted| {
            let node = ObservedNode { token_label: Some(token_label(&token)), ..node.clone() };
            let observed = Observed { nodes: BTreeMap::from([(name(), node)]), ..Observed::default() };
            plan(&roster, given, &observed, 0)
        };
        // Labels that somebody else set with our prefix go, ours come.
        let forged = BTreeMap::from([("k3s-daas.io/made-up".to_owned(), "1".to_owned())]);
        let node = ObservedNode { labels: forged, ..Default::default() };
        let actions = plan_for(&node, &Wanted::default());
        let [Action::Label { labels, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(labels["k3s-daas.io/made-up"], None);
        assert_eq!(labels["k3s-daas.io/attested"].as_deref(), Some("false"));
        assert_eq!(labels["k3s-daas.io/stake-mist"].as_deref(), Some("9223372036854775807"));
        assert_eq!(labels["k3s-daas.io/operator"].as_deref(), Some(&*"03".repeat(20)));

        let well = ObservedNode { labels: node_labels(&stake, None), ..Default::default() };
        assert_eq!(plan_for(&well, &Wanted::default()), []);
        let attestation = |token| Attestation { token, platform: "sev-snp".into(), simulated: false };
        let mut given = Wanted::default();
        given.attestations.insert(name(), attestation(Id([9; 32])));
        assert_eq!(plan_for(&well, &given), [], "what an earlier holder of the name has shown");
        given.attestations.insert(name(), attestation(token));
        let actions = plan_for(&well, &given);
        let [Action::Label { labels, .. }] = &actions[..] else { panic!("{actions:?}") };
        assert_eq!(labels["k3s-daas.io/platform"].as_deref(), Some("sev-snp"));

        // Where every node has to be attested, and just after a start, when nobody has shown anything yet.
        let required = Wanted { require_attested: true, ..Wanted::default() };
        let tainted = |keys: &[&str]| Action::Taint {
            name: name(),
            taints: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        assert_eq!(plan_for(&well, &required), [tainted(&[UNATTESTED_TAINT])]);
        assert_eq!(
            plan_for(&well, &Wanted { settling: true, ..required.clone() }),
            [tainted(&[UNATTESTED_TAINT])]
        );
        let attested =
            ObservedNode { labels: node_labels(&stake, Some(&attestation(token))), ..Default::default() };
        assert_eq!(plan_for(&attested, &Wanted { settling: true, ..required.clone() }), []);
        let seen_to_lapse = Wanted { settling: true, lapsed: [name()].into(), ..required.clone() };
        for given in [&required, &seen_to_lapse] {
            let lapsed = plan_for(&attested, given);
            let [Action::Label { labels, .. }, taint] = &lapsed[..] else { panic!("{lapsed:?}") };
            assert_eq!(labels["k3s-daas.io/attested"].as_deref(), Some("false"));
            assert_eq!(*taint, tainted(&[UNATTESTED_TAINT]));
        }
        given.require_attested = true;
        assert_eq!(plan_for(&attested, &given), []);

        let care = |drain, down, evicted| Wanted {
            care: BTreeMap::from([(name(), Care { drain, down, evicted })]),
            ..Wanted::default()
        };
        let taint = |keys: &[&str]| Action::Taint {
            name: name(),
            taints: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        assert_eq!(plan_for(&well, &care(false, true, false)), [taint(&[DOWN_TAINT])]);
        let down = ObservedNode { taints: BTreeSet::from([DOWN_TAINT.to_owned()]), ..well.clone() };
        assert_eq!(plan_for(&down, &care(false, true, true)), [taint(&[DOWN_TAINT, EVICTED_TAINT])]);
        assert_eq!(plan_for(&down, &Wanted::default()), [taint(&[])], "it came back");

        let drain = care(true, false, false);
        assert_eq!(plan_for(&well, &drain), [Action::BeginDrain(name())]);
        let drained = ObservedNode { unschedulable: true, drained: true, movable: 2, ..well.clone() };
        assert_eq!(plan_for(&drained, &drain), [Action::MovePods(name())]);
        let empty = ObservedNode { movable: 0, ..drained.clone() };
        assert_eq!(plan_for(&empty, &drain), []);
        assert_eq!(plan_for(&empty, &Wanted::default()), [Action::EndDrain(name())]);
        // Who cordoned it by hand uncordons it by hand.
        let by_hand = ObservedNode { unschedulable: true, ..well };
        assert_eq!(plan_for(&by_hand, &Wanted::default()), []);
    }
}
