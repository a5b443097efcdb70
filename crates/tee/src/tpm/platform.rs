use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use ring::rand::{SecureRandom, SystemRandom};
use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::device::{Pcrs, Sealed, Tpm, sha256};
use super::{TpmAddress, TpmError};
use crate::measure::measured_as_one;
use crate::{Evidence, KeyPolicy, Measurements, Platform, PlatformKind, SealingKey, TeeError, durable};

/// The register that the running code extends with its own measurement, once after each start of the machine.
pub const RUNTIME_PCR: u8 = 14;

const SEALED_FILE: &str = "tpm-sealed.key";
/// What the build before this one sealed to this one.
const HANDED_FILE: &str = "tpm-handed-over.key";
const MAGIC: &[u8; 8] = b"k3dtpm\0\x01";

/// Where the TPM is and which of its registers count.
#[derive(Clone, Debug)]
pub struct TpmConfig {
    /// The device or socket.
    pub address: TpmAddress,
    /// Registers of the boot chain that are quoted and sealed to, besides [`RUNTIME_PCR`]: by default firmware, boot
    /// loader and kernel (0, 2, 4, 7, 8, 9).
    pub boot_pcrs: Vec<u8>,
}

impl TpmConfig {
    /// The usual registers of the TPM at `address`.
    #[must_use]
    pub fn new(address: TpmAddress) -> Self {
        Self { address, boot_pcrs: vec![0, 2, 4, 7, 8, 9] }
    }
}

/// A machine with a TPM 2.0.
///
/// What it proves: this very TPM, the boot chain in the registers, and that *some* code on the machine measured itself
/// as ours. A TPM does not watch the running system: whoever is root before us can extend [`RUNTIME_PCR`] with
/// our measurement. It is as good as the boot chain that the policy demands, and memory is not encrypted.
///
/// Evidence parts: `quote`, `signature`, `pcrs` and `ak-public`, without an event log; see [`Evidence`].
pub struct TpmPlatform {
    tpm: Mutex<Tpm>,
    dir: PathBuf,
    registers: Vec<u8>,
    values: Pcrs,
    ak_public: Vec<u8>,
    is_software: bool,
}

impl TpmPlatform {
    /// Opens the TPM and extends [`RUNTIME_PCR`] with the SHA-256 of `measured` (what says which code runs) unless that was
    /// done since the machine started. Sealed keys are kept in `dir`.
    ///
    /// # Errors
    /// [`TpmError::MeasuredOtherwise`] when the register was extended by anything else.
    pub fn open(config: &TpmConfig, dir: &Path, measured: &[u8]) -> Result<Self, TeeError> {
        let mut registers = config.boot_pcrs.clone();
        registers.push(RUNTIME_PCR);
        registers.sort_unstable();
        registers.dedup();
        if registers.iter().any(|index| *index > 23) {
            let reason = "a TPM has the registers 0 to 23".to_owned();
            return Err(TeeError::NotAvailable { kind: PlatformKind::Tpm, reason });
        }
        let mut tpm = Tpm::open(&config.address)?;
        measure(&mut tpm, measured)?;
        let values = tpm.pcr_read(&registers)?;
        let key = tpm.attestation_key()?;
        tpm.flush(key.handle)?;
        let is_software = config.address.is_software();
        if is_software {
            tracing::warn!("the TPM is SIMULATED, a program: it proves nothing about hardware");
        }
        let dir = dir.to_owned();
        Ok(Self { tpm: Mutex::new(tpm), dir, registers, values, ak_public: key.public, is_software })
    }

    /// The attestation key as TPMT_PUBLIC: what a policy pins for this machine.
    #[must_use]
    pub fn attestation_key(&self) -> &[u8] {
        &self.ak_public
    }

    /// Hands the sealing key over to other code on this machine: seals it to the registers as they will be when code
    /// that is opened with `next` as its `measured` has started instead of this, in `dir` of that code. Whoever calls this has made sure that `next` is
    /// allowed on chain.
    ///
    /// # Errors
    /// The TPM's, or that `dir` cannot be written.
    pub fn hand_over(&self, next: &[u8], dir: &Path) -> Result<(), TeeError> {
        self.seal_into(&dir.join(SEALED_FILE), &*self.secret()?, &self.values_with(next))
    }

    /// The registers as they will be when code that is opened with `next` runs instead.
    fn values_with(&self, next: &[u8]) -> Pcrs {
        let mut values = self.values.clone();
        values.insert(RUNTIME_PCR, extended(&[0; 32], &sha256(next)));
        values
    }

    fn secret(&self) -> Result<Zeroizing<[u8; 32]>, TeeError> {
        let (path, handed) = (self.dir.join(SEALED_FILE), self.dir.join(HANDED_FILE));
        let exists = |path: &Path| path.try_exists().map_err(io("read", path));
        if !exists(&path)? && !exists(&handed)? {
            let mut secret = Zeroizing::new([0; 32]);
            SystemRandom::new().fill(&mut secret[..]).map_err(|_| TeeError::Random)?;
            self.seal_into(&path, &secret, &self.values)?;
        }
        if !exists(&path)? {
            return self.unseal(&handed);
        }
        match self.unseal(&path) {
            Err(TeeError::SealedToOther { .. }) if exists(&handed)? => {
                let secret = self.unseal(&handed)?;
                // From here on this build is the one at home.
                self.seal_into(&path, &secret, &self.values)?;
                Ok(secret)
            }
            other => other,
        }
    }

    fn unseal(&self, path: &Path) -> Result<Zeroizing<[u8; 32]>, TeeError> {
        let sealed = decode(&fs::read(path).map_err(io("read", path))?)?;
        let mut tpm = self.tpm.lock();
        let parent = tpm.storage_key()?;
        let secret = tpm.unseal(&parent, &sealed, &self.registers);
        tpm.flush(parent.handle)?;
        secret.map_err(|error| {
            let path = path.to_owned();
            if error.is_policy_failure() {
                TeeError::SealedToOther { path }
            } else if error.is_foreign_object() {
                TeeError::SealedElsewhere { path, source: error }
            } else {
                error.into()
            }
        })
    }

    fn seal_into(&self, path: &Path, secret: &[u8; 32], values: &Pcrs) -> Result<(), TeeError> {
        let mut tpm = self.tpm.lock();
        let parent = tpm.storage_key()?;
        let sealed = tpm.seal(&parent, secret, values);
        tpm.flush(parent.handle)?;
        let dir = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(io("create", dir))?;
        durable::replace(path, &encode(&sealed?)).map_err(io("write", path))
    }
}

impl Platform for TpmPlatform {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Tpm
    }

    fn is_simulated(&self) -> bool {
        self.is_software
    }

    fn measurement(&self) -> Measurements {
        named(&self.values)
    }

    fn measurement_of(&self, next: &Measurements) -> Result<Measurements, TeeError> {
        Ok(named(&self.values_with(&measured_as_one(next))))
    }

    fn hand_over_to(&self, next: &Measurements) -> Result<(), TeeError> {
        let values = self.values_with(&measured_as_one(next));
        self.seal_into(&self.dir.join(HANDED_FILE), &*self.secret()?, &values)
    }

    fn attest(&self, report_data: &[u8; 64], _now_ms: u64) -> Result<Evidence, TeeError> {
        let mut tpm = self.tpm.lock();
        let key = tpm.attestation_key()?;
        let quote = tpm.quote(&key, &sha256(report_data), &self.registers);
        tpm.flush(key.handle)?;
        let quote = quote?;
        // What is quoted are the registers now; they are sent as they are now too.
        let values = tpm.pcr_read(&self.registers)?;
        let bank: BTreeMap<u8, ByteBuf> =
            values.iter().map(|(index, value)| (*index, ByteBuf::from(value.to_vec()))).collect();
        let mut pcrs = Vec::new();
        ciborium::into_writer(&BTreeMap::from([("sha256", bank)]), &mut pcrs)
            .expect("writing to memory does not fail");
        let parts = BTreeMap::from([
            ("quote".to_owned(), quote.attest),
            ("signature".to_owned(), quote.signature),
            ("pcrs".to_owned(), pcrs),
            ("ak-public".to_owned(), self.ak_public.clone()),
        ]);
        Ok(Evidence::new(PlatformKind::Tpm, parts))
    }

    fn sealing_key(&self, policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        match policy {
            KeyPolicy::Measurement => Ok(SealingKey::from_bytes(*self.secret()?)),
            KeyPolicy::Signer => Err(TeeError::NotAvailable {
                kind: PlatformKind::Tpm,
                reason: "a TPM knows no signer of code: seal to the measurement, and hand the key over before an upgrade"
                    .to_owned(),
            }),
        }
    }
}

fn named(values: &Pcrs) -> Measurements {
    values.iter().map(|(index, value)| (format!("pcr{index}"), value.to_vec())).collect()
}

/// Extends the runtime register with the digest of the running code, once.
fn measure(tpm: &mut Tpm, measured: &[u8]) -> Result<(), TpmError> {
    let digest = sha256(measured);
    let expected = extended(&[0; 32], &digest);
    let read = |tpm: &mut Tpm| -> Result<[u8; 32], TpmError> {
        Ok(tpm.pcr_read(&[RUNTIME_PCR])?.remove(&RUNTIME_PCR).unwrap_or_default())
    };
    let mut value = read(tpm)?;
    if value == [0; 32] {
        tpm.pcr_extend(RUNTIME_PCR, &digest)?;
        value = read(tpm)?;
    }
    if value != expected {
        return Err(TpmError::MeasuredOtherwise {
            pcr: RUNTIME_PCR,
            found: hex::encode(value),
            expected: hex::encode(expected),
        });
    }
    Ok(())
}

/// What a register holds after it was extended.
fn extended(value: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    sha256(&[&value[..], digest].concat())
}

fn encode(sealed: &Sealed) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for part in [&sealed.private, &sealed.public] {
        bytes.extend_from_slice(&(part.len() as u16).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn decode(bytes: &[u8]) -> Result<Sealed, TpmError> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or(TpmError::SealedObject)?;
    let mut part = || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let part = after.get(..usize::from(u16::from_be_bytes(*length)))?;
        rest = &after[part.len()..];
        Some(part.to_vec())
    };
    let (private, public) = (part(), part());
    match (private, public, rest.is_empty()) {
        (Some(private), Some(public), true) => Ok(Sealed { private, public }),
        _ => Err(TpmError::SealedObject),
    }
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> TeeError {
    let path = path.to_owned();
    move |source| TeeError::Io { action, path, source }
}
