//! Attesting on real hardware: each file a thin shell around what kernel or vendor offer.
//!
//! Nothing here verifies anything; what a platform measured is read from its own evidence. None of it has run on
//! hardware: tests drive it with fakes that keep to the interfaces' documentation.

mod gramine;
mod nsm;
mod psa_services;
mod trustzone;
mod ts_device;
mod tsm;

pub use gramine::GraminePlatform;
pub use nsm::{NitroPlatform, Nsm, NsmDevice, NsmFailure};
pub use trustzone::{SecureServices, ServicesFailure, TrustZonePlatform};
pub use ts_device::TrustedServices;
pub use tsm::{Configfs, TsmPlatform, TsmReports};
