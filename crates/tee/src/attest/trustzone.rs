//! Arm TrustZone: the services of OP-TEE's secure partitions, as Trusted Services defines them.
//!
//! OP-TEE's own attestation signs digests of trusted applications in a form of its own and gives no PSA token; the partition for PSA initial
//! attestation that OP-TEE hosts does (docs/decisions/0012-trustzone-through-secure-partitions.md). Secure storage is another partition's.

use std::collections::BTreeMap;

use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::psa_services as psa;
use crate::verify::claimed_measurements;
use crate::{Evidence, KeyPolicy, Measurements, Platform, PlatformKind, SealingKey, TeeError};

/// Where the device's key lies in internal trusted storage: `k3sdaas1` in ASCII.
const KEY_ID: u64 = 0x6b33_7364_6161_7331;
const KEY_BYTES: usize = 32;

/// Calls to services in the secure world.
pub trait SecureServices: Send + Sync {
    /// Calls `opcode` of `service` (its UUID, in the order in which it is written) and returns the service's status and at most `capacity`
    /// bytes of answer.
    ///
    /// # Errors
    /// What kept the call from being answered.
    fn call(
        &self,
        service: &[u8; 16],
        opcode: u16,
        request: &[u8],
        capacity: usize,
    ) -> Result<(i32, Zeroizing<Vec<u8>>), ServicesFailure>;
}

/// Why a service in the secure world gave no answer of use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServicesFailure {
    /// No device hosts the service.
    #[error(
        "none of the {devices} devices of the kernel's driver arm_tstee has it: the firmware has to host Trusted Services' partitions, and \
         the kernel to be 6.10 or later"
    )]
    NoService {
        /// Devices of that driver that were asked.
        devices: usize,
    },
    /// The kernel refused.
    #[error("cannot {action}")]
    Kernel {
        /// What was tried.
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The service refused.
    #[error("the service answered with PSA status {status}")]
    Refused {
        /// PSA status code, below zero.
        status: i32,
    },
    /// The operating system gives no random bytes for a new key.
    #[error("the operating system gave no random bytes for a new key")]
    NoRandomness,
    /// The answer is not what the protocol says.
    #[error("the service answered with {what}")]
    Malformed {
        /// What it was instead.
        what: &'static str,
    },
}

/// A machine with secure partitions for PSA attestation and storage.
///
/// The token measures what booted, the secure world and what the firmware handed over to; no program in the normal world is measured, so
/// a policy has to name components of the boot chain, and verified boot has to lead from there to this program.
pub struct TrustZonePlatform<S> {
    services: S,
    measured: Measurements,
}

impl<S: SecureServices> TrustZonePlatform<S> {
    /// Takes a first token to learn what was measured.
    ///
    /// # Errors
    /// [`TeeError::NotAvailable`] when there is no service or it gives no token.
    pub fn open(services: S) -> Result<Self, TeeError> {
        let mut platform = Self { services, measured: Measurements::new() };
        platform.measured = claimed_measurements(&platform.attest(&[0; 64], 0)?)?;
        Ok(platform)
    }

    fn token(&self, challenge: &[u8; 64]) -> Result<Vec<u8>, ServicesFailure> {
        let request = psa::token_request(challenge);
        match self.services.call(&psa::ATTESTATION, psa::GET_TOKEN, &request, psa::MAX_TOKEN)? {
            (psa::SUCCESS, answer) => psa::token_of(&answer),
            (status, _) => Err(ServicesFailure::Refused { status }),
        }
    }

    /// The key that lies in the device's storage, made at the first call. Whoever comes second in a race gets the first one's.
    fn stored_key(&self) -> Result<[u8; KEY_BYTES], ServicesFailure> {
        if let Some(key) = self.read_key()? {
            return Ok(key);
        }
        let mut fresh = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new().fill(&mut *fresh).map_err(|_| ServicesFailure::NoRandomness)?;
        let request = psa::set_request(KEY_ID, &*fresh);
        match self.services.call(&psa::INTERNAL_TRUSTED_STORAGE, psa::STORAGE_SET, &request, 0)?.0 {
            psa::SUCCESS | psa::NOT_PERMITTED | psa::ALREADY_EXISTS => {}
            status => return Err(ServicesFailure::Refused { status }),
        }
        self.read_key()?.ok_or(ServicesFailure::Malformed { what: "no key right after it had stored one" })
    }

    fn read_key(&self) -> Result<Option<[u8; KEY_BYTES]>, ServicesFailure> {
        // One byte more than a key, so that a longer object is seen to be none.
        let request = psa::get_request(KEY_ID, KEY_BYTES as u64 + 1);
        let capacity = KEY_BYTES + 1;
        match self.services.call(&psa::INTERNAL_TRUSTED_STORAGE, psa::STORAGE_GET, &request, capacity)? {
            (psa::SUCCESS, key) => {
                let wrong = ServicesFailure::Malformed { what: "an object that is not a key of 32 bytes" };
                <[u8; KEY_BYTES]>::try_from(key.as_slice()).map(Some).map_err(|_| wrong)
            }
            (psa::DOES_NOT_EXIST, _) => Ok(None),
            (status, _) => Err(ServicesFailure::Refused { status }),
        }
    }
}

impl<S: SecureServices> Platform for TrustZonePlatform<S> {
    fn kind(&self) -> PlatformKind {
        PlatformKind::TrustZone
    }

    fn measurement(&self) -> Measurements {
        self.measured.clone()
    }

    fn attest(&self, report_data: &[u8; 64], _now_ms: u64) -> Result<Evidence, TeeError> {
        let token = self.token(report_data).map_err(|failure| unavailable("attestation token", &failure))?;
        Ok(Evidence::new(PlatformKind::TrustZone, BTreeMap::from([("token".to_owned(), token)])))
    }

    fn sealing_key(&self, policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        if policy == KeyPolicy::Measurement {
            let reason = "trusted storage is the device's and gives its key to whatever boots there: seal to the signer, \
                          whose signature verified boot asks for"
                .to_owned();
            return Err(TeeError::NotAvailable { kind: PlatformKind::TrustZone, reason });
        }
        self.stored_key()
            .map(SealingKey::from_bytes)
            .map_err(|failure| unavailable("key from internal trusted storage", &failure))
    }
}

fn unavailable(what: &str, failure: &ServicesFailure) -> TeeError {
    let mut reason = format!("no {what}: {failure}");
    if let Some(source) = std::error::Error::source(failure) {
        reason = format!("{reason}: {source}");
    }
    TeeError::NotAvailable { kind: PlatformKind::TrustZone, reason }
}
