use std::collections::BTreeMap;

use seal_token::{Proof, Refusal as ProofRefusal};

use crate::Id;
use crate::membership::binding::group;
use crate::membership::{
    CERTIFICATE_GROUP_PREFIX, Fact, NODE_USER_PREFIX, Nonces, Refusal, Roster, Tier, Token, is_dns_subdomain,
};

/// What the membership accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Window of a proof.
    pub proof: seal_token::Limits,
    /// How long the chain may be silent before no new node is admitted, milliseconds.
    pub chain_silence_ms: u64,
}

/// Decides about one credential at a time: who may join, whose certificate still counts, who a user is.
///
/// A state machine without IO: facts and contacts with the chain come in through [`Self::apply`] and
/// [`Self::chain_contact`], the clock with every question.
#[derive(Clone, Debug)]
pub struct Membership {
    audience: [u8; 32],
    limits: Limits,
    roster: Roster,
    nonces: Nonces,
    /// Name of each node that has certificates, with the token that it joined under.
    joined: BTreeMap<String, Id>,
    last_contact_ms: Option<u64>,
}

/// A node that showed a good credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Name pinned on chain.
    pub name: String,
    /// Seal token.
    pub token: Id,
    /// Its generation.
    pub generation: u64,
    /// Stake behind it.
    pub stake: Id,
}

impl NodeIdentity {
    /// The group that ties a certificate to this token; see [`CERTIFICATE_GROUP_PREFIX`].
    pub fn certificate_group(&self) -> String {
        format!("{CERTIFICATE_GROUP_PREFIX}{}.{}", self.token, self.generation)
    }
}

/// User and groups of a client certificate, or of an authorization question that came by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// Common name.
    pub user: String,
    /// Organizations.
    pub groups: Vec<String>,
}

impl NodeCertificate {
    /// Token, generation and, for a kubelet's, SHA-256 of the key, as its group has them.
    fn bound(&self) -> Option<(&str, &str, Option<&str>)> {
        let text = self.groups.iter().find_map(|group| group.strip_prefix(CERTIFICATE_GROUP_PREFIX))?;
        let (token, rest) = text.split_once('.')?;
        Some(match rest.split_once('.') {
            Some((generation, key)) => (token, generation, Some(key)),
            None => (token, rest, None),
        })
    }

    /// SHA-256 of the key that it is for, where it says so.
    pub fn key(&self) -> Option<[u8; 32]> {
        let mut key = [0; 32];
        hex::decode_to_slice(self.bound()?.2?, &mut key).ok().map(|()| key)
    }

    /// Whether it is a kubelet's.
    pub fn is_kubelets(&self) -> bool {
        self.user.starts_with(NODE_USER_PREFIX)
    }
}

/// A wallet as Kubernetes sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `sui:<address of the stake's owner>`.
    pub name: String,
    /// Stake object id.
    pub uid: String,
    /// `k3s-daas:stakers`, the tier's group, and the groups that grants are bound to.
    pub groups: Vec<String>,
    /// The stake's tier.
    pub tier: Tier,
    /// Seal token that it came with.
    pub token: Id,
}

impl Membership {
    /// Knows nothing and admits nobody. `audience` is the SHA-256 of the cluster CA in DER.
    pub fn new(audience: [u8; 32], limits: Limits) -> Self {
        Self {
            audience,
            limits,
            roster: Roster::default(),
            nonces: Nonces::default(),
            joined: BTreeMap::new(),
            last_contact_ms: None,
        }
    }

    /// Takes in one fact of the chain.
    pub fn apply(&mut self, fact: Fact) {
        self.roster.apply(fact);
    }

    /// Forgets what the chain said and takes in `facts`, which are everything.
    pub fn reload(&mut self, facts: impl IntoIterator<Item = Fact>) {
        self.roster = Roster::default();
        facts.into_iter().for_each(|fact| self.roster.apply(fact));
    }

    /// The chain answered at `now_ms`, and every fact up to then was applied.
    pub fn chain_contact(&mut self, now_ms: u64) {
        self.last_contact_ms = self.last_contact_ms.max(Some(now_ms));
    }

    /// Time passes: forgets what no longer matters.
    pub fn tick(&mut self, now_ms: u64) {
        self.nonces.tick(now_ms);
        let roster = &self.roster;
        self.joined
            .retain(|name, token| roster.live_node(name, now_ms).is_some_and(|live| live.id == *token));
    }

    /// What the chain says.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether anything was read from the chain yet.
    pub fn is_synced(&self) -> bool {
        self.last_contact_ms.is_some()
    }

    /// Node `name` has certificates under `token`, or a Node in Kubernetes that says so.
    pub fn joined(&mut self, name: &str, token: Id) {
        self.joined.insert(name.to_owned(), token);
    }

    /// Which node a proof belongs to. `requested` is the name that the request asks for, if it does.
    pub fn node_by_proof(
        &self,
        proof: &Proof,
        requested: Option<&str>,
        now_ms: u64,
    ) -> Result<NodeIdentity, Refusal> {
        let token = self.token_of(proof, now_ms)?;
        self.node_identity(token, requested)
    }

    /// Which node a client certificate belongs to, and that its token is live and still the same.
    pub fn node_by_certificate(
        &self,
        certificate: &NodeCertificate,
        requested: Option<&str>,
        now_ms: u64,
    ) -> Result<NodeIdentity, Refusal> {
        let (token, generation, _) = certificate.bound().ok_or(Refusal::NotANodeCertificate)?;
        let token: Id = token.parse().map_err(|_| Refusal::NotANodeCertificate)?;
        if !self.is_synced() {
            return Err(Refusal::ChainNotSynced);
        }
        let token = self.roster.token(&token).ok_or(Refusal::CertificateRevoked)?;
        if !self.roster.is_live(token, now_ms) || token.generation.to_string() != generation {
            return Err(Refusal::CertificateRevoked);
        }
        let identity = self.node_identity(token, requested)?;
        match certificate.user.strip_prefix(NODE_USER_PREFIX) {
            Some(name) if name != identity.name => Err(Refusal::CertificateRevoked),
            _ => Ok(identity),
        }
    }

    /// Whether `identity` may have a certificate now. A node that has none yet is let in only while the chain
    /// is in reach; one that has joined renews from what is known.
    pub fn admit(&self, identity: &NodeIdentity, now_ms: u64) -> Result<(), Refusal> {
        let last = self.last_contact_ms.ok_or(Refusal::ChainNotSynced)?;
        let silent = now_ms.saturating_sub(last) > self.limits.chain_silence_ms;
        if silent && self.joined.get(&identity.name) != Some(&identity.token) {
            return Err(Refusal::ChainUnreachable);
        }
        Ok(())
    }

    /// Ties a proof to the key that it certifies in one kind of call; see [`Nonces`].
    pub fn tie(&mut self, proof: &Proof, call: &'static str, key_hash: [u8; 32]) -> Result<(), Refusal> {
        let claims = &proof.claims;
        let forget_ms = claims.not_after_ms.saturating_add(self.limits.proof.max_clock_skew_ms);
        self.nonces.tie(Id(claims.token_id), claims.nonce, call, key_hash, forget_ms)
    }

    /// Who a bearer of `proof` is to Kubernetes.
    pub fn user(&self, proof: &Proof, now_ms: u64) -> Result<User, Refusal> {
        let token = self.token_of(proof, now_ms)?;
        let stake = self.roster.stake_of(token).ok_or(ProofRefusal::StakeInsufficient)?;
        let mut groups = vec!["k3s-daas:stakers".to_owned(), format!("k3s-daas:tier:{}", stake.tier)];
        let tiers = [Tier::User, Tier::Admin].into_iter().filter(|tier| *tier <= stake.tier);
        groups.extend(tiers.map(|tier| group(tier, &stake.owner)));
        Ok(User {
            name: format!("sui:{}", stake.owner),
            uid: stake.id.to_string(),
            groups,
            tier: stake.tier,
            token: token.id,
        })
    }

    fn token_of(&self, proof: &Proof, now_ms: u64) -> Result<&Token, Refusal> {
        if !self.is_synced() {
            return Err(Refusal::ChainNotSynced);
        }
        let id = Id(proof.claims.token_id);
        let record = self.roster.record(&id);
        seal_token::verify(proof, &self.audience, record.as_ref(), now_ms, &self.limits.proof)?;
        self.roster.token(&id).ok_or(Refusal::Proof(ProofRefusal::UnknownToken))
    }

    fn node_identity(&self, token: &Token, requested: Option<&str>) -> Result<NodeIdentity, Refusal> {
        let tier = self.roster.stake_of(token).map(|stake| stake.tier);
        let name = token.node_name.as_deref().filter(|_| tier == Some(Tier::Node));
        let name = name.ok_or(Refusal::NotANodeToken)?;
        if !is_dns_subdomain(name) {
            return Err(Refusal::BadNodeName);
        }
        if requested.is_some_and(|requested| requested != name) {
            return Err(Refusal::NodeNameMismatch { pinned: name.to_owned() });
        }
        Ok(NodeIdentity {
            name: name.to_owned(),
            token: token.id,
            generation: token.generation,
            stake: token.stake,
        })
    }
}
