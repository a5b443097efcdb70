use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use crate::evidence::read_cbor;
use crate::measure::{CODE, measured_as_one};
use crate::verify::Statement;
use crate::{
    ClusterSecret, Evidence, KeyPolicy, Measurements, Platform, PlatformKind, Refusal, SealingKey, TeeError,
    durable,
};

const ROOT_FILE: &str = "simulated-tee.root";
/// What the evidence key signs is never mistaken for anything else.
const SIGNING_DOMAIN: &[u8] = b"k3s-daas/simulated-evidence/v1\0";

/// A TEE played by a file: whoever reads the root secret in its directory can forge its evidence and open
/// its sealed files. It lets the whole system run on any machine, and says `simulated` wherever it shows.
///
/// Evidence parts: `claims` (CBOR), `public-key` (ed25519, derived from the root secret) and `signature` over
/// a domain prefix and the claims.
pub struct SimulatedPlatform {
    dir: PathBuf,
    root: SealingKey,
    measured: Measurements,
}

impl SimulatedPlatform {
    /// Opens the platform of directory `dir`, making its root secret (mode 0600) on first use.
    ///
    /// `measured` is the digest (32, 48 or 64 bytes) that stands for the running code; see
    /// [`crate::measure_file`].
    pub fn open(dir: &Path, measured: &[u8]) -> Result<Self, TeeError> {
        if ![32, 48, 64].contains(&measured.len()) {
            return Err(TeeError::MeasurementLength { length: measured.len() });
        }
        let path = dir.join(ROOT_FILE);
        let io = |action| {
            let path = path.clone();
            move |source| TeeError::Io { action, path, source }
        };
        if !path.try_exists().map_err(io("read"))? {
            let mut secret = Zeroizing::new([0; 32]);
            SystemRandom::new().fill(&mut secret[..]).map_err(|_| TeeError::Random)?;
            fs::create_dir_all(dir).map_err(io("create"))?;
            durable::create_new(&path, &secret[..]).map_err(io("create"))?;
        }
        let root =
            read_root(&path).map_err(io("read"))?.map_err(|problem| TeeError::Root { path, problem })?;
        tracing::warn!(dir = %dir.display(), "the TEE is simulated: it proves nothing about hardware");
        Ok(Self {
            dir: dir.to_owned(),
            root,
            measured: Measurements::from([(CODE.to_owned(), measured.to_vec())]),
        })
    }

    /// Measures more than the code: `name` with its digest.
    #[must_use]
    pub fn measuring(mut self, name: &str, digest: &[u8]) -> Self {
        self.measured.insert(name.to_owned(), digest.to_vec());
        self
    }

    /// Only the code with these digests gets it again.
    fn key_of(&self, measured: &Measurements) -> SealingKey {
        let key = self.root.derive("simulated-seal-measurement", &measured_as_one(measured));
        SealingKey::from_bytes(*key.as_bytes())
    }

    /// Where an earlier build left its key for the code with these digests.
    fn handed_over(&self, measured: &Measurements) -> PathBuf {
        let digest = digest::digest(&digest::SHA256, &measured_as_one(measured));
        self.dir.join(format!("handed-over-{}.key", hex::encode(&digest.as_ref()[..8])))
    }

    fn signing_key(&self) -> SigningKey {
        SigningKey::from_bytes(self.root.derive("simulated-evidence", b"").as_bytes())
    }
}

impl Platform for SimulatedPlatform {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Simulated
    }

    fn measurement(&self) -> Measurements {
        self.measured.clone()
    }

    fn attest(&self, report_data: &[u8; 64], now_ms: u64) -> Result<Evidence, TeeError> {
        let claims = SimulatedClaims {
            simulated: true,
            debug: false,
            measurements: self
                .measured
                .iter()
                .map(|(name, digest)| (name.clone(), ByteBuf::from(digest.clone())))
                .collect(),
            report_data: ByteBuf::from(report_data.to_vec()),
            timestamp_ms: now_ms,
        };
        let mut claims_bytes = Vec::new();
        ciborium::into_writer(&claims, &mut claims_bytes).expect("writing to memory does not fail");
        let key = self.signing_key();
        let signature = key.sign(&[SIGNING_DOMAIN, &claims_bytes].concat());
        let parts = BTreeMap::from([
            ("claims".to_owned(), claims_bytes),
            ("public-key".to_owned(), key.verifying_key().to_bytes().to_vec()),
            ("signature".to_owned(), signature.to_bytes().to_vec()),
        ]);
        Ok(Evidence::new(PlatformKind::Simulated, parts))
    }

    fn sealing_key(&self, policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        match policy {
            KeyPolicy::Measurement => {
                let own = self.key_of(&self.measured);
                let handed = ClusterSecret::read(&self.handed_over(&self.measured), &own)?;
                Ok(handed.map_or(own, |handed| handed.root()))
            }
            // Its owner is its only signer.
            KeyPolicy::Signer => {
                let key = self.root.derive("simulated-seal-signer", b"");
                Ok(SealingKey::from_bytes(*key.as_bytes()))
            }
        }
    }

    fn measurement_of(&self, next: &Measurements) -> Result<Measurements, TeeError> {
        Ok(next.clone())
    }

    fn hand_over_to(&self, next: &Measurements) -> Result<(), TeeError> {
        let ours = self.sealing_key(KeyPolicy::Measurement)?;
        ClusterSecret::adopt(&ours).write(&self.handed_over(next), &self.key_of(next))
    }
}

/// The simulated platform as one that attests and keeps no key from one start to the next, as TDX, Nitro and CCA are: what is
/// kept by asking others can be tried out with it. It proves as little.
///
/// Only what signs its evidence lies in a file, in place of the hardware's key; nothing is sealed under it.
pub struct SimulatedWithoutSealing(SimulatedPlatform);

impl SimulatedWithoutSealing {
    /// Opens it as [`SimulatedPlatform::open`] does, measuring all of `measured`, with a `code` among them.
    ///
    /// # Errors
    /// As there.
    pub fn open(dir: &Path, measured: &Measurements) -> Result<Self, TeeError> {
        let code = measured.get(CODE).map(Vec::as_slice).unwrap_or_default();
        let mut platform = SimulatedPlatform::open(dir, code)?;
        platform.measured.clone_from(measured);
        tracing::warn!("the simulated TEE is one that seals nothing, as TDX, Nitro and CCA");
        Ok(Self(platform))
    }
}

impl Platform for SimulatedWithoutSealing {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Simulated
    }

    fn measurement(&self) -> Measurements {
        self.0.measurement()
    }

    fn attest(&self, report_data: &[u8; 64], now_ms: u64) -> Result<Evidence, TeeError> {
        self.0.attest(report_data, now_ms)
    }

    fn seals(&self) -> bool {
        false
    }

    fn sealing_key(&self, _policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        Err(TeeError::NoLocalSealing { kind: PlatformKind::Simulated })
    }
}

fn read_root(path: &Path) -> io::Result<Result<SealingKey, &'static str>> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        return Ok(Err("others may read this secret; run chmod 600 on it"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(33));
    file.take(33).read_to_end(&mut bytes)?;
    Ok(match <[u8; 32]>::try_from(&bytes[..]) {
        Ok(secret) => Ok(SealingKey::from_bytes(secret)),
        Err(_) => Err("not a root secret of 32 bytes; restore it, or remove the directory to start over"),
    })
}

/// The CBOR in the part `claims`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimulatedClaims {
    /// Always true: a reader of the raw bytes sees it too.
    simulated: bool,
    debug: bool,
    measurements: BTreeMap<String, ByteBuf>,
    report_data: ByteBuf,
    timestamp_ms: u64,
}

impl SimulatedClaims {
    pub(crate) fn statement(evidence: &Evidence) -> Result<Statement, Refusal> {
        let malformed = |what: String| Refusal::Malformed { what };
        let part =
            |name: &str| evidence.part(name).ok_or_else(|| malformed(format!("part {name:?} is missing")));
        let bytes = part("claims")?;
        let claims: Self = read_cbor(bytes).map_err(malformed)?;
        if !claims.simulated {
            return Err(malformed("simulated evidence that claims not to be".to_owned()));
        }
        let public_key = <[u8; 32]>::try_from(part("public-key")?)
            .map_err(|_| malformed("part \"public-key\" is not 32 bytes".to_owned()))?;
        let signature = Signature::from_slice(part("signature")?)
            .map_err(|_| malformed("part \"signature\" is not 64 bytes".to_owned()))?;
        let signature_valid = VerifyingKey::from_bytes(&public_key)
            .and_then(|key| key.verify_strict(&[SIGNING_DOMAIN, bytes].concat(), &signature))
            .is_ok();
        let refusals = if signature_valid {
            Vec::new()
        } else {
            vec![Refusal::bad_signature("the claims, by the simulated platform's key")]
        };
        let sha256 = digest::digest(&digest::SHA256, &public_key);
        let signer = crate::Signer {
            name: "simulated platform's key in a file".to_owned(),
            sha256: sha256.as_ref().try_into().expect("SHA-256 is 32 bytes"),
        };
        Ok(Statement {
            refusals,
            signers: vec![signer],
            debug: claims.debug,
            measurements: claims.measurements.into_iter().map(|(name, v)| (name, v.into_vec())).collect(),
            report_data: claims.report_data.into_vec(),
            timestamp_ms: Some(claims.timestamp_ms),
            ..Statement::default()
        })
    }
}
