//! The gateway as the worker sees it, in three types of rising trust: the functions that take a proof exist
//! only on [`Attested`], which only a master that fits the chain can become.

mod attested;
mod error;
mod http;
mod pinned;
mod tls;

pub use attested::{Attested, CertificateKind, NodeHeaders, Signed};
pub use error::GatewayError;
pub use pinned::Pinned;
