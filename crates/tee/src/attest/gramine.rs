//! SGX enclaves under Gramine: quotes and sealing keys are pseudo-files.
//!
//! Gramine's documentation, "Attestation and secret provisioning": write `user_report_data` (64 bytes), read `quote`;
//! `keys/_sgx_mrenclave` and `keys/_sgx_mrsigner` hold what EGETKEY derives for this enclave, 16 bytes each.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

use ring::digest;
use zeroize::Zeroizing;

use crate::verify::claimed_measurements;
use crate::{Evidence, KeyPolicy, Measurements, Platform, PlatformKind, SealingKey, TeeError};

const MAX_QUOTE: u64 = 64 << 10;
const KEY_BYTES: usize = 16;

/// An SGX enclave that Gramine runs.
pub struct GraminePlatform {
    attestation: PathBuf,
    /// Writing the report data and reading the quote are two steps on files that the whole enclave shares.
    one_at_a_time: parking_lot::Mutex<()>,
    measured: Measurements,
}

impl GraminePlatform {
    /// `attestation` is `/dev/attestation`.
    ///
    /// # Errors
    /// [`TeeError::NotAvailable`] when Gramine gives no quote.
    pub fn open(attestation: PathBuf) -> Result<Self, TeeError> {
        let mut platform =
            Self { attestation, one_at_a_time: parking_lot::Mutex::new(()), measured: Measurements::new() };
        platform.measured = claimed_measurements(&platform.evidence(&[0; 64])?)?;
        Ok(platform)
    }

    fn evidence(&self, report_data: &[u8; 64]) -> Result<Evidence, TeeError> {
        let quote = self.quote(report_data).map_err(|error| {
            unavailable(format!("Gramine gave no quote below {}: {error}", self.attestation.display()))
        })?;
        Ok(Evidence::new(PlatformKind::Sgx, BTreeMap::from([("quote".to_owned(), quote)])))
    }

    fn quote(&self, report_data: &[u8; 64]) -> io::Result<Vec<u8>> {
        let _alone = self.one_at_a_time.lock();
        fs::write(self.attestation.join("user_report_data"), report_data)?;
        let mut quote = Vec::new();
        File::open(self.attestation.join("quote"))?.take(MAX_QUOTE + 1).read_to_end(&mut quote)?;
        if quote.is_empty() || quote.len() as u64 > MAX_QUOTE {
            return Err(io::Error::other(format!("a quote of {} bytes", quote.len())));
        }
        Ok(quote)
    }
}

impl Platform for GraminePlatform {
    fn kind(&self) -> PlatformKind {
        PlatformKind::Sgx
    }

    fn measurement(&self) -> Measurements {
        self.measured.clone()
    }

    fn attest(&self, report_data: &[u8; 64], _now_ms: u64) -> Result<Evidence, TeeError> {
        self.evidence(report_data)
    }

    fn sealing_key(&self, policy: KeyPolicy) -> Result<SealingKey, TeeError> {
        let name = match policy {
            KeyPolicy::Measurement => "_sgx_mrenclave",
            KeyPolicy::Signer => "_sgx_mrsigner",
        };
        let path = self.attestation.join("keys").join(name);
        let mut key = Zeroizing::new(Vec::with_capacity(KEY_BYTES + 1));
        File::open(&path)
            .and_then(|file| file.take(KEY_BYTES as u64 + 1).read_to_end(&mut key))
            .map_err(|error| unavailable(format!("Gramine gave no key {name}: {error}")))?;
        if key.len() != KEY_BYTES || key.iter().all(|byte| *byte == 0) {
            return Err(unavailable(format!("{name} is not a key of {KEY_BYTES} bytes")));
        }
        // 128 bits of entropy, spread over the 256 that a sealing key has room for.
        let mut input = Zeroizing::new(b"k3s-daas/gramine/v1\0".to_vec());
        input.extend_from_slice(&key);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, &input).as_ref());
        Ok(SealingKey::from_bytes(bytes))
    }
}

fn unavailable(reason: String) -> TeeError {
    TeeError::NotAvailable { kind: PlatformKind::Sgx, reason }
}
