//! The gateway as the worker sees it, in three types of rising trust: the functions that take a proof exist
//! only on [`Attested`], which only a master that fits the chain can become. Every connection but the first, which reads the CA,
//! ends in a TLS key that the master's evidence is bound to.

mod attested;
mod error;
mod http;
mod pinned;
mod tls;
mod trust;

pub use attested::{Attested, CertificateKind, NodeHeaders, Signed};
pub use error::GatewayError;
pub use pinned::Pinned;
pub(crate) use tls::with_identity;
pub use trust::Trust;
