//! The chain's objects and events as the membership's facts.

use chain::{Address, Event, State};

use crate::Id;
use crate::membership::{Fact, Grant, Requirements, Stake, Tier, Token};

/// An address of the chain.
pub(crate) fn id(address: Address) -> Id {
    Id(address.into_inner())
}

/// An id for the chain.
pub(crate) fn address(id: Id) -> Address {
    Address::new(id.0)
}

/// Everything that `state` says.
pub(crate) fn all(state: &State) -> Vec<Fact> {
    let mut facts: Vec<Fact> = requirements(state).into_iter().collect();
    facts.extend(state.stakes.keys().map(|key| stake(state, key)));
    facts.extend(state.tokens.keys().map(|key| token(state, key)));
    facts.extend(state.grants.keys().map(|key| grant(state, key)));
    facts
}

/// What `event` changed, read from the `state` that it was applied to.
pub(crate) fn of(state: &State, event: &Event) -> Vec<Fact> {
    match event {
        Event::ClusterCreated(_) | Event::ConfigChanged(_) => requirements(state).into_iter().collect(),
        Event::Staked(e) => vec![stake(state, &e.stake)],
        Event::ToppedUp(e) => vec![stake(state, &e.stake)],
        Event::UnstakeRequested(e) => vec![stake(state, &e.stake)],
        Event::Withdrawn(e) => vec![stake(state, &e.stake)],
        Event::TokenIssued(e) => vec![token(state, &e.token)],
        Event::TokenRenewed(e) => vec![token(state, &e.token)],
        Event::KeyRotated(e) => vec![token(state, &e.token)],
        Event::TokenRevoked(e) => vec![token(state, &e.token)],
        Event::Granted(e) => vec![grant(state, &e.grant)],
        Event::GrantRevoked(e) => vec![grant(state, &e.grant)],
        _ => Vec::new(),
    }
}

fn requirements(state: &State) -> Option<Fact> {
    let config = &state.cluster.as_ref()?.config;
    // A tier that the chain does not know cannot be covered.
    let minimum = |tier| config.terms(tier).map_or(u64::MAX, |terms| terms.minimum);
    Some(Fact::Requirements(Requirements {
        node_mist: minimum(chain::Tier::Node),
        user_mist: minimum(chain::Tier::User),
        admin_mist: minimum(chain::Tier::Admin),
    }))
}

fn stake(state: &State, key: &Address) -> Fact {
    let Some(stake) = state.stakes.get(key) else { return Fact::StakeGone(id(*key)) };
    Fact::Stake(Stake {
        id: id(stake.id),
        owner: id(stake.owner),
        tier: match stake.tier {
            chain::Tier::Node => Tier::Node,
            chain::Tier::User => Tier::User,
            chain::Tier::Admin => Tier::Admin,
        },
        amount_mist: stake.amount,
        active: stake.unbonding_ms.is_none(),
    })
}

/// A token whose key or seal does not have 32 bytes is none: the contracts make no such thing.
fn token(state: &State, key: &Address) -> Fact {
    let gone = Fact::TokenGone(id(*key));
    let Some(token) = state.tokens.get(key) else { return gone };
    let (Ok(public_key), Ok(seal)) =
        (token.public_key.as_slice().try_into(), token.seal.as_slice().try_into())
    else {
        return gone;
    };
    Fact::Token(Token {
        id: id(token.id),
        stake: id(token.stake),
        public_key,
        seal,
        node_name: Some(token.node_name.clone()).filter(|name| !name.is_empty()),
        generation: token.generation,
        expires_ms: token.expires_ms,
        revoked: token.revoked,
    })
}

fn grant(state: &State, key: &Address) -> Fact {
    let Some(grant) = state.grants.get(key) else { return Fact::GrantGone(id(*key)) };
    Fact::Grant(Grant {
        id: id(grant.id),
        grantee: id(grant.grantee),
        namespace: Some(grant.namespace.clone()).filter(|namespace| !namespace.is_empty()),
        role: grant.role.clone(),
        expires_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use chain::{
        Applied, ClusterCreated, Config, ConfigChanged, GrantRevoked, Granted, KeyRotated, Staked, Tier,
        TierTerms, TokenIssued, TokenRenewed, TokenRevoked, ToppedUp, UnstakeRequested, Withdrawn,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::membership::Roster;

    const CLUSTER: Address = Address::ZERO;

    fn address(byte: u8) -> Address {
        Address::new([byte; 32])
    }

    fn event() -> impl Strategy<Value = Event> {
        let small = 1u8..4;
        let config = |minimum| Config {
            tiers: vec![TierTerms { minimum, lock_ms: 0 }; 3],
            unbonding_ms: 0,
            token_lifetime_ms: 1,
        };
        let cluster = CLUSTER;
        prop_oneof![
            (0u64..9).prop_map(move |minimum| Event::ConfigChanged(ConfigChanged {
                cluster,
                config: config(minimum)
            })),
            (small.clone(), 0u8..3, 0u64..9).prop_map(move |(stake, tier, amount)| Event::Staked(Staked {
                cluster,
                stake: address(stake),
                owner: address(9),
                tier: Tier::ALL[usize::from(tier)],
                amount,
                staked_ms: 1,
                locked_until_ms: 2,
                notice_ms: 1
            })),
            (small.clone(), 0u64..9).prop_map(move |(stake, amount)| Event::ToppedUp(ToppedUp {
                cluster,
                stake: address(stake),
                added: 1,
                amount
            })),
            small.clone().prop_map(move |stake| Event::UnstakeRequested(UnstakeRequested {
                cluster,
                stake: address(stake),
                unbonding_ms: 1,
                locked_until_ms: 2
            })),
            small.clone().prop_map(move |stake| Event::Withdrawn(Withdrawn {
                cluster,
                stake: address(stake),
                owner: address(9),
                amount: 1
            })),
            (small.clone(), 31usize..33, any::<bool>()).prop_map(move |(stake, length, named)| {
                Event::TokenIssued(TokenIssued {
                    cluster,
                    stake: address(stake),
                    token: address(stake + 10),
                    owner: address(9),
                    tier: Tier::Node,
                    public_key: vec![1; length],
                    node_name: if named { format!("n{stake}") } else { String::new() },
                    seal: vec![2; 32],
                    issued_ms: 1,
                    expires_ms: 100,
                    generation: 1,
                })
            }),
            small.clone().prop_map(move |stake| Event::TokenRenewed(TokenRenewed {
                cluster,
                stake: address(stake),
                token: address(stake + 10),
                expires_ms: 200
            })),
            small.clone().prop_map(move |stake| Event::KeyRotated(KeyRotated {
                cluster,
                stake: address(stake),
                token: address(stake + 10),
                public_key: vec![7; 32],
                generation: 2
            })),
            small.clone().prop_map(move |stake| Event::TokenRevoked(TokenRevoked {
                cluster,
                stake: address(stake),
                token: address(stake + 10),
                by_governance: false
            })),
            (small.clone(), "a?").prop_map(move |(grant, namespace)| Event::Granted(Granted {
                cluster,
                grant: address(grant),
                grantee: address(9),
                namespace,
                role: "edit".into()
            })),
            small.prop_map(move |grant| Event::GrantRevoked(GrantRevoked {
                cluster,
                grant: address(grant),
                grantee: address(9),
                namespace: String::new(),
                role: "edit".into()
            })),
        ]
    }

    proptest! {
        /// Following events one by one ends where reading everything at once does.
        #[test]
        fn events_and_state_say_the_same(events in prop::collection::vec(event(), 0..40)) {
            let mut state = State::new(CLUSTER);
            state.apply(&Event::ClusterCreated(ClusterCreated {
                cluster: CLUSTER,
                name: "c".into(),
                creator: address(9),
                governance: address(1),
                registry: address(2),
                names: address(3),
                anchor: address(4),
                pool: address(5),
                insurance: address(6),
                config: Config { tiers: vec![], unbonding_ms: 0, token_lifetime_ms: 1 },
            }));
            let mut followed = Roster::default();
            all(&state).into_iter().for_each(|fact| followed.apply(fact));
            for event in events {
                if state.apply(&event) == Applied::Changed {
                    of(&state, &event).into_iter().for_each(|fact| followed.apply(fact));
                }
                let mut read = Roster::default();
                all(&state).into_iter().for_each(|fact| read.apply(fact));
                // Gone tokens with a bad key were never there when read at once.
                prop_assert_eq!(&followed, &read, "after {:?}", event);
            }
        }
    }
}
