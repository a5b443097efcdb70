//! Trusted execution: evidence of what code runs, its verification, and keys that only that code gets.
//!
//! A [`Platform`] gives [`Evidence`] over 64 bytes of report data and a [`SealingKey`] for a
//! [`KeyPolicy`]; [`verify`] turns evidence and a [`Policy`] into [`Claims`] or into every clause that was
//! violated. Keys on disk live in [`sealed_file`]s. The only platform that can attest in this version is the
//! [`SimulatedPlatform`], which proves nothing about hardware and says so in type, log and status;
//! [`detect()`] reports which real ones the machine has.
//!
//! ```
//! use tee::{KeyPolicy, Platform, PlatformKind, Policy, SimulatedPlatform};
//!
//! let dir = tempfile::tempdir().unwrap();
//! let platform = SimulatedPlatform::open(dir.path(), &tee::measure_bytes(b"code")).unwrap();
//! let report_data = tee::report_data(&[1; 32], &[2; 32], &[3; 32]);
//! let evidence = platform.attest(&report_data, 1_000).unwrap();
//!
//! let policy = Policy {
//!     allowed: vec![(PlatformKind::Simulated, platform.measurement())],
//!     allow_simulated: true,
//!     ..Policy::default()
//! };
//! let claims = tee::verify(&evidence, &policy, &report_data, 1_500).unwrap();
//! assert!(claims.simulated);
//! let key = platform.sealing_key(KeyPolicy::Measurement).unwrap().derive("store", b"segment-1");
//! assert_eq!(key.as_bytes().len(), 32);
//! ```
#![forbid(unsafe_code)]

mod detect;
mod durable;
mod enclave_key;
mod error;
mod evidence;
mod key;
mod measure;
mod platform;
mod policy;
mod refusal;
mod report_data;
pub mod sealed_file;
mod simulated;
mod verify;

pub use detect::{Detected, Skipped, detect, open};
pub use enclave_key::{EnclaveKey, intent_message};
pub use error::TeeError;
pub use evidence::{Evidence, MAX_EVIDENCE_BYTES};
pub use key::{Key, SealingKey};
pub use measure::{measure_bytes, measure_file};
pub use platform::{KeyPolicy, Measurements, Platform, PlatformKind};
pub use policy::Policy;
pub use refusal::{Refusal, Refusals};
pub use report_data::report_data;
pub use simulated::SimulatedPlatform;
pub use verify::{Claims, verify};
