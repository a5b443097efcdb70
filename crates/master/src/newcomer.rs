use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chain::Address;
use custody::OnChain;
use tee::sealed_file::{self, SealedError};
use tee::{ClusterSecret, EnclaveKey, Platform, SealingKey, TeeError};

use crate::config::Config;
use crate::enclave::{KEY_FILE, PKI_FILE, PKI_PURPOSE, SECRET_FILE, io, private_dir};
use crate::error::MasterError;
use crate::obtain::{refuse_a_secret, register_newcomer};
use crate::platform::{Keeping, keeping, open_platform};
use crate::shared::system_clock;

/// Where `k3s-daas recover` works until it is done; a master does not start while something is there, since what is beside it is
/// half restored.
#[must_use]
pub fn recovery_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("recovery")
}

pub(crate) fn refuse_unfinished_recovery(state_dir: &Path) -> Result<(), MasterError> {
    let something =
        std::fs::read_dir(recovery_dir(state_dir)).is_ok_and(|mut entries| entries.next().is_some());
    if something { Err(MasterError::Unrecovered { path: state_dir.to_owned() }) } else { Ok(()) }
}

/// An enclave that has no cluster secret yet and may ask for it: platform and key alone. Keys that another machine or another build made
/// are set aside, since they say nothing here.
pub struct Newcomer {
    /// What attests.
    pub platform: Arc<dyn Platform>,
    /// What it will sign with.
    pub key: Arc<EnclaveKey>,
    /// None where the platform seals nothing.
    local: Option<SealingKey>,
    sealed: PathBuf,
}

impl Newcomer {
    /// Opens the platform, and opens or makes the enclave's key; one that seals nothing gets a key for as long as this lives.
    ///
    /// # Errors
    /// When the platform is not there, or the state directory cannot be written.
    pub fn open(config: &Config) -> Result<Self, MasterError> {
        private_dir(&config.state_dir)?;
        let sealed = private_dir(&config.state_dir.join("sealed"))?;
        let platform = open_platform(config)?;
        let local = match own_key(&*platform, config)? {
            Keeping::Local(local) => local,
            Keeping::Nowhere => {
                refuse_a_secret(&sealed, platform.kind())?;
                return Ok(Self { platform, key: Arc::new(EnclaveKey::ephemeral()?), local: None, sealed });
            }
        };
        let path = sealed.join(KEY_FILE);
        let key = match EnclaveKey::open_or_create(&path, &local) {
            Err(TeeError::Sealed { source: SealedError::WrongKey, .. }) => {
                set_aside(&path)?;
                EnclaveKey::open_or_create(&path, &local)?
            }
            other => other?,
        };
        Ok(Self { platform, key: Arc::new(key), local: Some(local), sealed })
    }

    /// Has the enclave verified by the verifiers of `[master.registration]` and registered under the CA that the chain knows, paid for by
    /// `[master.chain] gas_keystore`; gives its registration.
    ///
    /// # Errors
    /// When too few verifiers sign, no wallet is configured, or the chain refuses.
    pub async fn register(&self, config: &Config, chain: &OnChain) -> Result<Address, MasterError> {
        register_newcomer(config, &self.platform, chain, &self.key).await
    }

    /// Whether this machine keeps a secret that it is given.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.local.is_some()
    }

    /// The cluster's secret, if this machine has it already.
    ///
    /// # Errors
    /// It is there and does not open.
    pub fn secret(&self) -> Result<Option<ClusterSecret>, MasterError> {
        match &self.local {
            Some(local) => Ok(ClusterSecret::read(&self.sealed.join(SECRET_FILE), local)?),
            None => Ok(None),
        }
    }

    /// Whether `secret` opens the CA keys that are here; where there are none, nothing speaks against it.
    ///
    /// # Errors
    /// When they cannot be read, or are damaged.
    pub fn fits(&self, secret: &ClusterSecret) -> Result<bool, MasterError> {
        let path = self.sealed.join(PKI_FILE);
        match sealed_file::read(&path, &secret.root(), PKI_PURPOSE) {
            Ok(_) => Ok(true),
            Err(SealedError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(SealedError::WrongKey) => Ok(false),
            Err(source) => Err(MasterError::Sealed { path, source }),
        }
    }

    /// Keeps the cluster's secret that was released to this enclave, where its platform seals. CA keys and store have to be those of the cluster: what does not open
    /// under it is left as it is and nothing is changed.
    ///
    /// # Errors
    /// [`MasterError::Sealed`] when the CA keys that are here belong to another secret.
    pub fn adopt(&self, secret: &ClusterSecret) -> Result<(), MasterError> {
        let (pki, path) = (self.sealed.join(PKI_FILE), self.sealed.join(SECRET_FILE));
        if pki.try_exists().map_err(io("read", &pki))? {
            sealed_file::read(&pki, &secret.root(), PKI_PURPOSE)
                .map_err(|source| MasterError::Sealed { path: pki, source })?;
        }
        let Some(local) = &self.local else { return Ok(()) };
        match ClusterSecret::read(&path, local) {
            Ok(Some(known)) if known.commitment() == secret.commitment() => return Ok(()),
            Ok(None) => {}
            _ => set_aside(&path)?,
        }
        Ok(secret.write(&path, local)?)
    }
}

/// The platform's key. What another machine's chip sealed, or this one's for other code, is set aside: a new key takes its place.
fn own_key(platform: &dyn Platform, config: &Config) -> Result<Keeping, MasterError> {
    // The key, and the one that was handed over.
    for _ in 0..2 {
        match keeping(platform, &config.tee) {
            Err(MasterError::Tee(
                TeeError::SealedElsewhere { path, .. } | TeeError::SealedToOther { path },
            )) => {
                set_aside(&path)?;
            }
            other => return other,
        }
    }
    keeping(platform, &config.tee)
}

fn set_aside(path: &Path) -> Result<(), MasterError> {
    if !path.try_exists().map_err(io("read", path))? {
        return Ok(());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".other-{}", system_clock()()));
    let aside = PathBuf::from(aside);
    tracing::warn!(from = %path.display(), to = %aside.display(), "does not open here and is set aside");
    std::fs::rename(path, &aside).map_err(io("rename", path))
}
