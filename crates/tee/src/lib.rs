//! Trusted execution: evidence of what code runs, its verification, and keys that only that code gets.
//!
//! A [`Platform`] gives [`Evidence`] over 64 bytes of report data and a [`SealingKey`] for a
//! [`KeyPolicy`]; [`verify`] turns evidence and a [`Policy`] into [`Claims`] or into every clause that was
//! violated. Verification is real for every [`PlatformKind`], on any machine and without a network: a [`Verifier`] is given
//! [`Collateral`], [`Anchors`] and the time. Keys on disk live in [`sealed_file`]s. [`detect()`] says which
//! platform a machine has and [`open`] opens it: SEV-SNP, TDX, SGX, Nitro, CCA, TrustZone and TPM 2.0 attest (none of them was
//! run on hardware but the TPM, on one in software), and the [`SimulatedPlatform`], which proves nothing about hardware and says
//! so in type, log and status.
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
// Unsafe code is denied, and allowed in one file that talks to a driver: attest/ts_device.rs.
#![deny(unsafe_code)]

mod anchors;
mod attest;
mod claims;
mod collateral;
mod collateral_plan;
pub mod custody;
mod detect;
mod durable;
mod enclave_key;
mod error;
mod evidence;
mod key;
mod material;
mod measure;
mod platform;
mod policy;
mod policy_file;
mod public_key;
mod ra_tls;
mod raw;
mod refusal;
mod report_data;
pub mod sealed_file;
mod simulated;
mod tcb_bounds;
mod tpm;
mod trust_files;
mod verify;

pub use anchors::{Anchors, TrustedKey};
pub use attest::{
    Configfs, GraminePlatform, NitroPlatform, Nsm, NsmDevice, NsmFailure, SecureServices, ServicesFailure,
    TrustZonePlatform, TrustedServices, TsmPlatform, TsmReports,
};
pub use claims::{Claims, Signer, Tcb, TcbStatus};
pub use collateral::{Collateral, MAX_COLLATERAL_BYTES};
pub use collateral_plan::{
    AMD_KDS, CollateralRequest, CollateralResponse, INTEL_PCS, Maker, assemble_collateral,
    collateral_requests,
};
pub use custody::ClusterSecret;
pub use detect::{Detected, Skipped, detect, open};
pub use durable::replace as write_durably;
pub use enclave_key::{EnclaveKey, intent_message};
pub use error::TeeError;
pub use evidence::{EVIDENCE_MEDIA_TYPE, Evidence, MAX_EVIDENCE_BYTES};
pub use key::{Key, SealingKey};
pub use material::{Material, is_self_signed, read_material};
pub use measure::{measure_bytes, measure_file, measure_files, measured_as_one};
pub use platform::{KeyPolicy, Measurements, Platform, PlatformKind};
pub use policy::Policy;
pub use public_key::PublicKey;
pub use ra_tls::{
    Attested, AttestedPeer, CERTIFICATE_LEAD_SECONDS, CMW_OID, Clock, RaTlsError, attested_extension,
    certificate_evidence, issue_attested,
};
pub use refusal::{Refusal, Refusals};
pub use report_data::{fresh_nonce, node_report_data, report_data};
pub use simulated::{SimulatedPlatform, SimulatedWithoutSealing};
pub use tcb_bounds::TcbBounds;
pub use tpm::{RUNTIME_PCR, TpmAddress, TpmConfig, TpmError, TpmPlatform};
pub use trust_files::{TrustFiles, Trusted};
pub use verify::{Verifier, verify};
