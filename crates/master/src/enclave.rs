use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chain::{Address, EnclavePayload, EnclaveStatement, Sealing};
use engine::pki::ClusterPki;
use ring::rand::{SecureRandom, SystemRandom};
use tee::custody::seal::{self, EncryptedObject, KeyServer};
use tee::custody::{Dealing, Member};
use tee::sealed_file::{self, SealedError};
use tee::{ClusterSecret, EnclaveKey, Measurements, Platform, PlatformKind, SealingKey, TeeError};

use crate::config::Config;
use crate::error::MasterError;
use crate::measured_settings::with_configuration;
use crate::obtain::{Given, Keys, Obtained, kept};
use crate::platform::open_platform;
use crate::shared::system_clock;

pub(crate) const PKI_PURPOSE: &str = "k3s-daas/cluster-pki";
pub(crate) const SECRET_FILE: &str = "cluster.secret";
pub(crate) const KEY_FILE: &str = "enclave.key";
pub(crate) const PKI_FILE: &str = "cluster.pki";

/// The keys of this master, opened by its platform. Nothing of them leaves memory unsealed, and of the secret nothing but
/// what the chain allows.
pub(crate) struct Enclave {
    pub(crate) platform: Arc<dyn Platform>,
    pub(crate) key: EnclaveKey,
    pub(crate) pki: Arc<ClusterPki>,
    pub(crate) secret: ClusterSecret,
    /// The secret as the root of what is sealed.
    pub(crate) sealing: SealingKey,
    pub(crate) ca_hash: [u8; 32],
}

impl Enclave {
    /// Opens the keys below the state directory with what was obtained, and makes those that are missing.
    pub(crate) fn open(config: &Config, obtained: Obtained, now_ms: u64) -> Result<Self, MasterError> {
        let sealed = private_dir(&config.state_dir.join("sealed"))?;
        let Obtained { platform, keys } = obtained;
        let path = sealed.join(PKI_FILE);
        let (key, secret, pki) = match keys {
            Keys::Kept(local) => {
                let secret = open_secret(&sealed, &local)?;
                let key = EnclaveKey::open_or_create(&sealed.join(KEY_FILE), &local)?;
                let pki = open_pki(&path, &secret.root(), now_ms)?;
                (key, secret, pki)
            }
            Keys::Given(given) => {
                let Given { key, secret, pki, is_new } = *given;
                if is_new {
                    sealed_file::write(&path, &secret.root(), PKI_PURPOSE, &pki.to_bytes()?)
                        .map_err(|source| MasterError::Sealed { path, source })?;
                }
                (key, secret, pki)
            }
        };
        let (sealing, ca_hash) = (secret.root(), pki.ca_der_sha256()?);
        Ok(Self { platform, key, pki: Arc::new(pki), secret, sealing, ca_hash })
    }
}

/// The secret of this state directory: the one that is wrapped there, or of a directory from before there was one, the
/// platform's key itself, once it has opened the CA keys; or, of a new directory, a new one.
fn open_secret(sealed: &Path, local: &SealingKey) -> Result<ClusterSecret, MasterError> {
    let (path, pki) = (sealed.join(SECRET_FILE), sealed.join(PKI_FILE));
    if let Some(secret) = ClusterSecret::read(&path, local)? {
        return Ok(secret);
    }
    let secret = if pki.try_exists().map_err(io("read", &pki))? {
        sealed_file::read(&pki, local, PKI_PURPOSE)
            .map_err(|source| MasterError::Sealed { path: pki, source })?;
        ClusterSecret::adopt(local)
    } else {
        ClusterSecret::generate()?
    };
    secret.write(&path, local)?;
    Ok(secret)
}

pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MasterError {
    let path = path.to_owned();
    move |source| MasterError::Io { action, path, source }
}

/// The key under which the master's store and its snapshots are sealed.
///
/// # Errors
/// When the sealed keys do not open.
pub fn store_key(config: &Config, obtained: Obtained) -> Result<SealingKey, MasterError> {
    Ok(Enclave::open(config, obtained, system_clock()())?.sealing)
}

/// Deals the cluster's secret to a committee, of whom any `threshold` can give it to an enclave that the chain allows.
///
/// # Errors
/// When the sealed keys do not open, or there cannot be such a committee; where the platform seals nothing, since no other process has the
/// registered key of the master's.
pub fn deal(
    config: &Config,
    cluster: [u8; 32],
    threshold: u8,
    members: Vec<Member>,
) -> Result<Dealing, MasterError> {
    let now_ms = system_clock()();
    let enclave = Enclave::open(config, kept(config)?, now_ms)?;
    Ok(Dealing::deal(&enclave.secret, cluster, threshold, members, &enclave.key, now_ms)?)
}

/// Encrypts the cluster's secret to key servers of Seal, of whom any `threshold` can bring it back, as the enclave that is registered as
/// `enclave`; the chain keeps what it gives. `package` is the first version of the contracts, whose `seal_policy` decides.
///
/// # Errors
/// As [`deal`]; when this machine's enclave is another one than that.
pub fn seal(
    config: &Config,
    package: Address,
    enclave: &chain::Enclave,
    servers: &[KeyServer],
    threshold: u8,
) -> Result<EnclaveStatement<Sealing>, MasterError> {
    let now_ms = system_clock()();
    let ours = Enclave::open(config, kept(config)?, now_ms)?;
    if ours.key.public_key()[..] != enclave.public_key[..] {
        return Err(MasterError::Config(
            "the enclave at the cluster's place is another machine's: seal there, or let the master here run first".to_owned(),
        ));
    }
    // Keys that servers gave once are of no use for what is sealed later.
    let id = [&enclave.cluster.into_inner()[..], &tee::fresh_nonce()?].concat();
    let identity = seal::Identity { package: package.into_inner(), id };
    let keys: Vec<_> = servers.iter().map(|server| (server.object, server.key)).collect();
    let object = EncryptedObject::encrypt(&ours.secret, &identity, &keys, threshold)?.encode();
    let statement = Sealing { cluster: enclave.cluster, object };
    let signature = ours.key.sign(Sealing::INTENT, now_ms, &statement.payload(enclave.id)?).to_vec();
    Ok(EnclaveStatement { enclave: enclave.id, timestamp_ms: now_ms, statement, signature })
}

/// What the chain has to allow before [`hand_over`] to the program with the digests `next`, under the same configuration.
///
/// # Errors
/// When the platform measures by itself.
pub fn measurement_of(
    config: &Config,
    next: &Measurements,
) -> Result<(PlatformKind, Measurements), MasterError> {
    let platform = open_platform(config)?;
    Ok((platform.kind(), platform.measurement_of(&with_configuration(config, next)?)?))
}

/// Lets the program with the digests `next` open this state directory on this machine. The caller has made sure that the chain
/// allows its measurement.
///
/// # Errors
/// When the platform cannot, or this program does not open the state directory itself.
pub fn hand_over(config: &Config, next: &Measurements) -> Result<(), MasterError> {
    if config.tee.seal_to == crate::SealTo::Signer {
        let problem = "tee.seal_to is signer: the signer's next build opens this state without a hand-over";
        return Err(MasterError::Config(problem.to_owned()));
    }
    let Obtained { platform, keys } = kept(config)?;
    if let Keys::Kept(local) = keys {
        // Only what opens the state here hands it on.
        open_secret(&config.state_dir.join("sealed"), &local)?;
    }
    Ok(platform.hand_over_to(&with_configuration(config, next)?)?)
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
    /// Whether it proves nothing about hardware.
    pub simulated: bool,
    /// What `evidence` was made fresh for.
    pub nonce: [u8; 32],
    /// Encoded [`tee::Evidence`] over `tee::report_data(nonce, public_key, ca_hash)`.
    pub evidence: Vec<u8>,
}

/// The identity of the master that `config` describes. Makes its sealed keys when they are missing, and starts
/// nothing: the same each time, but for the key of an enclave whose platform seals nothing.
///
/// # Errors
/// When sealed keys cannot be opened.
pub fn identity(config: &Config, obtained: Obtained) -> Result<Identity, MasterError> {
    let now_ms = system_clock()();
    let enclave = Enclave::open(config, obtained, now_ms)?;
    let mut nonce = [0; 32];
    SystemRandom::new().fill(&mut nonce).map_err(|_| TeeError::Random)?;
    let public_key = enclave.key.public_key();
    let report_data = tee::report_data(&nonce, &public_key, &enclave.ca_hash);
    Ok(Identity {
        public_key,
        ca_hash: enclave.ca_hash,
        measurement: enclave.platform.measurement(),
        platform: enclave.platform.kind(),
        simulated: enclave.platform.is_simulated(),
        nonce,
        evidence: enclave.platform.attest(&report_data, now_ms)?.encode(),
    })
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
    use crate::Newcomer;

    fn identity(config: &Config) -> Result<Identity, MasterError> {
        super::identity(config, kept(config)?)
    }

    fn open(config: &Config) -> Enclave {
        Enclave::open(config, kept(config).unwrap(), 0).unwrap()
    }

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
    fn state_from_before_there_was_a_secret_opens_and_keeps_its_keys() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        // As it was sealed then: everything under the platform's own key.
        let sealed = config.state_dir.join("sealed");
        std::fs::create_dir_all(&sealed).unwrap();
        let local = open_platform(&config).unwrap().sealing_key(config.tee.seal_to.into()).unwrap();
        let pki = ClusterPki::generate(system_clock()()).unwrap();
        sealed_file::write(&sealed.join(PKI_FILE), &local, PKI_PURPOSE, &pki.to_bytes().unwrap()).unwrap();
        let key = EnclaveKey::open_or_create(&sealed.join(KEY_FILE), &local).unwrap();

        let enclave = open(&config);
        assert_eq!(enclave.ca_hash, pki.ca_der_sha256().unwrap());
        assert_eq!(enclave.key.public_key(), key.public_key());
        assert_eq!(enclave.sealing.derive("store", b"").as_bytes(), local.derive("store", b"").as_bytes());
        assert_eq!(open(&config).secret.commitment(), enclave.secret.commitment());
    }

    #[test]
    fn a_copied_state_directory_opens_with_the_released_secret_alone() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = config(dir.path());
        let secret = open(&ours).secret;
        let ca_hash = identity(&ours).unwrap().ca_hash;
        // Everything but the chip: here the file that stands for it.
        let theirs = config(elsewhere.path());
        let sealed = theirs.state_dir.join("sealed");
        std::fs::create_dir_all(&sealed).unwrap();
        for file in [SECRET_FILE, KEY_FILE, PKI_FILE] {
            std::fs::copy(ours.state_dir.join("sealed").join(file), sealed.join(file)).unwrap();
        }
        let refused = identity(&theirs).unwrap_err();
        assert!(refused.to_string().contains("cluster.secret"), "{refused}");

        let newcomer = Newcomer::open(&theirs).unwrap();
        let wrong = newcomer.adopt(&ClusterSecret::generate().unwrap()).unwrap_err();
        assert!(matches!(wrong, MasterError::Sealed { .. }), "{wrong}");
        newcomer.adopt(&secret).unwrap();
        let recovered = identity(&theirs).unwrap();
        assert_eq!(recovered.ca_hash, ca_hash);
        assert_eq!(recovered.public_key, newcomer.key.public_key());
        assert_ne!(recovered.public_key, identity(&ours).unwrap().public_key);
    }

    #[test]
    fn the_next_build_opens_what_was_handed_over_to_it_and_no_other_does() {
        let dir = tempfile::tempdir().unwrap();
        let config = config(dir.path());
        let first = identity(&config).unwrap();
        let next = |code: &[u8]| {
            let mut next = first.measurement.clone();
            next.insert("code".to_owned(), tee::measure_bytes(code).to_vec());
            next
        };
        assert_eq!(measurement_of(&config, &next(b"next")).unwrap().1, next(b"next"));
        hand_over(&config, &next(b"next")).unwrap();
        let code = dir.path().join("code");
        std::fs::write(&code, b"something else").unwrap();
        identity(&config).unwrap_err();
        hand_over(&config, &next(b"something else")).unwrap_err();
        std::fs::write(&code, b"next").unwrap();
        let upgraded = identity(&config).unwrap();
        assert_eq!((upgraded.public_key, upgraded.ca_hash), (first.public_key, first.ca_hash));
        assert_eq!(upgraded.measurement, next(b"next"));
        std::fs::write(&code, b"code").unwrap();
        assert_eq!(identity(&config).unwrap().ca_hash, first.ca_hash, "the old build may go back");
    }

    #[test]
    fn simulation_has_to_be_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.tee.allow_simulated = false;
        assert!(matches!(identity(&config), Err(MasterError::Config(_))));
        config.tee.platform = Some("simulated".to_owned());
        assert!(matches!(identity(&config), Err(MasterError::Config(_))));
        config.tee.simulated_sealing = false;
        assert!(matches!(identity(&config), Err(MasterError::Config(_))));
        config.tee.simulated_sealing = true;
        config.tee.platform = Some("tpm".to_owned());
        config.tee.tpm = Some("unix:/nonexistent/socket".to_owned());
        let refused = identity(&config).unwrap_err().to_string();
        assert!(refused.contains("a program, which proves nothing"), "{refused}");
    }

    #[test]
    fn settings_that_contradict_each_other_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |change: fn(&mut crate::TeeConfig)| {
            let mut config = config(dir.path());
            change(&mut config.tee);
            identity(&config).unwrap_err().to_string()
        };
        assert!(refused(|tee| tee.tpm = Some("unix:/socket".into())).contains("tee.platform is not tpm"));
        assert!(refused(|tee| tee.tpm = Some("/dev/tpm0".into())).contains("unix:PATH"));
        let other = refused(|tee| (tee.simulated_sealing, tee.platform) = (false, Some("tpm".into())));
        assert!(other.contains("tee.simulated_sealing is for the simulated platform"), "{other}");
    }

    #[tokio::test]
    async fn a_platform_that_seals_nothing_opens_nothing_by_itself_and_keeps_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        let sealing = open(&config);
        config.tee.simulated_sealing = false;
        let refused = kept(&config).map(drop).unwrap_err();
        assert!(matches!(refused, MasterError::NothingKept { .. }), "{refused}");
        // A secret that lies there is another platform's.
        let refused = crate::obtain(&config).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("cluster.secret is there"), "{refused}");
        std::fs::remove_file(config.state_dir.join("sealed").join(SECRET_FILE)).unwrap();
        let refused = crate::obtain(&config).await.map(drop).unwrap_err().to_string();
        assert!(refused.contains("[master.tee.release]"), "{refused}");

        let newcomer = Newcomer::open(&config).unwrap();
        let other = Newcomer::open(&config).unwrap();
        assert!(!newcomer.keeps() && newcomer.key.public_key() != other.key.public_key());
        newcomer.adopt(&ClusterSecret::generate().unwrap()).unwrap_err();
        newcomer.adopt(&sealing.secret).unwrap();
        assert!(!config.state_dir.join("sealed").join(SECRET_FILE).exists());
        // And what a master of such a platform seals needs its registration.
        let pki = ClusterPki::from_bytes(&sealing.pki.to_bytes().unwrap()).unwrap();
        let given =
            Given { key: Arc::into_inner(newcomer.key).unwrap(), secret: sealing.secret, pki, is_new: false };
        let obtained = Obtained { platform: newcomer.platform, keys: Keys::Given(Box::new(given)) };
        let refused = obtained.check(&config).unwrap_err().to_string();
        assert!(refused.contains("registration.verifiers"), "{refused}");
        let opened = Enclave::open(&config, obtained, 0).unwrap();
        assert_eq!(opened.ca_hash, sealing.ca_hash);
    }
}
