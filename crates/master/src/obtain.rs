use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chain::{Address, Calls, Client};
use custody::{Asking, Givers, OnChain};
use engine::pki::ClusterPki;
use serde::{Deserialize, Serialize};
use tee::{ClusterSecret, EnclaveKey, Platform, PlatformKind, SealingKey, TrustFiles, sealed_file};

use crate::config::Config;
use crate::enclave::{PKI_FILE, PKI_PURPOSE, SECRET_FILE};
use crate::error::MasterError;
use crate::facts;
use crate::master::{blocking, gas_wallet, missing};
use crate::platform::{Keeping, keeping, open_platform};
use crate::registration::register;
use crate::shared::system_clock;

/// Who gives this master its cluster's secret at each start, where the platform seals nothing; and what enclaves have to prove that ask
/// this master for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReleaseConfig {
    /// URLs of holders of the recovery committee; any of them leads to all.
    pub holders: Vec<String>,
    /// URLs of running masters' gateways, asked before the committee. They give it to registered enclaves: `registration.verifiers` and
    /// `chain.gas_keystore` are needed too.
    pub masters: Vec<String>,
    /// How long they are asked at a start, seconds.
    pub timeout_seconds: u64,
    /// What is demanded of masters that are asked, and of enclaves that ask, besides code that the chain allows, and with what it is verified.
    pub trust: TrustFiles,
}

impl Default for ReleaseConfig {
    fn default() -> Self {
        Self { holders: Vec::new(), masters: Vec::new(), timeout_seconds: 300, trust: TrustFiles::default() }
    }
}

impl ReleaseConfig {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.holders.len() > 32 || self.masters.len() > 32 {
            return Err("tee.release names more than 32 holders or masters".to_owned());
        }
        if self.timeout_seconds == 0 || self.timeout_seconds > 86_400 {
            return Err("tee.release.timeout_seconds is 1 to 86400".to_owned());
        }
        Ok(())
    }
}

/// What a master needs to open its state: its platform, and where its keys come from. Got once at a start, by [`obtain`], [`kept`] or
/// [`crate::found`].
pub struct Obtained {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) keys: Keys,
}

impl Obtained {
    /// What a master with these keys needs besides.
    pub(crate) fn check(&self, config: &Config) -> Result<(), MasterError> {
        let unregistered = config.registration.verifiers.is_empty() || config.chain.gas_keystore.is_none();
        if matches!(self.keys, Keys::Given(_)) && unregistered {
            return Err(MasterError::Config(format!(
                "{} seals nothing, so the enclave's key is another at each start and has to be registered by the master itself: set \
                 registration.verifiers and chain.gas_keystore",
                self.platform.kind()
            )));
        }
        Ok(())
    }
}

pub(crate) enum Keys {
    /// On this machine, under this key of its platform.
    Kept(SealingKey),
    /// In memory alone, until this process ends.
    Given(Box<Given>),
}

/// Keys of a master whose platform seals nothing.
pub(crate) struct Given {
    /// Made at this start; it has to be registered.
    pub(crate) key: EnclaveKey,
    pub(crate) secret: ClusterSecret,
    pub(crate) pki: ClusterPki,
    /// Whether the CA keys are on disk yet: those of a new cluster are not.
    pub(crate) is_new: bool,
}

/// What is on this machine.
///
/// # Errors
/// [`MasterError::NothingKept`] where the platform seals nothing; otherwise that it is not there.
pub fn kept(config: &Config) -> Result<Obtained, MasterError> {
    let platform = open_platform(config)?;
    match keeping(&*platform, &config.tee)? {
        Keeping::Local(key) => Ok(Obtained { platform, keys: Keys::Kept(key) }),
        Keeping::Nowhere => Err(MasterError::NothingKept { kind: platform.kind() }),
    }
}

/// What is on this machine or, where its platform seals nothing, what masters or the committee give: within `tee.release.timeout_seconds`.
///
/// # Errors
/// [`MasterError::Unobtained`] with everybody who was asked and why they gave nothing; otherwise what the configuration or the state
/// directory lacks for asking.
pub async fn obtain(config: &Config) -> Result<Obtained, MasterError> {
    config.check()?;
    let (platform, keeping) = blocking(config, |config| {
        let platform = open_platform(config)?;
        let keeping = keeping(&*platform, &config.tee)?;
        Ok((platform, keeping))
    })
    .await?;
    let keys = match keeping {
        Keeping::Local(key) => Keys::Kept(key),
        Keeping::Nowhere => Keys::Given(Box::new(ask(config, &platform).await?)),
    };
    Ok(Obtained { platform, keys })
}

async fn ask(config: &Config, platform: &Arc<dyn Platform>) -> Result<Given, MasterError> {
    let kind = platform.kind();
    let release = &config.tee.release;
    let sealed = config.state_dir.join("sealed");
    refuse_a_secret(&sealed, kind)?;
    let pki_file = sealed.join(PKI_FILE);
    let Some(sealed_pki) = read(&pki_file)? else {
        return Err(MasterError::NothingToOpen { path: pki_file });
    };
    if release.holders.is_empty() && release.masters.is_empty() {
        return Err(MasterError::NothingKept { kind });
    }
    let trust = release.trust.read()?;
    let client = Client::new(&config.chain.url)?;
    let package = facts::address(config.chain.package.ok_or_else(|| missing("chain.package"))?);
    let cluster = facts::address(config.chain.cluster.ok_or_else(|| missing("chain.cluster"))?);
    let on_chain = OnChain::new(client, package, cluster);
    let key = EnclaveKey::ephemeral()?;
    let enclave = if release.masters.is_empty() {
        Err("none are configured".to_owned())
    } else {
        let registering = register_newcomer(config, platform, &on_chain, &key);
        // Masters are not everybody: the committee asks for no registration.
        registering.await.map_err(|error| format!("this enclave could not be registered: {error}"))
    };
    let asking = Asking {
        platform: platform.clone(),
        cluster: cluster.into_inner(),
        enclave_key: key.public_key(),
        enclave: None,
        clock: system_clock(),
    };
    let givers = Givers {
        masters: release.masters.clone(),
        holders: release.holders.clone(),
        // Its key is new at each start, and only its own process could seal.
        key_servers: None,
        limit: Duration::from_secs(release.timeout_seconds),
        trust,
    };
    tracing::info!(
        platform = %kind,
        simulated = platform.is_simulated(),
        masters = givers.masters.len(),
        holders = givers.holders.len(),
        "the platform seals nothing: asking for the cluster's secret"
    );
    let open = |secret: &ClusterSecret| sealed_file::open_bytes(&secret.root(), PKI_PURPOSE, &sealed_pki);
    let secret = asking
        .anybody(&givers, &on_chain, enclave, |secret| open(secret).is_ok())
        .await
        .map_err(|source| MasterError::Unobtained { kind, source })?;
    let pki = open(&secret).map_err(|source| MasterError::Sealed { path: pki_file, source })?;
    let pki = ClusterPki::from_bytes(&pki)?;
    tracing::info!("was given the cluster's secret; it is in memory alone");
    Ok(Given { key, secret, pki, is_new: false })
}

/// A platform that seals nothing has nothing under which a secret could lie here: it is another machine's, or somebody's.
pub(crate) fn refuse_a_secret(sealed: &Path, kind: PlatformKind) -> Result<(), MasterError> {
    let path = sealed.join(SECRET_FILE);
    if path.try_exists().map_err(|source| MasterError::Io { action: "read", path: path.clone(), source })? {
        return Err(MasterError::Config(format!(
            "{} is there, but {kind} seals nothing and keeps no secret: it is another platform's, move it away",
            path.display()
        )));
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, MasterError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(MasterError::Io { action: "read", path: path.to_owned(), source }),
    }
}

/// Has a key that is new verified and registered, with the CA that the chain knows.
pub(crate) async fn register_newcomer(
    config: &Config,
    platform: &Arc<dyn Platform>,
    on_chain: &OnChain,
    key: &EnclaveKey,
) -> Result<Address, MasterError> {
    let keystore = config.chain.gas_keystore.as_ref().ok_or_else(|| missing("chain.gas_keystore"))?;
    let wallet = gas_wallet(keystore, config.chain.gas_address)?;
    let ca_hash = on_chain.read(None).await?.cluster.ca_hash;
    let ca_hash = <[u8; 32]>::try_from(&ca_hash[..]).map_err(|_| {
        MasterError::Config("the chain does not know this cluster's CA yet: no master ran".to_owned())
    })?;
    register(
        on_chain.client(),
        &Calls::new(on_chain.package()),
        on_chain,
        platform,
        &wallet,
        &config.registration,
        key.public_key(),
        ca_hash,
    )
    .await
    .map(|(enclave, _)| enclave)
}
