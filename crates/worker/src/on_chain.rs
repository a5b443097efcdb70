use async_trait::async_trait;
use chain::{
    Address, Calls, Client, Cluster, Enclave, Keypair, Measurement, MoveObject, Registry, SealToken, Shard,
    Stake, TokenPath,
};

use crate::ObjectId;
use crate::agent::{Failure, FailureKind, MEASUREMENT_RETIRED, Target, Token, View};
use crate::chain_source::{ChainSource, Epoch, PostedShare};

/// Values of a retired measurement's allowed counterparts that are listed at most.
const MAX_LISTED: usize = 3;

/// The contracts on a Sui endpoint, as a worker reads them.
pub struct OnChain {
    client: Client,
    package: Address,
    cluster: Address,
    token: Address,
    wallet: Option<Keypair>,
}

impl OnChain {
    /// Reads `token` of `cluster` in the contracts of `package`. With a `wallet`, which must own the stake,
    /// the token can be renewed.
    pub fn new(
        client: Client,
        package: ObjectId,
        cluster: ObjectId,
        token: ObjectId,
        wallet: Option<Keypair>,
    ) -> Self {
        Self { client, package: package.into(), cluster: cluster.into(), token: token.into(), wallet }
    }

    async fn read<T: MoveObject>(&self, id: Address) -> Result<Option<T>, chain::Error> {
        match self.client.read(self.package, id).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read_view(&self) -> Result<View, chain::Error> {
        let (cluster, token) =
            tokio::try_join!(self.client.read::<Cluster>(self.package, self.cluster), self.read(self.token))?;
        let (target, token) = tokio::try_join!(self.read_target(&cluster), self.read_token(&cluster, token))?;
        Ok(View { target, token })
    }

    async fn read_target(&self, cluster: &Cluster) -> Result<Result<Target, api::ErrorBody>, chain::Error> {
        let Some(enclave_id) = cluster.enclave else {
            return Ok(Err(lacking(
                "no_gateway",
                "the cluster's master has not announced itself on chain yet",
            )));
        };
        let (registry, enclave) = tokio::try_join!(
            self.client.read::<Registry>(self.package, cluster.registry),
            self.read::<Enclave>(enclave_id)
        )?;
        Ok(target(cluster, &registry, enclave.as_ref()))
    }

    async fn read_epoch(&self, share: &PostedShare) -> Result<Option<Epoch>, chain::Error> {
        let found = self.read::<chain::Epoch>(share.epoch).await?;
        let ours = |epoch: &chain::Epoch| epoch.cluster == self.cluster && epoch.number == share.number;
        let Some(epoch) = found.filter(ours) else { return Ok(None) };
        let shard = match share.shard {
            Some(id) => self.read::<Shard>(id).await?.filter(|shard| shard.epoch == epoch.id),
            None => None,
        };
        let (byte, bit) = (usize::from(share.index / 8), share.index % 8);
        let claimed = |shard: &Shard| shard.claimed.get(byte).is_some_and(|bits| bits & (1 << bit) != 0);
        Ok(Some(Epoch {
            budget: epoch.budget,
            weight: epoch.weight,
            deadline_ms: epoch.deadline_ms,
            claimed: shard.as_ref().is_some_and(claimed),
        }))
    }

    async fn read_token(
        &self,
        cluster: &Cluster,
        token: Option<SealToken>,
    ) -> Result<Option<Token>, chain::Error> {
        let Some(token) = token.filter(|token| token.cluster == self.cluster) else { return Ok(None) };
        let stake = self.read::<Stake>(token.stake).await?;
        member(cluster, &token, stake.as_ref()).map(Some)
    }
}

#[async_trait]
impl ChainSource for OnChain {
    fn url(&self) -> &str {
        self.client.url()
    }

    fn can_renew_token(&self) -> bool {
        self.wallet.is_some()
    }

    async fn view(&self) -> Result<View, Failure> {
        self.read_view().await.map_err(|error| failure(&error))
    }

    async fn epoch(&self, share: &PostedShare) -> Result<Option<Epoch>, Failure> {
        self.read_epoch(share).await.map_err(|error| failure(&error))
    }

    async fn renew_token(&self) -> Result<(), Failure> {
        let Some(wallet) = &self.wallet else {
            return Err(Failure {
                kind: FailureKind::Failed,
                reason: "no_wallet".to_owned(),
                message: "no wallet is configured to renew the seal token with".to_owned(),
            });
        };
        let renewed = async {
            let token: SealToken = self.client.read(self.package, self.token).await?;
            let path = TokenPath { token: self.token, stake: token.stake, cluster: self.cluster };
            self.client.execute(wallet, &Calls::new(self.package).renew_token(path)).await
        };
        let receipt = renewed.await.map_err(|error| failure(&error))?;
        tracing::info!(digest = %receipt.digest, "renewed the seal token");
        Ok(())
    }
}

/// The gateway, if the chain vouches for its enclave.
fn target(
    cluster: &Cluster,
    registry: &Registry,
    enclave: Option<&Enclave>,
) -> Result<Target, api::ErrorBody> {
    let enclave = enclave
        .filter(|enclave| enclave.cluster == cluster.id)
        .ok_or_else(|| lacking("no_enclave", "the enclave that the cluster names is not on chain"))?;
    let malformed = |what| lacking("chain_malformed", &format!("the {what} on chain is not 32 bytes"));
    let measurement = &enclave.measurement;
    let platform: tee::PlatformKind =
        measurement.platform.parse().map_err(|error| lacking("unknown_platform", &format!("{error}")))?;
    if platform == tee::PlatformKind::Simulated && !registry.allow_simulated {
        return Err(lacking(
            "simulated_not_allowed",
            "the cluster's enclave is simulated, its registry wants none",
        ));
    }
    let Some(at) = registry.allowed.iter().position(|allowed| allowed == measurement) else {
        return Err(lacking(MEASUREMENT_RETIRED, &retired(measurement, registry)));
    };
    Ok(Target {
        endpoint: cluster.gateway.clone(),
        ca_hash: bytes32(&cluster.ca_hash).ok_or_else(|| malformed("cluster's CA hash"))?,
        enclave_id: enclave.id.into_inner(),
        enclave_key: bytes32(&enclave.public_key).ok_or_else(|| malformed("enclave's key"))?,
        enclave_expires_ms: enclave.expires_ms,
        code_retires_ms: registry.retires_ms.get(at).copied().unwrap_or(u64::MAX),
        // What verifiers vouched for together with the key, and nothing else.
        allowed: vec![(platform, measurement.to_map())],
        bounds: registry.bounds.iter().filter_map(bounds).collect(),
    })
}

fn bounds(of: &chain::TcbBounds) -> Option<(tee::PlatformKind, tee::TcbBounds)> {
    let advisories = of.tolerated_advisories();
    tee::TcbBounds::named(&of.platform, &of.components, &of.minimums, &of.statuses, advisories, of.max_age_ms)
}

fn member(cluster: &Cluster, token: &SealToken, stake: Option<&Stake>) -> Result<Token, chain::Error> {
    let malformed = |what| chain::Error::Malformed { what, reason: "it is not 32 bytes".to_owned() };
    let covers = |stake: &Stake| {
        stake.cluster == cluster.id && stake.token == Some(token.id) && stake.covers_tier(&cluster.config)
    };
    Ok(Token {
        stake_id: token.stake.into_inner(),
        node_name: token.node_name.clone(),
        public_key: bytes32(&token.public_key).ok_or_else(|| malformed("the token's key"))?,
        seal: bytes32(&token.seal).ok_or_else(|| malformed("the token's seal"))?,
        expires_ms: token.expires_ms,
        lifetime_ms: cluster.config.token_lifetime_ms,
        revoked: token.revoked,
        stake_covers_tier: stake.is_some_and(covers),
        stake: stake.map(|stake| api::StakeStatus {
            mist: stake.amount,
            frozen_mist: stake.penalties.frozen,
            locked_until_ms: stake.locked_until_ms,
            unbonding_ms: stake.unbonding_ms,
        }),
    })
}

/// Says which value of the enclave's measurement is not allowed, and what is.
fn retired(measurement: &Measurement, registry: &Registry) -> String {
    let of_platform = || registry.allowed.iter().filter(|allowed| allowed.platform == measurement.platform);
    let differing = measurement
        .to_map()
        .into_iter()
        .find(|(name, value)| !of_platform().any(|allowed| allowed.to_map().get(name) == Some(value)));
    let Some((name, actual)) = differing else {
        return "the measurement of the cluster's enclave is not allowed on chain; its operator must register \
                it anew"
            .to_owned();
    };
    let allowed: Vec<_> = of_platform()
        .filter_map(|allowed| allowed.to_map().remove(&name))
        .take(MAX_LISTED)
        .map(hex::encode)
        .collect();
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(" or ") };
    format!(
        "measurement {name:?} of the cluster's enclave differs from what the chain allows: expected {allowed}, \
         actual {}; its operator must register it anew",
        hex::encode(actual)
    )
}

fn failure(error: &chain::Error) -> Failure {
    let (kind, reason) = match error {
        chain::Error::Unreachable { .. } => (FailureKind::Unreachable, "chain_unreachable"),
        chain::Error::Refused(_) => (FailureKind::Failed, "contract_refused"),
        chain::Error::InsufficientGas { .. } => (FailureKind::Failed, "insufficient_gas"),
        error if error.is_not_found() => (FailureKind::Failed, "not_on_chain"),
        _ => (FailureKind::Failed, "chain_failed"),
    };
    Failure { kind, reason: reason.to_owned(), message: crate::with_causes(error) }
}

fn lacking(reason: &str, message: &str) -> api::ErrorBody {
    api::ErrorBody { reason: reason.to_owned(), message: message.to_owned() }
}

fn bytes32(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use chain::{Config, Tier, TierTerms};

    use super::*;

    fn id(byte: u8) -> Address {
        Address::new([byte; 32])
    }

    fn measurement(code: u8) -> Measurement {
        Measurement::new("simulated", &[("code".to_owned(), vec![code; 48])].into())
    }

    fn cluster() -> Cluster {
        Cluster {
            id: id(1),
            version: 1,
            name: "c".into(),
            gateway: "https://127.0.0.1:9345".into(),
            apiserver: String::new(),
            ca_hash: vec![2; 32],
            enclave: Some(id(3)),
            config: Config {
                tiers: vec![TierTerms { minimum: 100, lock_ms: 0 }],
                unbonding_ms: 0,
                token_lifetime_ms: 60_000,
            },
            governance: id(4),
            registry: id(5),
            names: id(6),
            anchor: id(20),
            pool: id(21),
            insurance: id(22),
            paused_until_ms: 0,
        }
    }

    fn registry() -> Registry {
        Registry {
            id: id(5),
            version: 1,
            cluster: id(1),
            allow_simulated: true,
            allowed: vec![measurement(9), measurement(7)],
            retires_ms: vec![u64::MAX; 2],
            verifiers: vec![],
            threshold: 1,
            bounds: Vec::new(),
            worker_code: Vec::new(),
        }
    }

    fn enclave() -> Enclave {
        Enclave {
            id: id(3),
            version: 1,
            cluster: id(1),
            public_key: vec![8; 32],
            measurement: measurement(7),
            expires_ms: 99,
            registered_ms: 0,
            latest_ms: vec![],
        }
    }

    #[test]
    fn the_gateway_is_what_verifiers_vouched_for() {
        let target = target(&cluster(), &registry(), Some(&enclave())).unwrap();
        assert_eq!((target.ca_hash, target.enclave_key, target.enclave_expires_ms), ([2; 32], [8; 32], 99));
        // Another allowed measurement is not this enclave's.
        assert_eq!(target.allowed, [(tee::PlatformKind::Simulated, measurement(7).to_map())]);
        assert_eq!(target.code_retires_ms, u64::MAX);
    }

    #[test]
    fn a_planned_retirement_is_the_end_of_the_target() {
        let planned = Registry { retires_ms: vec![u64::MAX, 77], ..registry() };
        let target = target(&cluster(), &planned, Some(&enclave()));
        assert_eq!(target.as_ref().unwrap().code_retires_ms, 77);
        let token = Token {
            stake_id: [1; 32],
            node_name: "n1".into(),
            public_key: [2; 32],
            seal: [3; 32],
            expires_ms: 1_000,
            lifetime_ms: 1_000,
            revoked: false,
            stake_covers_tier: true,
            stake: None,
        };
        let view = View { target, token: Some(token) };
        assert!(view.membership(&[2; 32], 76).is_ok());
        assert_eq!(view.membership(&[2; 32], 77), Err(crate::agent::Gone::Measurement));
    }

    #[test]
    fn what_the_cluster_lacks_is_named() {
        let reason = |cluster: &Cluster, registry: &Registry, enclave: &Enclave| {
            target(cluster, registry, Some(enclave)).unwrap_err().reason
        };
        assert_eq!(target(&cluster(), &registry(), None).unwrap_err().reason, "no_enclave");
        let foreign = Enclave { cluster: id(99), ..enclave() };
        assert_eq!(reason(&cluster(), &registry(), &foreign), "no_enclave");
        let odd = Enclave { public_key: vec![8; 31], ..enclave() };
        assert_eq!(reason(&cluster(), &registry(), &odd), "chain_malformed");
        let placeless = Cluster { ca_hash: vec![], ..cluster() };
        assert_eq!(reason(&placeless, &registry(), &enclave()), "chain_malformed");
        let strict = Registry { allow_simulated: false, ..registry() };
        assert_eq!(reason(&cluster(), &strict, &enclave()), "simulated_not_allowed");

        let retired = Registry { allowed: vec![measurement(9)], ..registry() };
        let body = target(&cluster(), &retired, Some(&enclave())).unwrap_err();
        assert_eq!(body.reason, "measurement_retired");
        let words = format!(
            "\"code\" of the cluster's enclave differs from what the chain allows: expected {}, actual {}",
            "09".repeat(48),
            "07".repeat(48)
        );
        assert!(body.message.contains(&words), "{}", body.message);
    }

    #[test]
    fn a_token_counts_only_with_its_own_live_stake() {
        let token = SealToken {
            id: id(10),
            version: 1,
            cluster: id(1),
            stake: id(11),
            owner: id(12),
            public_key: vec![13; 32],
            node_name: "n1".into(),
            seal: vec![14; 32],
            issued_ms: 0,
            expires_ms: 60_000,
            generation: 1,
            revoked: false,
            barred: false,
        };
        let stake = Stake {
            id: id(11),
            version: 1,
            cluster: id(1),
            owner: id(12),
            tier: Tier::Node,
            amount: 100,
            staked_ms: 0,
            locked_until_ms: 0,
            unbonding_ms: None,
            node_name: Some("n1".into()),
            token: Some(id(10)),
            generation: 1,
            notice_ms: 0,
            penalties: chain::Penalties::default(),
        };
        let covered = |stake: Option<&Stake>| member(&cluster(), &token, stake).unwrap().stake_covers_tier;
        assert!(covered(Some(&stake)));
        assert!(!covered(None));
        assert!(!covered(Some(&Stake { unbonding_ms: Some(1), ..stake.clone() })));
        assert!(!covered(Some(&Stake { amount: 99, ..stake.clone() })));
        assert!(!covered(Some(&Stake { token: Some(id(99)), ..stake.clone() })));
        assert!(!covered(Some(&Stake { cluster: id(99), ..stake.clone() })));
        assert_eq!(member(&cluster(), &token, Some(&stake)).unwrap().lifetime_ms, 60_000);
        let frozen = chain::Penalties { frozen: 30, ..chain::Penalties::default() };
        let accused = Stake { unbonding_ms: Some(7), penalties: frozen, ..stake };
        let shown = member(&cluster(), &token, Some(&accused)).unwrap().stake.unwrap();
        assert_eq!((shown.mist, shown.frozen_mist, shown.unbonding_ms), (100, 30, Some(7)));
    }
}
