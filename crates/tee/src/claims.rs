use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use crate::{Measurements, PlatformKind};

/// What verified evidence says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// Where the code runs.
    pub platform: PlatformKind,
    /// True when that proves nothing about hardware.
    pub simulated: bool,
    /// True when the host can read the environment's memory; only ever so for simulated evidence.
    pub debug: bool,
    /// Everything that was measured about the code.
    pub measurements: Measurements,
    /// What the evidence is bound to: 64 bytes, fewer on platforms with a smaller field.
    pub report_data: Vec<u8>,
    /// The state of hardware and firmware.
    pub tcb: Tcb,
    /// Who vouches for the evidence: the key that signed it first, the trust anchor last.
    pub signers: Vec<Signer>,
    /// Whether every certificate below the anchor was looked up in a current revocation list.
    pub revocation_checked: bool,
    /// When the evidence was made, milliseconds since the Unix epoch; none on platforms that have no clock of
    /// their own, whose freshness is the nonce in the report data.
    pub timestamp_ms: Option<u64>,
}

/// The trusted computing base below the code: what its maker says of it, and its version numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tcb {
    /// The maker's verdict; only Intel gives one.
    pub status: Option<TcbStatus>,
    /// Security advisories that apply, e.g. `INTEL-SA-00334`.
    pub advisories: BTreeSet<String>,
    /// Security version numbers by component.
    pub versions: BTreeMap<String, u64>,
}

/// Intel's verdict about a platform, as in its TCB info.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TcbStatus {
    /// Nothing to do.
    UpToDate,
    /// The code itself must mitigate something.
    SwHardeningNeeded,
    /// The platform's configuration exposes something.
    ConfigurationNeeded,
    /// Both of these.
    ConfigurationAndSwHardeningNeeded,
    /// A trust domain started under an old TDX module that was since updated; start it again.
    TdRelaunchAdvised,
    /// The same, and the platform's configuration exposes something.
    TdRelaunchAdvisedConfigurationNeeded,
    /// Updates were missed.
    OutOfDate,
    /// Updates were missed, and the configuration exposes something.
    OutOfDateConfigurationNeeded,
    /// Its keys are known to be compromised.
    Revoked,
}

impl TcbStatus {
    /// Every status.
    pub const ALL: [Self; 9] = [
        Self::UpToDate,
        Self::SwHardeningNeeded,
        Self::ConfigurationNeeded,
        Self::ConfigurationAndSwHardeningNeeded,
        Self::TdRelaunchAdvised,
        Self::TdRelaunchAdvisedConfigurationNeeded,
        Self::OutOfDate,
        Self::OutOfDateConfigurationNeeded,
        Self::Revoked,
    ];

    /// Intel's spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UpToDate => "UpToDate",
            Self::SwHardeningNeeded => "SWHardeningNeeded",
            Self::ConfigurationNeeded => "ConfigurationNeeded",
            Self::ConfigurationAndSwHardeningNeeded => "ConfigurationAndSWHardeningNeeded",
            Self::TdRelaunchAdvised => "TDRelaunchAdvised",
            Self::TdRelaunchAdvisedConfigurationNeeded => "TDRelaunchAdvisedConfigurationNeeded",
            Self::OutOfDate => "OutOfDate",
            Self::OutOfDateConfigurationNeeded => "OutOfDateConfigurationNeeded",
            Self::Revoked => "Revoked",
        }
    }
}

impl fmt::Display for TcbStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TcbStatus {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|status| status.as_str() == name).ok_or_else(|| {
            format!("unknown TCB status {name:?}; use {}", Self::ALL.map(Self::as_str).join(", "))
        })
    }
}

/// One link of the chain that vouches for evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signer {
    /// The certificate's subject, or what kind of key it is where there is no certificate.
    pub name: String,
    /// SHA-256 of the certificate (DER), or of the public key where there is no certificate.
    pub sha256: [u8; 32],
}
