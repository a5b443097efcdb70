use std::collections::{BTreeMap, BTreeSet};

use seal_token::TokenRecord;

use crate::Id;
use crate::membership::{
    Binding, BindingKey, Fact, Grant, Requirements, Stake, Tier, Token, is_dns_subdomain,
};

/// What the chain says, as far as it was read.
///
/// Its size follows the chain's: what is gone there ([`Fact::StakeGone`] takes the stake's tokens along) is
/// gone here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    requirements: Requirements,
    stakes: BTreeMap<Id, Stake>,
    tokens: BTreeMap<Id, Token>,
    grants: BTreeMap<Id, Grant>,
    /// Tokens by the name that is pinned to them.
    names: BTreeMap<String, BTreeSet<Id>>,
}

impl Roster {
    /// Takes in one fact.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Requirements(requirements) => self.requirements = requirements,
            Fact::Stake(stake) => drop(self.stakes.insert(stake.id, stake)),
            Fact::StakeGone(id) => {
                self.stakes.remove(&id);
                let gone: Vec<Id> =
                    self.tokens.values().filter(|token| token.stake == id).map(|token| token.id).collect();
                gone.iter().for_each(|token| self.remove_token(token));
            }
            Fact::Token(token) => {
                self.remove_token(&token.id);
                if let Some(name) = &token.node_name {
                    self.names.entry(name.clone()).or_default().insert(token.id);
                }
                self.tokens.insert(token.id, token);
            }
            Fact::TokenGone(id) => self.remove_token(&id),
            Fact::Grant(grant) => drop(self.grants.insert(grant.id, grant)),
            Fact::GrantGone(id) => drop(self.grants.remove(&id)),
        }
    }

    /// A token by its id, live or not.
    pub fn token(&self, id: &Id) -> Option<&Token> {
        self.tokens.get(id)
    }

    /// A stake by its id.
    pub fn stake(&self, id: &Id) -> Option<&Stake> {
        self.stakes.get(id)
    }

    /// The stake behind a token.
    pub fn stake_of(&self, token: &Token) -> Option<&Stake> {
        self.stakes.get(&token.stake)
    }

    /// What a proof of token `id` is verified against.
    pub fn record(&self, id: &Id) -> Option<TokenRecord> {
        self.tokens.get(id).map(|token| TokenRecord {
            token_id: token.id.0,
            public_key: token.public_key,
            seal: token.seal,
            expires_ms: token.expires_ms,
            revoked: token.revoked,
            stake_covers_tier: self.stake_of(token).is_some_and(|stake| self.covers(stake)),
        })
    }

    /// Whether `token` is good at `now_ms`: not revoked, not run out, its stake active and large enough.
    pub fn is_live(&self, token: &Token, now_ms: u64) -> bool {
        !token.revoked
            && now_ms < token.expires_ms
            && self.stake_of(token).is_some_and(|stake| self.covers(stake))
    }

    /// The live node token to which `name` is pinned.
    pub fn live_node(&self, name: &str, now_ms: u64) -> Option<&Token> {
        let tokens = self.names.get(name)?.iter().filter_map(|id| self.tokens.get(id));
        tokens.into_iter().find(|token| self.is_live_node(token, now_ms))
    }

    /// Every live token of tier node whose pinned name Kubernetes accepts.
    pub fn live_nodes(&self, now_ms: u64) -> impl Iterator<Item = &Token> {
        self.tokens.values().filter(move |token| self.is_live_node(token, now_ms))
    }

    /// The RBAC objects that the grants amount to at `now_ms`: of every grant that has not ended and whose
    /// wallet has an active stake of the tier that it takes.
    pub fn bindings(&self, now_ms: u64) -> BTreeMap<BindingKey, Binding> {
        let mut tiers: BTreeMap<Id, Tier> = BTreeMap::new();
        for stake in self.stakes.values().filter(|stake| self.covers(stake)) {
            let highest = tiers.entry(stake.owner).or_insert(stake.tier);
            *highest = (*highest).max(stake.tier);
        }
        let holds = |grant: &&Grant| grant.expires_ms.is_none_or(|end| now_ms < end);
        self.grants
            .values()
            .filter(holds)
            .filter_map(|grant| {
                let (binding, needed) = Binding::of(grant)?;
                (*tiers.get(&grant.grantee)? >= needed).then(|| (binding.key.clone(), binding))
            })
            .collect()
    }

    fn is_live_node(&self, token: &Token, now_ms: u64) -> bool {
        token.node_name.as_deref().is_some_and(is_dns_subdomain)
            && self.stake_of(token).is_some_and(|stake| stake.tier == Tier::Node)
            && self.is_live(token, now_ms)
    }

    fn remove_token(&mut self, id: &Id) {
        let Some(name) = self.tokens.remove(id).and_then(|token| token.node_name) else { return };
        if let Some(tokens) = self.names.get_mut(&name) {
            tokens.remove(id);
            if tokens.is_empty() {
                self.names.remove(&name);
            }
        }
    }

    fn covers(&self, stake: &Stake) -> bool {
        stake.active && stake.amount_mist >= self.requirements.of(stake.tier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let mut roster = Roster::default();
        roster.apply(Fact::Requirements(Requirements {
            node_mist: 100,
            user_mist: 1000,
            admin_mist: 10_000,
        }));
        roster
    }

    fn stake(id: u8, tier: Tier, amount_mist: u64) -> Stake {
        Stake { id: Id([id; 32]), owner: Id([9; 32]), tier, amount_mist, active: true }
    }

    fn token(id: u8, stake: u8) -> Token {
        Token {
            id: Id([id; 32]),
            stake: Id([stake; 32]),
            public_key: [0; 32],
            seal: [0; 32],
            node_name: Some("n1".into()),
            generation: 0,
            expires_ms: 1000,
            revoked: false,
        }
    }

    #[test]
    fn a_node_is_live_only_while_everything_holds() {
        let mut roster = roster();
        roster.apply(Fact::Token(token(1, 2)));
        assert!(roster.live_node("n1", 0).is_none(), "no stake");
        roster.apply(Fact::Stake(stake(2, Tier::Node, 100)));
        assert!(roster.live_node("n1", 999).is_some());
        assert!(roster.live_node("n1", 1000).is_none(), "token ran out");
        assert!(roster.live_node("n2", 0).is_none());

        let refuted = |fact: Fact| {
            let mut roster = roster.clone();
            roster.apply(fact);
            roster.live_node("n1", 0).is_none()
        };
        assert!(refuted(Fact::Stake(stake(2, Tier::Node, 99))), "slashed below its tier");
        assert!(refuted(Fact::Stake(Stake { active: false, ..stake(2, Tier::Node, 100) })), "unbonding");
        assert!(refuted(Fact::Stake(stake(2, Tier::Admin, 100_000))), "not a node's stake");
        assert!(refuted(Fact::StakeGone(Id([2; 32]))));
        assert!(refuted(Fact::Token(Token { revoked: true, ..token(1, 2) })));
        assert!(refuted(Fact::Token(Token { node_name: Some("N/1".into()), ..token(1, 2) })));
        assert!(refuted(Fact::TokenGone(Id([1; 32]))));
        assert!(refuted(Fact::Requirements(Requirements { node_mist: 101, ..Requirements::default() })));
    }

    #[test]
    fn a_cluster_wide_grant_works_only_with_an_admin_stake() {
        let mut roster = roster();
        let grant = |id, namespace: Option<&str>, role: &str, expires_ms| {
            let namespace = namespace.map(str::to_owned);
            Fact::Grant(Grant {
                id: Id([id; 32]),
                grantee: Id([9; 32]),
                namespace,
                role: role.into(),
                expires_ms,
            })
        };
        roster.apply(grant(1, None, "cluster-admin", None));
        roster.apply(grant(2, Some("team"), "edit", Some(50)));
        let granted = |roster: &Roster, now_ms| -> Vec<Id> {
            roster.bindings(now_ms).into_values().map(|binding| binding.grant).collect()
        };
        assert!(granted(&roster, 0).is_empty(), "no stake");
        roster.apply(Fact::Stake(stake(3, Tier::Node, 100)));
        assert!(granted(&roster, 0).is_empty(), "a machine's stake uses nothing");
        roster.apply(Fact::Stake(stake(4, Tier::User, 1000)));
        assert_eq!(granted(&roster, 49), [Id([2; 32])]);
        assert!(granted(&roster, 50).is_empty(), "grant ended");
        roster.apply(Fact::Stake(stake(5, Tier::Admin, 10_000)));
        assert_eq!(granted(&roster, 50), [Id([1; 32])]);
        roster.apply(Fact::Stake(Stake { active: false, ..stake(5, Tier::Admin, 10_000) }));
        assert!(granted(&roster, 50).is_empty(), "admin stake is being withdrawn");
    }
}
