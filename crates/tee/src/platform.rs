use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::{Evidence, SealingKey, TeeError};

/// Named measurements of running code, e.g. `code`, `mrenclave`, `pcr0`; raw digest bytes.
pub type Measurements = BTreeMap<String, Vec<u8>>;

/// A kind of trusted execution environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PlatformKind {
    /// AMD SEV-SNP guest.
    SevSnp,
    /// Intel TDX guest.
    Tdx,
    /// Intel SGX enclave (under Gramine).
    Sgx,
    /// AWS Nitro enclave.
    Nitro,
    /// Arm TrustZone through OP-TEE.
    TrustZone,
    /// Arm Confidential Compute Architecture realm.
    Cca,
    /// TPM 2.0.
    Tpm,
    /// No hardware: a secret in a file stands in for it.
    Simulated,
}

impl PlatformKind {
    /// Every kind, in the order of detection.
    pub const ALL: [Self; 8] = [
        Self::SevSnp,
        Self::Tdx,
        Self::Sgx,
        Self::Nitro,
        Self::Cca,
        Self::TrustZone,
        Self::Tpm,
        Self::Simulated,
    ];

    /// The name in evidence, configuration, contracts and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SevSnp => "sev-snp",
            Self::Tdx => "tdx",
            Self::Sgx => "sgx",
            Self::Nitro => "nitro",
            Self::Cca => "cca",
            Self::TrustZone => "trustzone",
            Self::Tpm => "tpm",
            Self::Simulated => "simulated",
        }
    }
}

impl fmt::Display for PlatformKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for PlatformKind {
    type Err = TeeError;

    fn from_str(name: &str) -> Result<Self, TeeError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| TeeError::UnknownPlatform { name: name.chars().take(32).collect() })
    }
}

/// What a sealing key is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPolicy {
    /// Exactly this code: another build gets another key.
    Measurement,
    /// Whoever signs the code: a later build of the same signer gets the same key.
    Signer,
}

/// One trusted execution environment, seen from inside.
pub trait Platform: Send + Sync {
    /// Which kind it is.
    fn kind(&self) -> PlatformKind;

    /// Whether it proves nothing about hardware: the simulated platform, and a TPM that is a program.
    fn is_simulated(&self) -> bool {
        self.kind() == PlatformKind::Simulated
    }

    /// Whether it keeps a key from one start to the next: [`Self::sealing_key`] is never [`TeeError::NoLocalSealing`] then.
    fn seals(&self) -> bool {
        true
    }

    /// What is measured about the running code; these names and values go into policies.
    fn measurement(&self) -> Measurements;

    /// Evidence that the code with [`Self::measurement`] said `report_data` at `now_ms` (milliseconds
    /// since the Unix epoch).
    fn attest(&self, report_data: &[u8; 64], now_ms: u64) -> Result<Evidence, TeeError>;

    /// The key that only code satisfying `policy` can get again.
    fn sealing_key(&self, policy: KeyPolicy) -> Result<SealingKey, TeeError>;

    /// What [`Self::measurement`] will say on this machine when a program with the digests `next` ([`crate::measure_files`]) runs
    /// instead of this.
    ///
    /// # Errors
    /// [`TeeError::NotAvailable`] on platforms that measure by themselves.
    fn measurement_of(&self, _next: &Measurements) -> Result<Measurements, TeeError> {
        Err(self.hands_nothing_over())
    }

    /// Lets the program with the digests `next` get this program's key of [`KeyPolicy::Measurement`] on this machine, beside this one.
    /// Whoever calls it has made sure that `next` is allowed on chain.
    ///
    /// # Errors
    /// [`TeeError::NotAvailable`] on platforms that cannot, and what the platform says.
    fn hand_over_to(&self, _next: &Measurements) -> Result<(), TeeError> {
        Err(self.hands_nothing_over())
    }

    #[doc(hidden)]
    fn hands_nothing_over(&self) -> TeeError {
        TeeError::NotAvailable {
            kind: self.kind(),
            reason: "it hands no key over on the machine: seal to the signer, or let the new build get the key from a \
                     running master or from the committee"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for kind in PlatformKind::ALL {
            assert_eq!(kind.to_string().parse::<PlatformKind>().unwrap(), kind);
        }
        let error = "Simulated".parse::<PlatformKind>().unwrap_err();
        assert!(error.to_string().contains("\"Simulated\""), "{error}");
    }
}
