//! Random histories of chain, clock, joins and a Kubernetes that carries actions out, against an oracle that
//! looks at nothing but the history.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use seal_token::{Claims, Proof};

use super::*;
use crate::Id;
use crate::health::Care;

const AUDIENCE: [u8; 32] = [0xca; 32];
const LIMITS: Limits =
    Limits { proof: seal_token::Limits { max_window_ms: 1000, max_clock_skew_ms: 0 }, chain_silence_ms: 50 };

#[derive(Clone, Debug)]
enum Step {
    Fact(Fact),
    Contact,
    Wait(u64),
    /// A proof of token `token`, signed by key `key`, asks for a certificate for `node`.
    Join {
        token: u8,
        key: u8,
        seal: u8,
        node: u8,
    },
    /// As [`Step::Join`], by whoever holds the token.
    HonestJoin {
        token: u8,
    },
    /// Kubelet `node` registers with the certificate it has, if the apiserver lets it.
    Register {
        node: u8,
    },
    /// Somebody tampers with a binding of ours.
    Tamper,
}

fn name(node: u8) -> String {
    format!("n{node}")
}

fn signing_key(key: u8) -> SigningKey {
    SigningKey::from_bytes(&[key; 32])
}

fn public_key(key: u8) -> [u8; 32] {
    signing_key(key).verifying_key().to_bytes()
}

fn id(kind: u8, number: u8) -> Id {
    let mut bytes = [0; 32];
    bytes[0] = kind;
    bytes[1] = number;
    Id(bytes)
}

fn fact() -> impl Strategy<Value = Fact> {
    let small = 0u8..3;
    let tier = prop_oneof![8 => Just(Tier::Node), 1 => Just(Tier::User), 1 => Just(Tier::Admin)];
    let stake = (
        small.clone(),
        small.clone(),
        tier,
        prop_oneof![3 => Just(120u64), 1 => 90u64..110],
        prop::bool::weighted(0.9),
    )
        .prop_map(|(stake, owner, tier, amount_mist, active)| {
            Fact::Stake(Stake { id: id(1, stake), owner: id(3, owner), tier, amount_mist, active })
        });
    let token = (
        small.clone(),
        small.clone(),
        0u8..3,
        0u8..2,
        small.clone(),
        0u64..2,
        1u64..3000,
        prop::bool::weighted(0.1),
    )
        .prop_map(|(token, stake, key, seal, node, generation, expires_ms, revoked)| {
            Fact::Token(Token {
                id: id(2, token),
                stake: id(1, stake),
                public_key: public_key(key),
                seal: [seal; 32],
                // Two tokens with one name would be a bug of the contract; here each has its own.
                node_name: (node > 0 || seal > 0).then(|| name(token)),
                generation,
                expires_ms,
                revoked,
            })
        });
    let grant = (
        small.clone(),
        small.clone(),
        prop::option::of("[ab]|B!"),
        "view|edit|cluster-admin",
        prop::option::of(1u64..2000),
    )
        .prop_map(|(grant, wallet, namespace, role, expires_ms)| {
            Fact::Grant(Grant { id: id(4, grant), grantee: id(3, wallet), namespace, role, expires_ms })
        });
    prop_oneof![
        6 => stake,
        6 => token,
        3 => grant,
        1 => small.clone().prop_map(|n| Fact::StakeGone(id(1, n))),
        1 => small.clone().prop_map(|n| Fact::TokenGone(id(2, n))),
        1 => small.clone().prop_map(|n| Fact::GrantGone(id(4, n))),
        1 => (90u64..110, 90u64..110).prop_map(|(node_mist, admin_mist)| {
            Fact::Requirements(Requirements { node_mist, user_mist: 100, admin_mist })
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => fact().prop_map(Step::Fact),
        4 => Just(Step::Contact),
        2 => (1u64..200).prop_map(Step::Wait),
        2 => (0u8..3, 0u8..3, 0u8..2, 0u8..3)
            .prop_map(|(token, key, seal, node)| Step::Join { token, key, seal, node }),
        6 => (0u8..3).prop_map(|token| Step::HonestJoin { token }),
        6 => (0u8..3).prop_map(|node| Step::Register { node }),
        1 => Just(Step::Tamper),
    ]
}

/// The last word about each object, found by walking the history backwards.
struct Oracle<'a>(&'a [Fact]);

impl Oracle<'_> {
    fn stake(&self, wanted: Id) -> Option<&Stake> {
        self.0.iter().rev().find_map(|fact| match fact {
            Fact::Stake(stake) if stake.id == wanted => Some(Some(stake)),
            Fact::StakeGone(gone) if *gone == wanted => Some(None),
            _ => None,
        })?
    }

    fn token(&self, wanted: Id) -> Option<&Token> {
        let mut gone_stakes = Vec::new();
        for fact in self.0.iter().rev() {
            match fact {
                Fact::StakeGone(stake) => gone_stakes.push(*stake),
                Fact::TokenGone(gone) if *gone == wanted => return None,
                Fact::Token(token) if token.id == wanted => {
                    return (!gone_stakes.contains(&token.stake)).then_some(token);
                }
                _ => {}
            }
        }
        None
    }

    fn minimum(&self, tier: Tier) -> u64 {
        let last = self.0.iter().rev().find_map(|fact| match fact {
            Fact::Requirements(requirements) => Some(requirements.of(tier)),
            _ => None,
        });
        last.unwrap_or(0)
    }

    fn covered(&self, stake: &Stake) -> bool {
        stake.active && stake.amount_mist >= self.minimum(stake.tier)
    }

    /// The token if it is live and brings node `name`.
    fn live_node(&self, token: Id, name: &str, now_ms: u64) -> Option<&Token> {
        let token = self.token(token)?;
        let stake = self.stake(token.stake)?;
        let good = !token.revoked
            && token.expires_ms > now_ms
            && token.node_name.as_deref() == Some(name)
            && stake.tier == Tier::Node
            && self.covered(stake);
        good.then_some(token)
    }

    fn grant_holds(&self, binding: &Binding, now_ms: u64) -> bool {
        let last = self.0.iter().rev().find_map(|fact| match fact {
            Fact::Grant(grant) if grant.id == binding.grant => Some(Some(grant)),
            Fact::GrantGone(gone) if *gone == binding.grant => Some(None),
            _ => None,
        });
        let Some(Some(grant)) = last else { return false };
        let admin = grant.namespace.is_none() && grant.role != "view";
        let enough = (0..3).filter_map(|n| self.stake(id(1, n))).any(|stake| {
            stake.owner == grant.grantee
                && self.covered(stake)
                && if admin { stake.tier == Tier::Admin } else { stake.tier != Tier::Node }
        });
        enough && grant.expires_ms.is_none_or(|end| end > now_ms) && grant.role == binding.role
    }
}

/// Kubernetes, as far as actions touch it.
fn carry_out(observed: &mut Observed, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::DeleteBinding(key) => drop(observed.bindings.remove(&key)),
            Action::Cordon(name) => {
                if let Some(node) = observed.nodes.get_mut(&name) {
                    node.unschedulable = true;
                }
            }
            Action::EvictPods(_) => {}
            Action::DeleteNode(name) => drop(observed.nodes.remove(&name)),
            Action::Adopt { name, token } => {
                if let Some(node) = observed.nodes.get_mut(&name) {
                    node.token_label = Some(token_label(&token));
                }
            }
            Action::Label { name, labels } => {
                if let Some(node) = observed.nodes.get_mut(&name) {
                    for (key, value) in labels {
                        match value {
                            Some(value) => drop(node.labels.insert(key, value)),
                            None => drop(node.labels.remove(&key)),
                        }
                    }
                }
            }
            Action::Taint { name, taints } => {
                if let Some(node) = observed.nodes.get_mut(&name) {
                    node.taints = taints;
                }
            }
            Action::BeginDrain(name) => {
                if let Some(node) = observed.nodes.get_mut(&name) {
                    (node.unschedulable, node.drained, node.movable) = (true, true, 3);
                }
            }
            Action::MovePods(name) => {
                if let Some(node) = observed.nodes.get_mut(&name) {
                    node.movable = 0;
                }
            }
            Action::EndDrain(name) => {
                if let Some(node) = observed.nodes.get_mut(&name) {
                    (node.unschedulable, node.drained) = (false, false);
                }
            }
            Action::CreateNamespace(name) => drop(observed.namespaces.insert(name)),
            Action::CreateBinding(binding) => {
                if let Scope::Namespace(name) = &binding.key.scope {
                    assert!(observed.namespaces.contains(name), "binding before its namespace");
                }
                observed.bindings.insert(binding.key.clone(), Some(binding));
            }
        }
    }
}

proptest! {
    #[test]
    fn nobody_without_a_live_token_is_admitted_and_kubernetes_converges(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut membership = Membership::new(AUDIENCE, LIMITS);
        let mut observed = Observed::default();
        observed.nodes.insert("kwok-0".into(), ObservedNode { foreign: true, ..ObservedNode::default() });
        let mut history = Vec::new();
        let mut certificates: BTreeMap<String, NodeCertificate> = BTreeMap::new();
        let (mut now_ms, mut last_contact_ms, mut nonce) = (0u64, None::<u64>, 0u64);
        let mut joined: BTreeMap<String, Id> = BTreeMap::new();

        for step in steps {
            let step = match step {
                Step::HonestJoin { token } => {
                    let oracle = Oracle(&history);
                    let Some(token_now) = oracle.token(id(2, token)) else { continue };
                    let key = (0..3).find(|key| token_now.public_key == public_key(*key)).unwrap();
                    Step::Join { token, key, seal: token_now.seal[0], node: token }
                }
                step => step,
            };
            match step {
                Step::HonestJoin { .. } => unreachable!("replaced above"),
                Step::Fact(fact) => {
                    membership.apply(fact.clone());
                    let once = membership.roster().clone();
                    membership.apply(fact.clone());
                    prop_assert_eq!(membership.roster(), &once, "applying a fact twice changed something");
                    history.push(fact);
                }
                Step::Contact => {
                    membership.chain_contact(now_ms);
                    last_contact_ms = Some(now_ms);
                }
                Step::Wait(ms) => {
                    now_ms += ms;
                    membership.tick(now_ms);
                }
                Step::Join { token, key, seal, node } => {
                    nonce += 1;
                    let mut nonce_bytes = [0; 16];
                    nonce_bytes[..8].copy_from_slice(&nonce.to_le_bytes());
                    let claims = Claims {
                        version: seal_token::VERSION,
                        token_id: id(2, token).0,
                        seal: [seal; 32],
                        audience: AUDIENCE,
                        not_before_ms: now_ms,
                        not_after_ms: now_ms + 1000,
                        nonce: nonce_bytes,
                    };
                    let proof = Proof::mint(&signing_key(key), claims);
                    let name = name(node);
                    let admitted = membership
                        .node_by_proof(&proof, Some(&name), now_ms)
                        .and_then(|identity| membership.admit(&identity, now_ms).map(|()| identity));

                    let oracle = Oracle(&history);
                    let live = oracle.live_node(id(2, token), &name, now_ms).filter(|token| {
                        token.public_key == public_key(key) && token.seal == [seal; 32]
                    });
                    let in_reach = last_contact_ms.is_some_and(|last| now_ms - last <= LIMITS.chain_silence_ms);
                    let again = joined.get(&name) == Some(&id(2, token)) && last_contact_ms.is_some();
                    if admitted.is_ok() {
                        prop_assert!(live.is_some(), "admitted {name} without a live token at {now_ms}");
                        prop_assert!(in_reach || again, "admitted a new node while the chain is silent");
                    } else if live.is_some() && in_reach {
                        prop_assert!(false, "refused a live token: {admitted:?}");
                    }
                    if let Ok(identity) = admitted {
                        membership.joined(&name, identity.token);
                        joined.insert(name.clone(), identity.token);
                        let groups = vec![NODES_GROUP.to_owned(), identity.certificate_group()];
                        let user = format!("{NODE_USER_PREFIX}{name}");
                        certificates.insert(name, NodeCertificate { user, groups });
                    }
                }
                Step::Register { node } => {
                    let name = name(node);
                    let Some(certificate) = certificates.get(&name) else { continue };
                    let group = &certificate.groups[1];
                    let (token, generation) = group[CERTIFICATE_GROUP_PREFIX.len()..].split_once('.').unwrap();
                    let oracle = Oracle(&history);
                    let good = oracle
                        .live_node(token.parse().unwrap(), &name, now_ms)
                        .is_some_and(|token| token.generation.to_string() == generation);
                    let answer = membership.node_by_certificate(certificate, None, now_ms);
                    prop_assert_eq!(answer.is_ok(), good, "certificate of {} at {}: {:?}", name, now_ms, answer);
                    if good {
                        observed.nodes.entry(name).or_default();
                    }
                }
                Step::Tamper => {
                    if let Some(binding) = observed.bindings.values_mut().next() {
                        *binding = None;
                    }
                }
            }

            // Nodes get well and worse as they like; a drain takes one more round for its pods.
            let care = |bit: u64| Care { drain: bit & 1 != 0, down: bit & 2 != 0, evicted: bit & 4 != 0 };
            let given = Wanted {
                care: (0..3).map(|n| (name(n), care(now_ms >> n))).collect(),
                ..Wanted::default()
            };
            for _ in 0..2 {
                let actions = plan(membership.roster(), &given, &observed, now_ms);
                carry_out(&mut observed, actions);
            }
            prop_assert_eq!(plan(membership.roster(), &given, &observed, now_ms), vec![], "actions do not converge");
            let oracle = Oracle(&history);
            for (name, node) in &observed.nodes {
                let live = (0..3).filter_map(|n| oracle.live_node(id(2, n), name, now_ms)).next();
                prop_assert!(node.foreign || live.is_some(), "{name} is still there at {now_ms}");
                if let Some(token) = live {
                    prop_assert_eq!(&node.token_label, &Some(token_label(&token.id)));
                }
            }
            for binding in observed.bindings.values() {
                let binding = binding.as_ref().expect("a foreign binding was left");
                prop_assert!(oracle.grant_holds(binding, now_ms), "{binding:?} at {now_ms}");
            }
            prop_assert!(observed.nodes.contains_key("kwok-0"), "a foreign node was touched");
        }
    }
}
