//! TPM 2.0: quotes over registers, and keys that open only while the registers hold what they should.
//!
//! The few commands that this takes are written out in `device`, with fixed parameters; no system library is needed.

mod device;
mod error;
mod platform;
mod transport;
mod wire;

pub use error::TpmError;
pub use platform::{RUNTIME_PCR, TpmConfig, TpmPlatform};
pub use transport::TpmAddress;
