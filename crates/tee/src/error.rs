use std::io;
use std::path::PathBuf;

use crate::sealed_file::SealedError;
use crate::{PlatformKind, TpmError};

/// Why a platform, its evidence or its keys could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TeeError {
    /// No platform has this name.
    #[error("unknown TEE platform {name:?}; use sev-snp, tdx, sgx, nitro, cca, trustzone, tpm or simulated")]
    UnknownPlatform {
        /// What was given, cut to 32 characters.
        name: String,
    },
    /// The platform is not there, or this version cannot attest with it.
    #[error("TEE platform {kind} is not available here: {reason}")]
    NotAvailable {
        /// Which one was asked for.
        kind: PlatformKind,
        /// What is missing.
        reason: String,
    },
    /// The platform attests, but keeps no key across restarts.
    #[error(
        "{kind} has no sealing of its own: get the key from another attested master or the recovery committee"
    )]
    NoLocalSealing {
        /// Which one.
        kind: PlatformKind,
    },
    /// The measurement handed in is not a digest.
    #[error(
        "a measurement is a digest of 32, 48 or 64 bytes, not {length} bytes; hash the code with SHA-384"
    )]
    MeasurementLength {
        /// Bytes handed in.
        length: usize,
    },
    /// The simulated platform's root secret is unusable.
    #[error("{}: {problem}", path.display())]
    Root {
        /// The secret's file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// The bytes are not evidence.
    #[error("not attestation evidence: {0}")]
    Evidence(String),
    /// The bytes are no certificate, revocation list or public key in a form that is known here.
    #[error("not a certificate, revocation list or public key: {0}")]
    Material(String),
    /// Collateral cannot be read.
    #[error("not attestation collateral: {0}")]
    Collateral(String),
    /// The policy cannot be read.
    #[error("not an attestation policy: {0}")]
    Policy(String),
    /// A file of [`crate::TrustFiles`] is not what it should be.
    #[error("{}: {problem}", path.display())]
    TrustFile {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A sealed key could not be opened or written.
    #[error("{}", path.display())]
    Sealed {
        /// The sealed file.
        path: PathBuf,
        /// Why.
        source: SealedError,
    },
    /// A sealed key opened, but is not a key.
    #[error("{} holds {length} bytes where an ed25519 key of 32 bytes belongs", path.display())]
    KeyLength {
        /// The sealed file.
        path: PathBuf,
        /// Bytes found.
        length: usize,
    },
    /// The TPM did not do what it was asked.
    #[error(transparent)]
    Tpm(#[from] TpmError),
    /// The key was sealed while other code ran, or by another boot chain.
    #[error(
        "{} is sealed to other code or another boot chain than what runs: start the build that sealed it and hand \
         the key over, or recover the key from the committee",
        path.display()
    )]
    SealedToOther {
        /// The sealed object's file.
        path: PathBuf,
    },
    /// The key was sealed by another machine's TPM, or the file was changed.
    #[error(
        "{}: {source}: start where it was sealed, or recover the key from the committee",
        path.display()
    )]
    SealedElsewhere {
        /// The sealed object's file.
        path: PathBuf,
        /// What the TPM said.
        source: TpmError,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// A file could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried: `read`, `create` …
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}
