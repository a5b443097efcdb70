//! The chain: contracts, a cluster, a registered enclave, and a stake with a token for each worker.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use chain::{
    Address, Admin, Calls, Client, Draft, EnclaveClaims, Event, Keypair, Keystore, Measurement, Tier,
};
use devnet::Devnet;
use ed25519_dalek::SigningKey;
use master::{Config, Id};
use seal_token::{Claims, Proof};

const SUI: u64 = 1_000_000_000;
/// Object `0x6`.
const CLOCK: Address = {
    let mut bytes = [0u8; 32];
    bytes[31] = 6;
    Address::new(bytes)
};
/// Stakes, or tokens, in one transaction: a hundred cost more than the half SUI that a dry run may burn.
const BATCH: usize = 50;

pub(crate) struct World {
    client: Client,
    calls: Calls,
    operator: Keypair,
    admin: Admin,
    names: Address,
    pub(crate) cluster: Address,
    pub(crate) config: Config,
    pub(crate) ca_hash: [u8; 32],
    _devnet: Devnet,
}

/// A worker's token with its holder key.
pub(crate) struct Worker {
    pub(crate) name: String,
    pub(crate) token: Address,
    pub(crate) seal: [u8; 32],
    pub(crate) key: SigningKey,
}

impl World {
    pub(crate) async fn start(dir: &Path, interval_s: u64) -> anyhow::Result<Self> {
        let devnet = Devnet::start(devnet::Config::in_memory(".cache/framework.bcs"))
            .await
            .context("starting the development chain; run `make setup` first")?;
        let client = Client::connect(&devnet.url()).await?;
        let operator = Keypair::generate()?;
        devnet.faucet(operator.address(), 10_000 * SUI).await?;
        let calls = Calls::new(client.publish(&operator, &chain::package::bundled()).await?.package);
        let receipt = client.execute(&operator, &calls.create_cluster("bench", true)).await?;
        let (created, admin) = receipt.founded(calls.package()).context("no cluster was created")?;
        let keystore = dir.join("sui.keystore");
        Keystore::open(&keystore)?.insert(operator.clone())?;
        let (gateway, apiserver) = (free_address()?, free_address()?);
        let mut config = Config {
            state_dir: dir.join("master"),
            listen: gateway,
            apiserver_listen: apiserver,
            gateway_url: format!("https://{gateway}"),
            apiserver_url: format!("https://{apiserver}"),
            kubernetes_binary: Path::new("bin/kubernetes")
                .canonicalize()
                .context("run `make build` first")?,
            ..Config::default()
        };
        config.chain.url = devnet.url();
        config.chain.package = Some(Id(calls.package().into_inner()));
        config.chain.cluster = Some(Id(created.cluster.into_inner()));
        config.chain.gas_keystore = Some(keystore);
        config.health.interval_ms = interval_s * 1_000;
        config.health.suspect_after_ms = interval_s * 2_400;
        config.health.down_after_ms = interval_s * 6_000;
        let identity = master::identity(&config, master::kept(&config)?)?;
        let measurement = Measurement::new(identity.platform.as_str(), &identity.measurement);
        let registry = created.registry;
        client.execute(&operator, &calls.allow_measurement(registry, admin, &measurement)).await?;
        let verifier = Keypair::generate()?;
        client.execute(&operator, &calls.set_verifiers(registry, admin, &[verifier.public_key()], 1)).await?;
        let claims = EnclaveClaims {
            cluster: created.cluster,
            measurement,
            public_key: identity.public_key.to_vec(),
            expires_ms: now_ms() + 24 * 3_600_000,
        };
        let verified = claims.sign_all(&[&verifier], now_ms())?;
        client.execute(&operator, &calls.register_enclave(registry, &verified)).await?;
        Ok(Self {
            client,
            calls,
            operator,
            admin,
            names: created.names,
            cluster: created.cluster,
            config,
            ca_hash: identity.ca_hash,
            _devnet: devnet,
        })
    }

    /// Stakes for so many nodes and has a token issued to each.
    pub(crate) async fn stake(&self, count: usize) -> anyhow::Result<Vec<Worker>> {
        let mut workers = Vec::with_capacity(count);
        while workers.len() < count {
            let batch = BATCH.min(count - workers.len());
            let mut draft = Draft::new();
            for _ in 0..batch {
                let coin = draft.split_gas(10_000);
                let arguments = vec![draft.object(self.cluster), draft.pure(&0u8), coin, draft.object(CLOCK)];
                draft.call(self.calls.package(), "staking", "stake", vec![], arguments);
            }
            let stakes: Vec<Address> = self
                .run(&draft)
                .await?
                .into_iter()
                .filter_map(|event| if let Event::Staked(staked) = event { Some(staked.stake) } else { None })
                .collect();
            ensure!(stakes.len() == batch, "{} of {batch} stakes were made", stakes.len());
            let keys: Vec<SigningKey> = (0..batch)
                .map(|n| {
                    let mut seed = [7; 32];
                    seed[..8].copy_from_slice(&((workers.len() + n) as u64).to_le_bytes());
                    SigningKey::from_bytes(&seed)
                })
                .collect();
            let mut draft = Draft::new();
            for (n, (stake, key)) in stakes.iter().zip(&keys).enumerate() {
                let name = name(workers.len() + n);
                let arguments = vec![
                    draft.object_mut(*stake),
                    draft.object(self.cluster),
                    draft.object_mut(self.names),
                    draft.pure(key.verifying_key().as_bytes().as_slice()),
                    draft.pure(name.as_str()),
                    draft.object(CLOCK),
                ];
                draft.call(self.calls.package(), "seal_token", "issue", vec![], arguments);
            }
            for event in self.run(&draft).await? {
                let Event::TokenIssued(issued) = event else { continue };
                let at =
                    stakes.iter().position(|stake| *stake == issued.stake).context("a token of no stake")?;
                let seal = issued.seal[..].try_into().context("a seal is 32 bytes")?;
                let (name, key) = (issued.node_name, keys[at].clone());
                workers.push(Worker { name, token: issued.token, seal, key });
            }
        }
        Ok(workers)
    }

    /// The CA of gateway and apiserver, as the control plane has written it.
    pub(crate) fn ca_file(&self) -> std::path::PathBuf {
        self.config.state_dir.join("kubernetes/server-ca.crt")
    }

    /// Stakes for an administrator with a grant over the whole cluster; gives a proof of a quarter of an hour.
    pub(crate) async fn administrator(&self) -> anyhow::Result<String> {
        let calls = &self.calls;
        let events = self.run(&calls.stake(self.cluster, Tier::Admin, 10_000)).await?;
        let [Event::Staked(staked)] = &events[..] else { anyhow::bail!("{events:?}") };
        let key = SigningKey::from_bytes(&[9; 32]);
        let public_key = key.verifying_key().to_bytes();
        let events =
            self.run(&calls.issue_token(staked.stake, self.cluster, self.names, &public_key, "")).await?;
        let [Event::TokenIssued(issued)] = &events[..] else { anyhow::bail!("{events:?}") };
        self.run(&calls.grant(self.cluster, self.admin, staked.owner, "", "cluster-admin")).await?;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let now_ms = now_ms();
        let claims = Claims {
            version: seal_token::VERSION,
            token_id: issued.token.into_inner(),
            seal: issued.seal[..].try_into().context("a seal is 32 bytes")?,
            audience: self.ca_hash,
            not_before_ms: now_ms - 1_000,
            not_after_ms: now_ms + 890_000,
            nonce: [1; 16],
        };
        Ok(Proof::mint(&key, claims).to_string())
    }

    async fn run(&self, draft: &Draft) -> anyhow::Result<Vec<Event>> {
        Ok(self.client.execute(&self.operator, draft).await?.events_of(self.calls.package()))
    }
}

pub(crate) fn name(node: usize) -> String {
    format!("node-{node:05}")
}

pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
