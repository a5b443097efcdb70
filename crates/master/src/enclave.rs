use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::pki::ClusterPki;
use ring::rand::{SecureRandom, SystemRandom};
use tee::sealed_file::{self, SealedError};
use tee::{EnclaveKey, Measurements, Platform, PlatformKind, SealingKey, TeeError};

use crate::config::Config;
use crate::error::MasterError;
use crate::shared::system_clock;

const PKI_PURPOSE: &str = "k3s-daas/cluster-pki";

/// The keys of this master, opened by its platform. Nothing of them leaves memory unsealed.
pub(crate) struct Enclave {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) key: EnclaveKey,
    pub(crate) pki: Arc<ClusterPki>,
    pub(crate) sealing: SealingKey,
    pub(crate) ca_hash: [u8; 32],
}

impl Enclave {
    /// Opens the platform and the sealed keys below the state directory, and makes those that are missing.
    pub(crate) fn open(config: &Config, now_ms: u64) -> Result<Self, MasterError> {
        let sealed = private_dir(&config.state_dir.join("sealed"))?;
        let platform: Arc<dyn Platform> = open_platform(config)?.into();
        let sealing = platform.sealing_key(config.tee.seal_to.into())?;
        let key = EnclaveKey::open_or_create(&sealed.join("enclave.key"), &sealing)?;
        let pki = open_pki(&sealed.join("cluster.pki"), &sealing, now_ms)?;
        let ca_hash = pki.ca_der_sha256()?;
        Ok(Self { platform, key, pki: Arc::new(pki), sealing, ca_hash })
    }
}

/// What has to be registered on chain before workers trust this master.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The enclave's ed25519 key.
    pub public_key: [u8; 32],
    /// SHA-256 of the cluster CA in DER.
    pub ca_hash: [u8; 32],
    /// What the platform measures of the code.
    pub measurement: Measurements,
    /// Which platform.
    pub platform: PlatformKind,
    /// What `evidence` was made fresh for.
    pub nonce: [u8; 32],
    /// Encoded [`tee::Evidence`] over `tee::report_data(nonce, public_key, ca_hash)`.
    pub evidence: Vec<u8>,
}

/// The identity of the master that `config` describes. Makes its sealed keys when they are missing, and starts
/// nothing: the same each time.
///
/// # Errors
/// When the platform is not there, or sealed keys cannot be opened.
pub fn identity(config: &Config) -> Result<Identity, MasterError> {
    let now_ms = system_clock()();
    let enclave = Enclave::open(config, now_ms)?;
    let mut nonce = [0; 32];
    SystemRandom::new().fill(&mut nonce).map_err(|_| TeeError::Random)?;
    let public_key = enclave.key.public_key();
    let report_data = tee::report_data(&nonce, &public_key, &enclave.ca_hash);
    Ok(Identity {
        public_key,
        ca_hash: enclave.ca_hash,
        measurement: enclave.platform.measurement(),
        platform: enclave.platform.kind(),
        nonce,
        evidence: enclave.platform.attest(&report_data, now_ms)?.encode(),
    })
}

fn open_platform(config: &Config) -> Result<Box<dyn Platform>, MasterError> {
    let kind = match config.tee.kind()? {
        Some(kind) => kind,
        None => tee::detect(Path::new("/"), config.tee.allow_simulated).chosen.ok_or_else(|| {
            let problem =
                "no usable TEE was found and tee.allow_simulated is false; see `k3s-daas attest --explain`";
            MasterError::Config(problem.to_owned())
        })?,
    };
    if kind == PlatformKind::Simulated && !config.tee.allow_simulated {
        let problem = "tee.platform is simulated, but tee.allow_simulated is false";
        return Err(MasterError::Config(problem.to_owned()));
    }
    let measured_file = match &config.tee.measured_file {
        Some(path) => path.clone(),
        None => std::env::current_exe().map_err(|source| MasterError::Io {
            action: "find",
            path: PathBuf::from("/proc/self/exe"),
            source,
        })?,
    };
    let measured =
        tee::measure_files(&[("code", &measured_file), ("kubernetes", &config.kubernetes_binary)])?;
    let dir = private_dir(&config.state_dir.join("tee"))?;
    Ok(tee::open(kind, &dir, &measured)?)
}

fn open_pki(path: &Path, sealing: &SealingKey, now_ms: u64) -> Result<ClusterPki, MasterError> {
    let sealed = |source| MasterError::Sealed { path: path.to_owned(), source };
    match sealed_file::read(path, sealing, PKI_PURPOSE) {
        Ok(bytes) => Ok(ClusterPki::from_bytes(&bytes)?),
        Err(SealedError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            let pki = ClusterPki::generate(now_ms)?;
            sealed_file::write(path, sealing, PKI_PURPOSE, &pki.to_bytes()?).map_err(sealed)?;
            Ok(pki)
        }
        // Never replaced by new keys: every certificate and proof of the cluster would be void.
        Err(source) => Err(sealed(source)),
    }
}

/// Makes a directory for this user only.
pub(crate) fn private_dir(path: &Path) -> Result<PathBuf, MasterError> {
    let io = |source| MasterError::Io { action: "create", path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(dir: &Path) -> Config {
        let code = dir.join("code");
        if !code.exists() {
            std::fs::write(&code, b"code").unwrap();
        }
        let kubernetes = dir.join("kubernetes");
        std::fs::write(&kubernetes, b"kubernetes").unwrap();
        let mut config = Config { state_dir: dir.join("master"), ..Config::default() };
        config.tee.measured_file = Some(code);
        config.kubernetes_binary = kubernetes;
        config
    }

    #[test]
    fn an_identity_stays_and_its_evidence_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let first = identity(&config).unwrap();
        let again = identity(&config).unwrap();
        assert_eq!((first.public_key, first.ca_hash), (again.public_key, again.ca_hash));
        assert_ne!(first.nonce, again.nonce);

        let policy = tee::Policy {
            allowed: vec![(PlatformKind::Simulated, first.measurement.clone())],
            allow_simulated: true,
            ..tee::Policy::default()
        };
        let evidence = tee::Evidence::decode(&first.evidence).unwrap();
        let report_data = tee::report_data(&first.nonce, &first.public_key, &first.ca_hash);
        tee::verify(&evidence, &policy, &report_data, system_clock()()).unwrap();
    }

    #[test]
    fn other_code_does_not_open_the_keys_and_does_not_replace_them() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let first = identity(&config).unwrap();
        std::fs::write(dir.path().join("code"), b"other code").unwrap();
        assert!(matches!(identity(&config), Err(MasterError::Tee(TeeError::Sealed { .. }))));
        std::fs::write(dir.path().join("code"), b"code").unwrap();
        assert_eq!(identity(&config).unwrap().ca_hash, first.ca_hash);
    }

    #[test]
    fn the_ca_key_is_on_disk_only_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        identity(&config).unwrap();
        let sealed = std::fs::read(config.state_dir.join("sealed/cluster.pki")).unwrap();
        assert!(!sealed.windows(11).any(|window| window == b"PRIVATE KEY"));
        assert!(sealed.starts_with(b"K3DSEAL"));
    }

    #[test]
    fn simulation_has_to_be_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.tee.allow_simulated = false;
        assert!(matches!(identity(&config), Err(MasterError::Config(_))));
        config.tee.platform = Some("simulated".to_owned());
        assert!(matches!(identity(&config), Err(MasterError::Config(_))));
    }
}
