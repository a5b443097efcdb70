use std::collections::{BTreeMap, BTreeSet};

use crate::Id;
use crate::membership::{Binding, BindingKey, Roster, Scope, token_label};

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
    /// Make a namespace that a grant is for.
    CreateNamespace(String),
    /// Give a role.
    CreateBinding(Binding),
}

/// What has to change in Kubernetes at `now_ms` so that it agrees with the chain: what takes rights away first.
///
/// A Node stays only while a live token is pinned to its name, and it is that token's. Once the
/// actions are done, there are none.
pub fn plan(roster: &Roster, observed: &Observed, now_ms: u64) -> Vec<Action> {
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
            (Some(token), Some(label)) if *label == token_label(token) => {}
            (Some(token), None) => adoptions.push(Action::Adopt { name: name.clone(), token: *token }),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::{Fact, Stake, Tier, Token};

    #[test]
    fn a_node_of_the_names_earlier_holder_is_removed() {
        let mut roster = Roster::default();
        let (owner, stake) = (Id([3; 32]), Id([2; 32]));
        roster.apply(Fact::Stake(Stake { id: stake, owner, tier: Tier::Node, amount_mist: 1, active: true }));
        roster.apply(Fact::Token(Token {
            id: Id([1; 32]),
            stake,
            public_key: [0; 32],
            seal: [0; 32],
            node_name: Some("n1".into()),
            generation: 1,
            expires_ms: 1000,
            revoked: false,
        }));
        let plan_for = |token_label: Option<String>, unschedulable| {
            let node = ObservedNode { unschedulable, token_label, foreign: false };
            let observed =
                Observed { nodes: BTreeMap::from([("n1".to_owned(), node)]), ..Observed::default() };
            plan(&roster, &observed, 0)
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
}
