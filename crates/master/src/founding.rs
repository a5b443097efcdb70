use std::sync::Arc;

use chain::{Address, Anchor, Calls, Client, Keypair, Place};
use custody::OnChain;
use engine::pki::ClusterPki;
use tee::custody::{Dealing, Member};
use tee::{ClusterSecret, EnclaveKey, Platform};

use crate::config::Config;
use crate::enclave::PKI_FILE;
use crate::error::MasterError;
use crate::facts;
use crate::master::{blocking, gas_wallet, missing};
use crate::obtain::{Given, Keys, Obtained, refuse_a_secret};
use crate::platform::{Keeping, keeping, open_platform};
use crate::registration::register;
use crate::shared::system_clock;

/// Who shall hold a cluster's secret.
#[derive(Clone, Debug)]
pub struct Committee {
    /// How many of them it takes.
    pub threshold: u8,
    /// All of them.
    pub members: Vec<Member>,
}

/// Makes the keys of a new cluster on a platform that seals nothing. The enclave is registered, put at the cluster's place, and its
/// committee holds the secret, before anything is sealed under it: afterwards this machine alone could not open that again. Cut off, it is done
/// again from the start.
///
/// # Errors
/// When there is a cluster already, here or on chain; when the configuration lacks `registration.verifiers` or the gas wallet; when a
/// holder does not take its share.
pub async fn found(config: &Config, committee: Committee) -> Result<(Obtained, Dealing), MasterError> {
    config.check()?;
    let platform = blocking(config, |config| {
        let platform = open_platform(config)?;
        match keeping(&*platform, &config.tee)? {
            Keeping::Nowhere => Ok(platform),
            Keeping::Local(_) => Err(MasterError::Config(format!(
                "{} keeps its keys on this machine: start without --new-cluster, and deal them by `committee deal`",
                platform.kind()
            ))),
        }
    })
    .await?;
    refuse_a_cluster_that_is_there(config, &*platform)?;
    let now_ms = system_clock()();
    let given = Given {
        key: EnclaveKey::ephemeral()?,
        secret: ClusterSecret::generate()?,
        pki: ClusterPki::generate(now_ms)?,
        is_new: true,
    };
    let obtained = Obtained { platform, keys: Keys::Given(Box::new(given)) };
    let dealing = deal_before_serving(config, &obtained, committee).await?;
    Ok((obtained, dealing))
}

/// Deals anew the secret that `obtained` holds in memory, before a master serves with it: on a platform that seals nothing, no other
/// process can.
///
/// # Errors
/// As [`found`]; and where the platform keeps its keys.
pub async fn deal_before_serving(
    config: &Config,
    obtained: &Obtained,
    committee: Committee,
) -> Result<Dealing, MasterError> {
    let Keys::Given(given) = &obtained.keys else {
        return Err(MasterError::Config(
            "this platform keeps its keys on this machine: deal by `committee deal`".to_owned(),
        ));
    };
    let ca_hash = given.pki.ca_der_sha256()?;
    let client = Client::new(&config.chain.url)?;
    let package = facts::address(config.chain.package.ok_or_else(|| missing("chain.package"))?);
    let cluster = facts::address(config.chain.cluster.ok_or_else(|| missing("chain.cluster"))?);
    let on_chain = OnChain::new(client.clone(), package, cluster);
    let keystore = config.chain.gas_keystore.as_ref().ok_or_else(|| missing("chain.gas_keystore"))?;
    let stand = Stand {
        wallet: gas_wallet(keystore, config.chain.gas_address)?,
        client,
        on_chain,
        calls: Calls::new(package),
        package,
        cluster,
    };
    if given.is_new {
        stand.refuse_a_state_that_is_anchored().await?;
    }
    stand.take_the_place(config, &obtained.platform, &given.key, ca_hash).await?;
    let Committee { threshold, members } = committee;
    let cluster = cluster.into_inner();
    let dealing = Dealing::deal(&given.secret, cluster, threshold, members, &given.key, system_clock()())?;
    // Everybody: one who is missing on the first day is missing on the last.
    for holder in dealing.holders() {
        custody::send_dealing(&holder.member.url, &dealing)
            .await
            .map_err(|source| MasterError::NotDealt { holder: holder.member.name.clone(), source })?;
        tracing::info!(holder = holder.member.name, "holds its share of the cluster's secret");
    }
    Ok(dealing)
}

/// What it takes to speak for a cluster on chain before a master runs.
struct Stand {
    client: Client,
    on_chain: OnChain,
    calls: Calls,
    package: Address,
    cluster: Address,
    wallet: Keypair,
}

impl Stand {
    async fn refuse_a_state_that_is_anchored(&self) -> Result<(), MasterError> {
        let anchor = self.on_chain.read(None).await?.cluster.anchor;
        let anchor = self.client.read::<Anchor>(self.package, anchor).await?;
        if anchor.revision == 0 {
            return Ok(());
        }
        Err(MasterError::Config(format!(
            "this is no new cluster: the chain knows its state at revision {}. Bring its state directory here, or `recover` it, and start \
             without --new-cluster",
            anchor.revision
        )))
    }

    /// Registers the enclave and puts it at the cluster's place: custodians take a dealing from there alone.
    async fn take_the_place(
        &self,
        config: &Config,
        platform: &Arc<dyn Platform>,
        key: &EnclaveKey,
        ca_hash: [u8; 32],
    ) -> Result<(), MasterError> {
        let (enclave, registry) = register(
            &self.client,
            &self.calls,
            &self.on_chain,
            platform,
            &self.wallet,
            &config.registration,
            key.public_key(),
            ca_hash,
        )
        .await?;
        let place = Place {
            cluster: self.cluster,
            gateway: config.gateway_url.clone(),
            apiserver: config.apiserver_url.clone(),
            ca_hash: ca_hash.to_vec(),
        };
        let timestamp_ms = system_clock()();
        let signature = key.sign(chain::INTENT_ENDPOINT, timestamp_ms, &place.payload(enclave)?);
        let draft = self.calls.set_place(registry, enclave, &place, timestamp_ms, &signature);
        self.client.execute(&self.wallet, &draft).await?;
        tracing::info!(%enclave, "the enclave is registered and at the cluster's place");
        Ok(())
    }
}

fn refuse_a_cluster_that_is_there(config: &Config, platform: &dyn Platform) -> Result<(), MasterError> {
    let sealed = config.state_dir.join("sealed");
    refuse_a_secret(&sealed, platform.kind())?;
    for path in [sealed.join(PKI_FILE), config.state_dir.join("store")] {
        let there = path.try_exists().map_err(|source| MasterError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        if there {
            return Err(MasterError::Config(format!(
                "this is no new cluster: {} is there. Start without --new-cluster, or give another --state-dir",
                path.display()
            )));
        }
    }
    Ok(())
}
