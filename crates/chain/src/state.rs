use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sui_sdk_types::Address;

use crate::state_money::Money;
use crate::{AdminCap, Cluster, Enclave, Event, Grant, Penalties, Registry, SealToken, Stake};

/// Everything about one cluster, rebuilt from its events alone. A pure fold: the same events give the same
/// state. Persist it together with the [`Cursor`](crate::Cursor) to start from there.
///
/// ```
/// # use chain::{Address, State};
/// let state = State::new(Address::ZERO);
/// assert!(state.stakes.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The cluster that is followed; events of others are ignored.
    pub id: Address,
    /// The cluster, once it is there.
    pub cluster: Option<Cluster>,
    /// The code that it trusts.
    pub registry: Option<Registry>,
    /// Capabilities to change it, and who was given each.
    pub caps: BTreeMap<Address, (AdminCap, Address)>,
    /// Enclaves by id.
    pub enclaves: BTreeMap<Address, Enclave>,
    /// Stakes by id, until they are paid out.
    pub stakes: BTreeMap<Address, Stake>,
    /// Seal tokens by id, until their stake is paid out. A stake has one at most.
    pub tokens: BTreeMap<Address, SealToken>,
    /// Grants by id.
    pub grants: BTreeMap<Address, Grant>,
    /// Economics, pools, escrows, penalties and the anchor.
    pub money: Money,
}

/// What [`State::apply`] did with an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The state has changed.
    Changed,
    /// The event is about another cluster, or not known to this version.
    Ignored,
    /// The event does not fit what came before: events before it are missing.
    Unexpected(String),
}

/// Version of every object that the contracts make today; events do not repeat it.
const VERSION: u64 = 1;

impl State {
    /// Nothing is known yet of cluster `id`.
    pub fn new(id: Address) -> State {
        State {
            id,
            cluster: None,
            registry: None,
            caps: BTreeMap::new(),
            enclaves: BTreeMap::new(),
            stakes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            grants: BTreeMap::new(),
            money: Money::default(),
        }
    }

    /// Applies the next event.
    pub fn apply(&mut self, event: &Event) -> Applied {
        if event.cluster() != Some(self.id) {
            return Applied::Ignored;
        }
        match self.fold(event) {
            Some(()) => Applied::Changed,
            None => {
                Applied::Unexpected(format!("{event:?} does not fit what is known of cluster {}", self.id))
            }
        }
    }

    /// Whether a stake counts: it is there, was not asked back, and holds what its tier demands now.
    pub fn covers_tier(&self, stake: &Address) -> bool {
        match (&self.cluster, self.stakes.get(stake)) {
            (Some(cluster), Some(stake)) => stake.covers_tier(&cluster.config),
            _ => false,
        }
    }

    /// Whether the contracts would accept statements of an enclave.
    pub fn enclave_in_standing(&self, enclave: &Address, now_ms: u64) -> bool {
        match (&self.registry, self.enclaves.get(enclave)) {
            (Some(registry), Some(enclave)) => enclave.in_standing(registry, now_ms),
            _ => false,
        }
    }

    /// `None` when the event speaks of something that is not there.
    fn fold(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::ClusterCreated(e) => {
                self.cluster = Some(Cluster {
                    id: e.cluster,
                    version: VERSION,
                    name: e.name.clone(),
                    gateway: String::new(),
                    apiserver: String::new(),
                    ca_hash: Vec::new(),
                    enclave: None,
                    config: e.config.clone(),
                    governance: e.governance,
                    registry: e.registry,
                    names: e.names,
                    anchor: e.anchor,
                    pool: e.pool,
                    insurance: e.insurance,
                    paused_until_ms: 0,
                });
            }
            Event::ConfigChanged(e) => self.cluster.as_mut()?.config = e.config.clone(),
            Event::PlaceChanged(e) => {
                let cluster = self.cluster.as_mut()?;
                cluster.gateway = e.gateway.clone();
                cluster.apiserver = e.apiserver.clone();
                cluster.ca_hash = e.ca_hash.clone();
                cluster.enclave = Some(e.enclave);
            }
            Event::CapIssued(e) => {
                let cap = AdminCap { id: e.cap, cluster: e.cluster, expires_ms: e.expires_ms };
                self.caps.insert(e.cap, (cap, e.recipient));
            }
            Event::CapRevoked(e) => {
                self.money.offers.remove(&e.cap);
                self.caps.remove(&e.cap)?;
            }
            Event::Granted(e) => {
                let grant = Grant {
                    id: e.grant,
                    version: VERSION,
                    cluster: e.cluster,
                    grantee: e.grantee,
                    namespace: e.namespace.clone(),
                    role: e.role.clone(),
                };
                self.grants.insert(e.grant, grant);
            }
            Event::GrantRevoked(e) => {
                self.grants.remove(&e.grant)?;
            }
            Event::Migrated(e) => self.migrate(e.object, e.version),
            Event::PauseChanged(e) => self.cluster.as_mut()?.paused_until_ms = e.paused_until_ms,
            _ => {
                return self
                    .fold_trust(event)
                    .or_else(|| self.fold_stake(event))
                    .or_else(|| self.fold_token(event))
                    .or_else(|| self.money.fold(event, &mut self.stakes));
            }
        }
        Some(())
    }

    /// Gives an object its version. Those that no event describes any further (governance, names) have none here.
    fn migrate(&mut self, object: Address, version: u64) {
        let places = [
            self.cluster.iter_mut().filter(|one| one.id == object).map(|one| &mut one.version).next(),
            self.registry.iter_mut().filter(|one| one.id == object).map(|one| &mut one.version).next(),
            self.enclaves.get_mut(&object).map(|one| &mut one.version),
            self.stakes.get_mut(&object).map(|one| &mut one.version),
            self.tokens.get_mut(&object).map(|one| &mut one.version),
            self.grants.get_mut(&object).map(|one| &mut one.version),
            self.money.version_of(object),
        ];
        places.into_iter().flatten().for_each(|place| *place = version);
    }

    fn fold_trust(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::RegistryCreated(e) => {
                self.registry = Some(Registry {
                    id: e.registry,
                    version: VERSION,
                    cluster: e.cluster,
                    allow_simulated: e.allow_simulated,
                    allowed: Vec::new(),
                    retires_ms: Vec::new(),
                    verifiers: Vec::new(),
                    threshold: 1,
                    bounds: Vec::new(),
                    worker_code: Vec::new(),
                });
            }
            Event::MeasurementAllowed(e) => {
                let registry = self.registry.as_mut()?;
                registry.allowed.push(e.measurement.clone());
                registry.retires_ms.push(u64::MAX);
            }
            Event::MeasurementRetired(e) => {
                let registry = self.registry.as_mut()?;
                let at = registry.allowed.iter().position(|measurement| *measurement == e.measurement)?;
                registry.allowed.remove(at);
                if at < registry.retires_ms.len() {
                    registry.retires_ms.remove(at);
                }
            }
            Event::VerifiersSet(e) => {
                let registry = self.registry.as_mut()?;
                registry.verifiers = e.verifiers.clone();
                registry.threshold = e.threshold;
            }
            Event::TcbBoundsSet(e) => {
                let bounds = &mut self.registry.as_mut()?.bounds;
                match bounds.iter_mut().find(|known| known.platform == e.bounds.platform) {
                    Some(known) => *known = e.bounds.clone(),
                    None => bounds.push(e.bounds.clone()),
                }
            }
            Event::TcbBoundsCleared(e) => {
                self.registry.as_mut()?.bounds.retain(|known| known.platform != e.platform);
            }
            Event::WorkerMeasurementAllowed(e) => {
                self.registry.as_mut()?.worker_code.push(e.measurement.clone());
            }
            Event::WorkerMeasurementRetired(e) => {
                self.registry.as_mut()?.worker_code.retain(|measurement| *measurement != e.measurement);
            }
            Event::EnclaveRegistered(e) => {
                let enclave = Enclave {
                    id: e.enclave,
                    version: VERSION,
                    cluster: e.cluster,
                    public_key: e.public_key.clone(),
                    measurement: e.measurement.clone(),
                    expires_ms: e.expires_ms,
                    registered_ms: e.registered_ms,
                    latest_ms: Vec::new(),
                };
                self.enclaves.insert(e.enclave, enclave);
            }
            Event::RetirementPlanned(e) => {
                let registry = self.registry.as_mut()?;
                let at = registry.allowed.iter().position(|measurement| *measurement == e.measurement)?;
                *registry.retires_ms.get_mut(at)? = e.at_ms;
            }
            Event::StatementAccepted(e) => {
                let latest_ms = &mut self.enclaves.get_mut(&e.enclave)?.latest_ms;
                let at = usize::from(e.intent);
                latest_ms.resize(latest_ms.len().max(at + 1), 0);
                latest_ms[at] = e.timestamp_ms;
            }
            Event::EnclaveRevoked(e) => self.enclaves.get_mut(&e.enclave)?.expires_ms = 0,
            _ => return None,
        }
        Some(())
    }

    fn fold_stake(&mut self, event: &Event) -> Option<()> {
        match event {
            // An id is made once: a second time is a replay.
            Event::Staked(e) if self.stakes.contains_key(&e.stake) => return None,
            Event::Staked(e) => {
                let stake = Stake {
                    id: e.stake,
                    version: VERSION,
                    cluster: e.cluster,
                    owner: e.owner,
                    tier: e.tier,
                    amount: e.amount,
                    staked_ms: e.staked_ms,
                    locked_until_ms: e.locked_until_ms,
                    unbonding_ms: None,
                    node_name: None,
                    token: None,
                    generation: 0,
                    notice_ms: e.notice_ms,
                    penalties: Penalties {
                        period_ms: e.staked_ms,
                        base: e.amount,
                        judged_ms: vec![0; 4],
                        ..Penalties::default()
                    },
                };
                self.stakes.insert(e.stake, stake);
            }
            Event::ToppedUp(e) => self.stakes.get_mut(&e.stake)?.amount = e.amount,
            // A plan of its owner: what is locked stays as it is.
            Event::MaintenanceAnnounced(e) => {
                self.stakes.get(&e.stake)?;
            }
            Event::UnstakeRequested(e) => {
                let stake = self.stakes.get_mut(&e.stake)?;
                stake.unbonding_ms = Some(e.unbonding_ms);
                stake.locked_until_ms = e.locked_until_ms;
            }
            Event::Withdrawn(e) => {
                let stake = self.stakes.remove(&e.stake)?;
                // The token object outlives its stake and can never speak for anything again.
                stake.token.and_then(|token| self.tokens.remove(&token));
            }
            _ => return None,
        }
        Some(())
    }

    fn fold_token(&mut self, event: &Event) -> Option<()> {
        match event {
            Event::TokenIssued(e) => {
                let stake = self.stakes.get_mut(&e.stake)?;
                if stake.token.is_some_and(|token| token != e.token) {
                    return None;
                }
                stake.token = Some(e.token);
                stake.generation = e.generation;
                if !e.node_name.is_empty() {
                    stake.node_name = Some(e.node_name.clone());
                }
                let token = SealToken {
                    id: e.token,
                    version: VERSION,
                    cluster: e.cluster,
                    stake: e.stake,
                    owner: e.owner,
                    public_key: e.public_key.clone(),
                    node_name: e.node_name.clone(),
                    seal: e.seal.clone(),
                    issued_ms: e.issued_ms,
                    expires_ms: e.expires_ms,
                    generation: e.generation,
                    revoked: false,
                    barred: false,
                };
                self.tokens.insert(e.token, token);
            }
            Event::TokenRenewed(e) => self.tokens.get_mut(&e.token)?.expires_ms = e.expires_ms,
            Event::KeyRotated(e) => {
                let stake = self.stakes.get_mut(&e.stake)?;
                let token = self.tokens.get_mut(&e.token)?;
                stake.generation = e.generation;
                token.public_key = e.public_key.clone();
                token.generation = e.generation;
            }
            // A token can be revoked after its stake was paid out and both were forgotten.
            Event::TokenRevoked(e) => match self.tokens.get_mut(&e.token) {
                Some(token) => {
                    token.revoked = true;
                    token.barred |= e.by_governance;
                }
                None if self.stakes.contains_key(&e.stake) => return None,
                None => {}
            },
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::*;

    const CLUSTER: Address = Address::ZERO;

    fn id(byte: u8) -> Address {
        Address::new([byte; 32])
    }

    fn staked(stake: u8, tier: Tier, amount: u64) -> Event {
        Event::Staked(Staked {
            cluster: CLUSTER,
            stake: id(stake),
            owner: id(9),
            tier,
            amount,
            staked_ms: 1,
            locked_until_ms: 2,
            notice_ms: 3,
        })
    }

    fn issued(stake: u8, token: u8, generation: u64) -> Event {
        Event::TokenIssued(TokenIssued {
            cluster: CLUSTER,
            stake: id(stake),
            token: id(token),
            owner: id(9),
            tier: Tier::Node,
            public_key: vec![1; 32],
            node_name: format!("node-{stake}"),
            seal: vec![2; 32],
            issued_ms: 3,
            expires_ms: 4,
            generation,
        })
    }

    fn created(minimum: u64) -> Event {
        Event::ClusterCreated(ClusterCreated {
            cluster: CLUSTER,
            name: "c".into(),
            creator: id(9),
            governance: id(1),
            registry: id(2),
            names: id(3),
            anchor: id(4),
            pool: id(5),
            insurance: id(6),
            config: Config {
                tiers: vec![TierTerms { minimum, lock_ms: 0 }; 3],
                unbonding_ms: 0,
                token_lifetime_ms: 1,
            },
        })
    }

    #[test]
    fn a_raised_minimum_uncovers_a_stake_and_a_top_up_covers_it() {
        let mut state = State::new(CLUSTER);
        state.apply(&created(100));
        state.apply(&staked(5, Tier::Node, 100));
        assert!(state.covers_tier(&id(5)));
        let mut config = state.cluster.as_ref().unwrap().config.clone();
        config.tiers[0].minimum = 101;
        state.apply(&Event::ConfigChanged(ConfigChanged { cluster: CLUSTER, config }));
        assert!(!state.covers_tier(&id(5)));
        state.apply(&Event::ToppedUp(ToppedUp { cluster: CLUSTER, stake: id(5), added: 1, amount: 101 }));
        assert!(state.covers_tier(&id(5)));
    }

    #[test]
    fn a_token_goes_with_its_stake_and_may_be_revoked_after() {
        let mut state = State::new(CLUSTER);
        state.apply(&staked(5, Tier::Node, 100));
        state.apply(&issued(5, 6, 1));
        let paid = Withdrawn { cluster: CLUSTER, stake: id(5), owner: id(9), amount: 100 };
        assert_eq!(state.apply(&Event::Withdrawn(paid)), Applied::Changed);
        assert!(state.tokens.is_empty() && state.stakes.is_empty());
        let revoked = TokenRevoked { cluster: CLUSTER, stake: id(5), token: id(6), by_governance: false };
        assert_eq!(state.apply(&Event::TokenRevoked(revoked)), Applied::Changed);
    }

    #[test]
    fn events_of_another_cluster_and_unknown_ones_are_ignored() {
        let mut state = State::new(id(77));
        assert_eq!(state.apply(&created(1)), Applied::Ignored);
        let unknown = Event::Unknown { name: "slashing::Slashed".into(), contents: vec![1] };
        assert_eq!(state.apply(&unknown), Applied::Ignored);
        assert_eq!(state, State::new(id(77)));
    }

    #[test]
    fn it_survives_being_written_down() {
        let mut state = State::new(CLUSTER);
        state.apply(&created(100));
        state.apply(&staked(5, Tier::Node, 100));
        state.apply(&issued(5, 6, 1));
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }

    fn event() -> impl Strategy<Value = Event> {
        let small = 0u8..4;
        prop_oneof![
            (small.clone(), any::<u64>()).prop_map(|(s, a)| staked(s, Tier::Node, a)),
            (small.clone(), any::<u64>()).prop_map(|(s, g)| issued(s, s + 10, g)),
            (small.clone(), any::<u64>()).prop_map(|(s, amount)| Event::ToppedUp(ToppedUp {
                cluster: CLUSTER,
                stake: id(s),
                added: 0,
                amount
            })),
            small.clone().prop_map(|s| Event::UnstakeRequested(UnstakeRequested {
                cluster: CLUSTER,
                stake: id(s),
                unbonding_ms: 1,
                locked_until_ms: 2
            })),
            small.clone().prop_map(|s| Event::Withdrawn(Withdrawn {
                cluster: CLUSTER,
                stake: id(s),
                owner: id(9),
                amount: 1
            })),
            small.clone().prop_map(|s| Event::KeyRotated(KeyRotated {
                cluster: CLUSTER,
                stake: id(s),
                token: id(s + 10),
                public_key: vec![],
                generation: 1
            })),
            small.clone().prop_map(|s| Event::TokenRenewed(TokenRenewed {
                cluster: CLUSTER,
                stake: id(s),
                token: id(s + 10),
                expires_ms: 1
            })),
            small.clone().prop_map(|s| Event::TokenRevoked(TokenRevoked {
                cluster: CLUSTER,
                stake: id(s),
                token: id(s + 10),
                by_governance: true
            })),
            small.clone().prop_map(|s| Event::MeasurementRetired(MeasurementRetired {
                cluster: CLUSTER,
                measurement: Measurement { platform: s.to_string(), names: vec![], values: vec![] }
            })),
            small.prop_map(|s| Event::GrantRevoked(GrantRevoked {
                cluster: CLUSTER,
                grant: id(s),
                grantee: id(9),
                namespace: String::new(),
                role: String::new()
            })),
        ]
    }

    proptest! {
        /// In whatever order events come: no panic, what does not fit changes nothing, and tokens and stakes
        /// always point at each other.
        #[test]
        fn the_fold_keeps_its_invariants(events in proptest::collection::vec(event(), 0..60)) {
            let mut state = State::new(CLUSTER);
            for event in events {
                let before = state.clone();
                if matches!(state.apply(&event), Applied::Unexpected(_)) {
                    prop_assert_eq!(&state, &before);
                }
                for (id, token) in &state.tokens {
                    prop_assert_eq!(state.stakes[&token.stake].token, Some(*id));
                }
            }
        }
    }
}
