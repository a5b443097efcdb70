//! A cluster with an enclave that may move money, and what it signs.

use std::collections::BTreeMap;

use chain::{
    Address, Court, EnclaveClaims, EnclavePayload, EnclaveStatement, Event, Evidence, Keypair, Measurement,
    Tier,
};

use crate::support::{SUI, wallet};
use crate::{DAY_MS, Probe};

pub(crate) struct Scene<'a> {
    pub(crate) probe: &'a Probe,
    pub(crate) key: Keypair,
    pub(crate) enclave: Address,
    pub(crate) measurement: Measurement,
    pub(crate) staker: Keypair,
    /// A node's stake of 10 000 MIST, its token and the token's key.
    pub(crate) stake: Address,
    pub(crate) token: Address,
    pub(crate) holder: Keypair,
    /// When the enclave was registered.
    pub(crate) start_ms: u64,
}

impl Scene<'_> {
    /// An enclave that was registered just now.
    pub(crate) async fn new(probe: &Probe) -> Scene<'_> {
        let (calls, cluster, admin) = (&probe.world.calls, &probe.world.cluster, probe.world.admin);
        let (operator, staker) = (&probe.world.operator, wallet(&probe.world.chain, SUI).await);
        let (verifier, key) = (Keypair::generate().unwrap(), Keypair::generate().unwrap());
        let verifiers = [verifier.public_key()];
        probe.world.run(operator, &calls.set_verifiers(cluster.registry, admin, &verifiers, 1)).await;
        let code = BTreeMap::from([("code".to_owned(), key.public_key().to_vec())]);
        let measurement = Measurement::new("simulated", &code);
        probe.world.run(operator, &calls.allow_measurement(cluster.registry, admin, &measurement)).await;
        let stake = probe.staked(&staker, Tier::Node, 10_000).await;
        let holder = Keypair::generate().unwrap();
        let name = format!("node-{}", u32::from_le_bytes(*holder.public_key().first_chunk().unwrap()));
        let issue = calls.issue_token(stake, cluster.id, cluster.names, &holder.public_key(), &name);
        let (_, events) = probe.world.run(&staker, &issue).await;
        let [Event::TokenIssued(issued)] = &events[..] else { panic!("{events:?}") };
        let token = issued.token;
        let start_ms = probe.now();
        let claims = EnclaveClaims {
            cluster: cluster.id,
            measurement: measurement.clone(),
            public_key: key.public_key().to_vec(),
            expires_ms: start_ms + 29 * DAY_MS,
        };
        let verified = claims.sign_all(&[&verifier], start_ms).unwrap();
        let (_, events) =
            probe.world.run(operator, &calls.register_enclave(cluster.registry, &verified)).await;
        let [Event::EnclaveRegistered(registered)] = &events[..] else { panic!("{events:?}") };
        let enclave = registered.enclave;
        Scene { probe, key, enclave, measurement, staker, stake, token, holder, start_ms }
    }

    pub(crate) fn court(&self) -> Court {
        let world = &self.probe.world;
        Court {
            cluster: world.cluster.id,
            governance: world.admin.governance,
            registry: world.cluster.registry,
        }
    }

    /// By the enclave, now.
    pub(crate) fn stated<T: EnclavePayload>(&self, statement: T) -> EnclaveStatement<T> {
        EnclaveStatement::sign(statement, self.enclave, self.probe.now(), &self.key).unwrap()
    }

    /// Of tampering (3), in the hour after the enclave was registered.
    pub(crate) fn tampering(&self, digest: u8) -> Evidence {
        Evidence {
            cluster: self.probe.world.cluster.id,
            stake: self.stake,
            reason: 3,
            from_ms: self.start_ms,
            to_ms: self.start_ms + 3_600_000,
            up_ms: 0,
            measurement: None,
            digest: vec![digest; 32],
            locator: "walrus:records".into(),
            reporter: Address::ZERO,
        }
    }
}
